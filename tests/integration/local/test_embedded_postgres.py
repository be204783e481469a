"""PostgreSQL from its wheel."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
import pytest

from services.kit.errors import SystemUnavailable
from services.local.data_dir import DataDir
from services.local.identity import FOR_ROOT, NOBODY, ServerIdentity, can_serve
from services.local.postgres import EmbeddedPostgres, binary
from services.local.settings import LocalSettings
from services.local.state import PartState
from services.local.system import SystemPorts, system_tiers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another identity")
identities = pytest.mark.parametrize(
    "identity", FOR_ROOT, ids=lambda identity: " ".join(identity.argv_prefix[:2])
)

_OWNER = """
import sys, time
from pathlib import Path
from services.local.postgres import EmbeddedPostgres
with EmbeddedPostgres.running(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def ask(dsn: str, query: Any) -> Any:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def write_row(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")


def test_data_survives_a_restart(tmp_path: Path) -> None:
    with EmbeddedPostgres.running(tmp_path) as first:
        write_row(first.dsn)
    with EmbeddedPostgres.running(tmp_path) as second:
        assert ask(second.dsn, "SELECT n FROM kept") == 42


def test_data_is_durable_checked_and_behind_a_password(tmp_path: Path) -> None:
    with EmbeddedPostgres.running(tmp_path) as server:
        settings = (
            "fsync",
            "data_checksums",
            "password_encryption",
            "listen_addresses",
            "unix_socket_directories",
        )
        found = [ask(server.dsn, f"SHOW {name}") for name in settings]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn.replace("loopback-only", "guess"))
    assert found == ["on", "on", "scram-sha-256", "127.0.0.1", ""]


def test_a_half_made_cluster_is_not_taken_for_a_cluster(tmp_path: Path) -> None:
    unfinished = tmp_path / "cluster.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18")
    with EmbeddedPostgres.running(tmp_path) as server:
        assert ask(server.dsn, "SELECT 1") == 1
    assert not unfinished.exists()


def test_a_stale_pid_file_with_the_pid_of_a_stranger_does_not_block_the_start(tmp_path: Path) -> None:
    with EmbeddedPostgres.running(tmp_path) as server:
        pid_file = (server.cluster / "postmaster.pid").read_text().splitlines()
    (server.cluster / "postmaster.pid").write_text("\n".join([str(os.getppid()), *pid_file[1:]]))
    server.identity.own(server.cluster)
    with EmbeddedPostgres.running(tmp_path) as again:
        assert ask(again.dsn, "SELECT 1") == 1


def test_no_server_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        servers = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
    assert servers
    _, alive = psutil.wait_procs(servers, timeout=30)
    assert not alive
    with EmbeddedPostgres.running(tmp_path) as server:
        assert ask(server.dsn, "SELECT 1") == 1


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can pass through, which pytest's own are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@as_root
@identities
def test_every_identity_serves_the_data_that_another_left(open_folder: Path, identity: ServerIdentity) -> None:
    if not can_serve(identity, open_folder, binary("postgres")):
        pytest.skip("this machine does not grant it")
    if identity is not NOBODY:
        open_folder.chmod(0o700)
    for current in (identity, None, identity):
        with EmbeddedPostgres.running(open_folder / "home", identity=current) as server:
            assert ask(server.dsn, "SELECT current_user") == "screenalytics"


@as_root
def test_no_permission_changes_outside_the_data_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    parents = [folder for folder in (closed, *closed.parents) if folder != Path("/")]
    before = [stat.S_IMODE(folder.stat().st_mode) for folder in parents]
    with EmbeddedPostgres.running(closed / "home") as server:
        assert ask(server.dsn, "SELECT 1") == 1
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in parents] == before


async def test_killed_servers_run_again_and_keep_their_data(supervised: Any, tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "data")
    directory.prepare()
    settings, ports = LocalSettings(data_dir=directory.path, workers=False), SystemPorts.choose(None)
    password = directory.secrets().postgres_password
    dsn = EmbeddedPostgres(directory.postgres, ports.postgres, password).dsn
    async with supervised(system_tiers(settings, directory, ports)[:2]) as watched:
        await watched.all_started()
        write_row(dsn)
        for name in ("postgres", "nats"):
            before = watched.status(name)
            os.kill(before.pid, signal.SIGKILL)
            after = await watched.ready(name, but_not_pid=before.pid)
            assert after.port == before.port
        assert ask(dsn, "SELECT n FROM kept") == 42
    assert {part.state for part in watched.supervisor.statuses} == {PartState.STOPPED}


def test_a_broken_cluster_is_told_in_the_words_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir(mode=0o700)
    with pytest.raises(SystemUnavailable, match=r"postgresql\.conf"), EmbeddedPostgres.running(tmp_path):
        pass
