from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from services.cli.app import app


def test_the_sample_command_makes_the_folder_it_writes_to(tmp_path: Path) -> None:
    video = tmp_path / "made" / "for it" / "s.mp4"
    ended = CliRunner().invoke(app, ["sample", str(video), "--seconds", "4", "--size", "320x180"])
    assert ended.exit_code == 0, ended.output
    assert video.is_file()
    assert video.with_suffix(".json").is_file()


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ended = CliRunner().invoke(app, ["sample", str(tmp_path / "file" / "s.mp4"), "--seconds", "4"])
    assert ended.exit_code == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
