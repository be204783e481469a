"""`screenalytics import`: a folder of the older system, looked at and left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.client import Client
from services.local import SystemHandle, read_state
from tests.older_data import FLAT, MARKERS, TRACKS, snapshot, write_flat, write_run

EVERYTHING = len(FLAT) + len(MARKERS)


@pytest.fixture
def import_(screenalytics: Any, system: SystemHandle) -> Any:
    return lambda folder, *options: screenalytics(
        "import", folder, "--data-dir", system.settings.data_dir, *options
    )


def test_both_layouts_are_imported_once_and_the_folder_stays_as_it_was(
    import_: Any, client: Client, tmp_path: Path
) -> None:
    write_flat(tmp_path / "manifests" / "old-1", "old-1")
    write_run(tmp_path / "manifests" / "old-2", "run-a", "old-2")
    before = snapshot(tmp_path)
    first, second = import_(tmp_path, "--json"), import_(tmp_path, "--json")
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert first.record["episodes"]["old-1"] == {"imported": EVERYTHING, "replaced": 0, "unchanged": 0}
    assert {e["unchanged"] for e in second.record["episodes"].values()} == {EVERYTHING}
    assert first.record["rejected"] == second.record["rejected"] == []
    assert snapshot(tmp_path) == before
    for ep_id in ("old-1", "old-2"):
        status = client.episode_status(ep_id)
        assert {phase.source for phase in status.phases.values()} == {"imported"}
        assert {phase.status for phase in status.phases.values()} == {"success"}


def test_damaged_files_are_named_and_the_rest_is_imported(import_: Any, client: Client, tmp_path: Path) -> None:
    folder = write_flat(tmp_path / "old-3", "old-3")
    (folder / "faces.jsonl").write_text('{"track_id": 1, "frame_i')
    (folder / "runs" / "cluster.json").write_text("[" * 100_000)
    secret = tmp_path.parent / f"{tmp_path.name}-secret.jsonl"
    secret.write_text(json.dumps(TRACKS[0]))
    (folder / "tracks.jsonl").unlink()
    (folder / "tracks.jsonl").symlink_to(secret)
    ended = import_(tmp_path, "--json")
    assert ended.status == 2, ended.err
    assert ended.record["episodes"]["old-3"]["imported"] == EVERYTHING - 3
    reasons = {one["file"]: one["reason"] for one in ended.record["rejected"]}
    assert set(reasons) == {"old-3/faces.jsonl", "old-3/tracks.jsonl", "old-3/runs/cluster.json"}
    assert "line 1" in reasons["old-3/faces.jsonl"]
    assert "outside" in reasons["old-3/tracks.jsonl"]
    for file in reasons:
        assert f"rejected {file}: " in ended.err
    assert client.episode_status("old-3").phases["detect_track"].status == "partial"


def test_an_imported_episode_is_shown_and_exported_by_the_command(
    import_: Any, screenalytics: Any, system: SystemHandle, tmp_path: Path
) -> None:
    write_flat(tmp_path / "dir", "old-4")
    ended = import_(tmp_path / "dir")
    assert ended.status == 0, ended.err
    assert f"old-4: {EVERYTHING} imported" in ended.out
    data_dir = ("--data-dir", system.settings.data_dir)
    shown = screenalytics("status", "old-4", *data_dir)
    assert shown.out.count("imported") == 3
    assert "2025-11-01 12:00:00 UTC" in shown.out
    exported = screenalytics("export", "old-4", "--out", tmp_path / "out", *data_dir)
    assert exported.status == 0, exported.err
    assert (tmp_path / "out" / "faces.jsonl").read_bytes() == (tmp_path / "dir" / "faces.jsonl").read_bytes()


def test_without_a_running_system_the_import_starts_one_and_stops_it(
    screenalytics: Any, tmp_path: Path
) -> None:
    write_flat(tmp_path / "dir", "old-5")
    data_dir = ("--data-dir", tmp_path / "data")
    assert screenalytics("import", tmp_path / "dir", *data_dir).status == 0
    assert read_state(tmp_path / "data") is None
    status = screenalytics("status", "old-5", "--json", *data_dir)
    assert status.record["phases"]["cluster"]["source"] == "imported"


def test_a_folder_without_older_files_is_bad_input_and_starts_nothing(
    screenalytics: Any, tmp_path: Path
) -> None:
    ended = screenalytics("import", tmp_path, "--json", "--data-dir", tmp_path / "data")
    assert ended.status == 2
    assert ended.record["error"]["code"] == "invalid-input"
    assert not (tmp_path / "data").exists()
