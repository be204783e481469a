from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.kit.errors import DataDirUnusable
from services.local.data_dir import DataDir, write_atomically


def test_a_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "a" / "b")
    directory.prepare()
    assert {path.name for path in directory.path.iterdir()} == {"store", "scratch"}


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match=r"file/data cannot be written: Not a directory"):
        DataDir(tmp_path / "file" / "data").prepare()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files")
def test_a_directory_that_takes_no_files_is_found_out_by_writing() -> None:
    with pytest.raises(DataDirUnusable, match="cannot be written"):
        DataDir(Path("/proc/self")).prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataDirUnusable, match="Permission denied"):
        DataDir(tmp_path).prepare()


def test_too_little_space_is_told_in_figures(tmp_path: Path) -> None:
    with pytest.raises(DataDirUnusable, match=r"has \d+ MB free and a system needs 1000000000000 MB"):
        DataDir(tmp_path).prepare(required_free_bytes=10**18)


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    secrets = DataDir(tmp_path).secrets()
    assert DataDir(tmp_path).secrets() == secrets
    assert secrets.postgres_password != secrets.nats_password
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_the_password_of_an_existing_database_is_not_made_up(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    with pytest.raises(DataDirUnusable, match=r"secrets\.json is missing"):
        DataDir(tmp_path).secrets()


def test_broken_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(DataDirUnusable, match=r"secrets\.json cannot be read"):
        DataDir(tmp_path).secrets()


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    write_atomically(target, {"n": 1}, durable=True)
    with pytest.raises(TypeError):
        write_atomically(target, {"n": object()}, durable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
    assert '"n": 1' in target.read_text()
