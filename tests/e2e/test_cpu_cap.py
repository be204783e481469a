"""Work on the CPU keeps to its cap over a whole job, and a worker without work takes next to nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.kit.threads import available_cores
from services.local import SystemHandle

STAGES = ("detect_track", "faces_embed", "cluster")
WORKERS = ("detector", "embedder", "clusterer")
_IDLE_WINDOW_S = 5.0


def wall_s(marker: dict[str, Any]) -> float:
    started, finished = (datetime.fromisoformat(marker[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


@pytest.mark.parametrize("cap", [1, 2])
def test_a_job_takes_no_more_cpu_than_its_cap_allows(
    screenalytics: Any, media_dir: Path, tmp_path: Path, cap: int
) -> None:
    if available_cores() < cap:
        pytest.skip(f"{cap} cores are needed")
    clip, data_dir = media_dir / "short_hamilton_clip.mp4", tmp_path / "data"
    options = ("--json", "--device", "cpu", "--profile", "balanced", "--data-dir", data_dir)
    ended = screenalytics("run", clip, *options, SCREENALYTICS_THREADS__MAX_CPU=str(cap))
    assert ended.status == 0, ended.err
    markers = [json.loads(path.read_text()) for path in data_dir.glob("store/*/runs/*.json")]
    assert sorted(marker["phase"] for marker in markers) == sorted(STAGES)
    for marker in markers:
        assert marker["thread_cap"] == cap
        assert marker["threads"] >= 1
        assert 0 < marker["cpu_seconds"] <= cap * wall_s(marker) * 1.05, marker["phase"]


def test_workers_without_work_take_less_than_one_percent_of_a_core(
    run: Callable[..., Any], system: SystemHandle, media_dir: Path
) -> None:
    ended = run(media_dir / "asl_book.mkv", "--ep-id", "before-idleness")
    assert ended.status == 0, ended.err
    pids = {part.name: part.pid for part in system.state.parts if part.name in WORKERS}
    processes = [psutil.Process(pid) for pid in pids.values() if pid is not None]
    assert len(processes) == len(WORKERS)
    time.sleep(1)  # a second after its job a worker has to be quiet
    before = [process.cpu_times() for process in processes]
    time.sleep(_IDLE_WINDOW_S)  # what is measured is what they take while nothing happens
    for process, earlier in zip(processes, before, strict=True):
        now = process.cpu_times()
        used = now.user + now.system - earlier.user - earlier.system
        assert used / _IDLE_WINDOW_S < 0.01, process.cmdline()
