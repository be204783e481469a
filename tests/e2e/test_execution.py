"""Where the command executes: on the remote system when it answers, else here; kept for each episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.client import Client
from services.local import SystemHandle
from services.local.ports import LOOPBACK, choose_ports

QUICK = ("--json", "--device", "cpu", "--profile", "low_power")


@pytest.fixture
def nowhere() -> str:
    return f"http://{LOOPBACK}:{choose_ports(1)[0]}"


@pytest.fixture(scope="session")
def remote_run(screenalytics: Any, system: SystemHandle, media_dir: Path) -> Any:
    """One run that the environment sends to a remote system, which answers."""
    args = ("run", media_dir / "asl_book.mkv", *QUICK, "--ep-id", "chosen")
    return screenalytics(*args, SCREENALYTICS_API__URL=system.state.api_url)


def test_the_remote_system_is_used_when_it_answers_and_the_choice_is_kept(
    remote_run: Any, screenalytics: Any, system: SystemHandle, client: Client
) -> None:
    assert remote_run.status == 0, remote_run.err
    record = remote_run.record
    assert (record["execution_mode"], record["execution_place"]) == ("auto", "remote")
    assert client.job(record["job_id"]).execution_place == "remote"
    status = screenalytics("status", "chosen", "--json")  # no address: it is remembered
    assert status.record["execution_place"] == "remote"
    assert status.record["episode_uid"] == client.episode("chosen").episode_uid


def test_the_choice_stands_in_the_marker(
    remote_run: Any, screenalytics: Any, system: SystemHandle, tmp_path: Path
) -> None:
    ended = screenalytics("export", "chosen", "--out", tmp_path)
    assert ended.status == 0, ended.err
    marker = json.loads((tmp_path / "runs" / "detect_track.json").read_text())
    assert (marker["execution_mode"], marker["execution_place"]) == ("auto", "remote")


def test_an_episode_is_trashed_and_restored_where_it_is(
    remote_run: Any, screenalytics: Any, client: Client
) -> None:
    trashed = screenalytics("trash", "chosen", "--json")
    assert trashed.status == 0, trashed.err
    assert trashed.record["episode_uid"] not in {episode.episode_uid for episode in client.episodes()}
    restored = screenalytics("restore", "chosen", "--json")
    assert restored.status == 0, restored.err
    assert client.episode("chosen").episode_uid == trashed.record["episode_uid"]


def test_a_remote_system_that_does_not_answer_leaves_this_machine_and_says_so(
    screenalytics: Any, system: SystemHandle, nowhere: str, media_dir: Path
) -> None:
    args = ("run", media_dir / "asl_book.mkv", *QUICK, "--ep-id", "fallen-back")
    data_dir = ("--data-dir", system.settings.data_dir)
    ended = screenalytics(*args, *data_dir, SCREENALYTICS_API__URL=nowhere)
    assert ended.status == 0, ended.err
    assert f"the system at {nowhere} does not answer: running on this machine instead" in ended.err
    assert any("does not answer" in warning for warning in ended.record["warnings"])
    assert ended.record["execution_place"] == "local"


@pytest.mark.parametrize("options", [("--mode", "remote", "--api"), ("--api",)])
def test_a_remote_system_that_is_asked_for_by_name_must_answer(
    screenalytics: Any, nowhere: str, media_dir: Path, options: tuple[str, ...]
) -> None:
    ended = screenalytics("run", media_dir / "asl_book.mkv", *QUICK, *options, nowhere)
    assert ended.status == 4
    assert ended.record["error"]["code"] == "system-unavailable"


def test_local_stays_local_whatever_the_environment_offers(
    screenalytics: Any, system: SystemHandle, media_dir: Path
) -> None:
    args = ("run", media_dir / "asl_book.mkv", *QUICK, "--ep-id", "stays", "--mode", "local")
    env = {"SCREENALYTICS_API__URL": system.state.api_url}
    ended = screenalytics(*args, "--data-dir", system.settings.data_dir, **env)
    assert ended.status == 0, ended.err
    assert (ended.record["execution_mode"], ended.record["execution_place"]) == ("local", "local")
    status = screenalytics("status", "stays", "--json", **env)
    assert "staying on this machine" in status.err
    assert status.status == 2  # the default data folder has no system


def test_remote_without_an_address_is_bad_input(screenalytics: Any, media_dir: Path) -> None:
    ended = screenalytics("run", media_dir / "asl_book.mkv", *QUICK, "--mode", "remote")
    assert ended.status == 2
    assert "--api" in ended.record["error"]["hint"]
