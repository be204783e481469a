"""How the command ends: exit statuses, JSON errors, bad input."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.cli.app import app
from services.cli.options import Profile, SceneDetector, parse_size
from services.cli.outcome import failure_of, reported
from services.cli.screen import Screen
from services.client import ApiError, ApiUnavailable, ClientError, InvalidAddress, UnexpectedAnswer
from services.kit import stage_configs
from services.kit.errors import AcceleratorUnavailable, DataDirUnusable, NotFound, ScreenalyticsError
from services.orchestrator import profiles


def api_error(code: str, hint: str = "") -> ApiError:
    return ApiError(code, title="title", detail="detail", hint=hint, status=400, extras={})


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("gone"), 2),
        (DataDirUnusable("full"), 4),
        (api_error("invalid-media"), 2),
        (api_error("stage-failed"), 1),
        (api_error("accelerator-unavailable"), 3),
        (api_error("a-code-of-a-newer-server"), 1),
        (ApiUnavailable("http://h", "refused"), 4),
        (UnexpectedAnswer("html"), 4),
        (InvalidAddress("h"), 2),
    ],
)
def test_each_error_has_its_exit_status(error: ScreenalyticsError | ClientError, status: int) -> None:
    assert failure_of(error).exit_status == status


@pytest.mark.parametrize(
    "error", [AcceleratorUnavailable("no GPU"), api_error("accelerator-unavailable", "see docs")]
)
def test_a_missing_accelerator_names_both_ways_to_the_cpu(error: ScreenalyticsError | ApiError) -> None:
    hint = failure_of(error).hint
    assert "--device cpu" in hint
    assert "--allow-cpu-fallback" in hint


def test_an_error_is_one_json_line_and_words_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, reported(Screen(as_json=True)):
        raise NotFound("no episode e9", hint="list them")
    captured = capsys.readouterr()
    assert ended.value.exit_code == 2
    error = {"code": "not-found", "message": "no episode e9", "hint": "list them"}
    assert json.loads(captured.out) == {"error": error}
    assert captured.err == "error: no episode e9\nhint: list them\n"


@pytest.mark.parametrize(("args", "status"), [((), 130), ((signal.SIGTERM,), 143)])
def test_a_signal_ends_the_command_with_128_and_its_number(args: tuple[object, ...], status: int) -> None:
    with pytest.raises(typer.Exit) as ended, reported(Screen()):
        raise KeyboardInterrupt(*args)
    assert ended.value.exit_code == status


def test_a_video_that_is_not_there_is_bad_input_before_anything_starts(tmp_path: Path) -> None:
    status, out, err = run("run", str(tmp_path / "[gone].mp4"), "--json", "--data-dir", str(tmp_path / "data"))
    assert status == 2
    assert json.loads(out)["error"]["code"] == "invalid-input"
    assert "no such file" in err
    assert "[gone].mp4" in err
    assert not (tmp_path / "data").exists()


def test_an_empty_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert run("run", str(tmp_path / "empty.mp4"))[0] == 2
    assert run("run", str(tmp_path))[0] == 2


def test_a_truth_that_is_none_is_bad_input_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.json").write_text("{}")
    args = ("run", str(tmp_path / "a.mp4"), "--data-dir", str(tmp_path / "data"), "--truth")
    assert run(*args, str(tmp_path / "a.json"))[0] == 2
    assert run(*args, str(tmp_path / "gone.json"))[0] == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "args",
    [
        ("run",),
        ("run", "a.mp4", "--device", "gpu"),
        ("run", "a.mp4", "--jpeg-quality", "0"),
        ("run", "a.mp4", "--stride", "0"),
        ("run", "a.mp4", "--colour"),
        ("export", "e1"),
        ("logs",),
        ("logs", "j1", "--follow", "--json"),
        ("sample", "a.mp4", "--size", "large"),
        ("fly",),
    ],
)
def test_options_that_do_not_fit_are_exit_status_2(args: tuple[str, ...]) -> None:
    assert run(*args)[0] == 2


def test_an_address_where_nothing_answers_is_exit_status_4_and_bad_text_2(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert run("run", str(tmp_path / "a.mp4"), "--api", "no address")[0] == 2
    assert run("run", str(tmp_path / "a.mp4"), "--api", "http://127.0.0.1:1")[0] == 4


def test_a_query_on_a_folder_without_a_system_makes_none(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert run("status", "--data-dir", str(data_dir))[0] == 4
    assert run("status", "e1", "--data-dir", str(data_dir))[0] == 2
    assert run("export", "e1", "--out", str(tmp_path / "out"), "--data-dir", str(data_dir))[0] == 2
    assert run("jobs", "--data-dir", str(data_dir))[0] == 2
    for command in ("why", "logs", "cancel", "retry", "resume"):
        assert run(command, "j1", "--data-dir", str(data_dir))[0] == 2
    assert run("down", "--data-dir", str(data_dir))[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "up",
        "down",
        "status",
        "jobs",
        "why",
        "logs",
        "cancel",
        "retry",
        "resume",
        "export",
        "sample",
        "version",
    ],
)
def test_each_command_explains_itself(command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert "Usage" in out


def test_a_size_is_width_and_height() -> None:
    assert parse_size("960x540") == (960, 540)


def test_the_choices_offered_are_those_the_system_knows() -> None:
    assert [p.value for p in Profile] == [p.value for p in profiles.Profile]
    assert [d.value for d in SceneDetector] == [d.value for d in stage_configs.SceneDetector]
