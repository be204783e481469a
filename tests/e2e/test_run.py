"""From a video to a table, and what can be asked for afterwards."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.client import Client
from services.local import SystemHandle, read_state

STAGES = ("detect_track", "faces_embed", "cluster")


@pytest.fixture(scope="session")
def ended_run(run: Callable[..., Any], media_dir: Path) -> Any:
    """One run of a clip with four shots of people, which the tests below look at."""
    return run(media_dir / "short_hamilton_clip.mp4", "--profile", "low_power", "--ep-id", "hamilton")


def test_a_run_succeeds_on_the_device_that_was_asked_for(ended_run: Any) -> None:
    assert ended_run.status == 0, ended_run.err
    record = ended_run.record
    assert (record["ep_id"], record["state"]) == ("hamilton", "succeeded")
    assert {stage: record["stages"][stage]["state"] for stage in STAGES} == dict.fromkeys(STAGES, "succeeded")
    devices = {(s["requested_device"], s["resolved_device"]) for s in record["stages"].values()}
    assert devices == {("cpu", "cpu")}


def test_a_run_finds_people_within_the_video(ended_run: Any) -> None:
    identities = ended_run.record["identities"]
    assert identities
    for one in identities:
        assert one["track_ids"]
        assert 0 <= one["first_ts"] <= one["last_ts"] < 9.3
        assert 0 < one["screen_time_s"] <= 9.3


def test_every_artifact_lies_where_the_run_says(ended_run: Any) -> None:
    artifacts = ended_run.record["artifacts"]
    assert {"tracks", "faces", "identities"} <= artifacts.keys()
    assert all(Path(location).stat().st_size > 0 for location in artifacts.values())


def test_running_on_the_cpu_is_said_aloud(ended_run: Any) -> None:
    assert "running on the CPU of this machine" in ended_run.err
    assert any("CPU" in warning for warning in ended_run.record["warnings"])


def test_without_json_the_identities_are_a_table_on_stdout(
    ended_run: Any, screenalytics: Any, system: SystemHandle, media_dir: Path
) -> None:
    video, data_dir = media_dir / "short_hamilton_clip.mp4", system.settings.data_dir
    options = ("--device", "cpu", "--profile", "low_power", "--ep-id", "hamilton", "--data-dir", data_dir)
    ended = screenalytics("run", video, *options, "--save-crops", "--jpeg-quality", "95")
    assert ended.status == 0, ended.err
    assert "screen time" in ended.out.splitlines()[0]
    assert ended_run.record["identities"][0]["identity_id"] in ended.out
    assert "every face crop is saved" in ended.err
    assert "JPEG quality 95" in ended.err


def test_the_status_of_an_episode_names_each_phase(
    ended_run: Any, screenalytics: Any, system: SystemHandle
) -> None:
    ended = screenalytics("status", ended_run.record["ep_id"], "--json", "--data-dir", system.settings.data_dir)
    assert ended.status == 0, ended.err
    phases = ended.record["phases"]
    assert {stage: phases[stage]["status"] for stage in STAGES} == dict.fromkeys(STAGES, "success")


def test_the_status_of_the_system_names_its_processes_and_models(
    screenalytics: Any, system: SystemHandle
) -> None:
    ended = screenalytics("status", "--json", "--data-dir", system.settings.data_dir)
    assert ended.status == 0, ended.err
    names = {process["name"] for process in ended.record["processes"]}
    assert names == {"postgres", "nats", "orchestrator", "detector", "embedder", "clusterer"}
    models = [model for worker in ended.record["workers"] for model in worker["models"]]
    assert models
    assert {(model["requested"], model["effective"]) for model in models} == {("cpu", "cpu")}


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
def test_an_export_writes_every_table_and_marker(
    ended_run: Any, screenalytics: Any, system: SystemHandle, tmp_path: Path, fmt: str
) -> None:
    ep_id, data_dir = ended_run.record["ep_id"], system.settings.data_dir
    ended = screenalytics("export", ep_id, "--format", fmt, "--out", tmp_path / "out", "--data-dir", data_dir)
    assert ended.status == 0, ended.err
    written = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert {str(Path(line).relative_to(tmp_path / "out")) for line in ended.out.splitlines()} == written
    assert {f"tracks.{fmt}", f"faces.{fmt}", *(f"runs/{stage}.json" for stage in STAGES)} <= written
    marker = json.loads((tmp_path / "out" / "runs" / "cluster.json").read_text())
    assert marker["status"] == "success"
    tracks = (tmp_path / "out" / f"tracks.{fmt}").read_text()
    rows = list(csv.DictReader(tracks.splitlines())) if fmt == "csv" else tracks.splitlines()
    assert len(rows) >= len(ended_run.record["identities"])


def test_an_episode_that_does_not_exist_is_bad_input(
    screenalytics: Any, system: SystemHandle, tmp_path: Path
) -> None:
    data_dir = system.settings.data_dir
    assert screenalytics("status", "nobody", "--data-dir", data_dir).status == 2
    ended = screenalytics("export", "nobody", "--out", tmp_path / "out", "--data-dir", data_dir)
    assert ended.status == 2
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_cancels_its_job(
    screenalytics: Any, system: SystemHandle, client: Client, media_dir: Path
) -> None:
    data_dir = system.settings.data_dir
    options = ("--device", "cpu", "--profile", "performance", "--ep-id", "interrupted", "--data-dir", data_dir)
    process = screenalytics.start("run", media_dir / "episode_composite.mp4", "--json", *options)
    said = read_until(process, "detect_track: running")
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, said + rest
    record = json.loads(out)
    assert record["error"]["code"] == "interrupted"
    assert client.job(record["job_id"]).state == "cancelled"


def test_a_run_sends_the_video_to_a_system_at_an_address(
    screenalytics: Any, system: SystemHandle, media_dir: Path
) -> None:
    video, api_url = media_dir / "asl_book.mkv", system.state.api_url
    ended = screenalytics("run", video, "--json", "--device", "cpu", "--ep-id", "sent", "--api", api_url)
    assert ended.status == 0, ended.err
    assert f"uploading asl_book.mkv to {api_url}" in ended.err
    assert len(ended.record["identities"]) == 1


def test_a_run_joins_the_job_of_a_run_that_was_killed(
    screenalytics: Any, system: SystemHandle, client: Client, media_dir: Path
) -> None:
    options = ("--json", "--device", "cpu", "--ep-id", "joined", "--data-dir", system.settings.data_dir)
    args = ("run", media_dir / "episode_composite.mp4", "--profile", "performance", *options)
    first = screenalytics.start(*args)
    read_until(first, "detect_track: running")
    first.kill()
    first.communicate()
    (job,) = client.jobs(ep_id="joined", active=True)
    second = screenalytics.start(*args)
    said = read_until(second, "following that one")
    second.terminate()
    out, rest = second.communicate(timeout=60)
    assert second.returncode == 143, said + rest
    assert json.loads(out)["job_id"] == job.job_id
    assert client.job(job.job_id).state == "cancelled"


def test_two_runs_at_once_on_one_folder_both_succeed(
    screenalytics: Any, media_dir: Path, tmp_path: Path
) -> None:
    """The one that starts the system may end first, and then stops it; the other goes on with its own."""
    options = ("--json", "--device", "cpu", "--profile", "low_power", "--data-dir", tmp_path / "data")
    short = screenalytics.start("run", media_dir / "asl_book.mkv", *options)
    read_until(short, "starting a system")
    long = screenalytics.start("run", media_dir / "facenet_pytorch_video.mp4", *options)
    for process in (short, long):
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert json.loads(out)["state"] == "succeeded"
    assert read_state(tmp_path / "data") is None


def test_a_run_outlives_the_death_of_the_system_it_started(
    screenalytics: Any, media_dir: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    options = ("--device", "cpu", "--profile", "low_power", "--data-dir", data_dir)
    process = screenalytics.start("run", media_dir / "short_hamilton_clip.mp4", "--json", *options)
    said = read_until(process, "detect_track: running")
    state = read_state(data_dir)
    assert state is not None
    os.kill(state.supervisor_pid, signal.SIGKILL)
    out, rest = process.communicate(timeout=240)
    assert process.returncode == 0, said + rest
    assert json.loads(out)["state"] == "succeeded"
    assert read_state(data_dir) is None


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What the process said on stderr, up to the line with the words."""
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"{words!r} was never said:\n{said}")
