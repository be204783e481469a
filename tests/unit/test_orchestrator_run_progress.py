"""What a stage run shows of its tasks' progress."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.messages import MediaInfo
from services.orchestrator.run_progress import run_progress

# 1,000 frames at 25 fps: segments of 400, 400 and 200.
INFO = MediaInfo(640, 360, 25, 1, 40.0, "h264", 1, 1000, 1000, first_pts=0)
BOUNDS = ((None, 16_000), (16_000, 32_000), (32_000, None))
FRAMES = (400, 400, 200)


def said(
    done: float,
    total: float,
    *,
    rate: float | None = None,
    phase: str = "detect",
    unit: str = "frames",
    at: str = "1",
) -> dict[str, Any]:
    return {
        "phase": phase,
        "done": done,
        "total": total,
        "unit": unit,
        "fraction": done / total,
        "rate": rate,
        "eta_s": None,
        "at": at,
    }


def task(kind: str, state: str, progress: dict[str, Any] | None = None, ordinal: int = 0) -> dict[str, Any]:
    segment = None
    if kind == "segment":
        start, end = BOUNDS[ordinal]
        bounds = {"start_pts": start, "end_pts": end}
        segment = {"ordinal": ordinal} | {k: v for k, v in bounds.items() if v is not None}
    return {"kind": kind, "ordinal": ordinal, "state": state, "progress": progress, "segment": segment}


def segments(*facts: tuple[str, dict[str, Any] | None]) -> list[dict[str, Any]]:
    return [
        task("plan", "done"),
        *(task("segment", state, progress, i) for i, (state, progress) in enumerate(facts)),
    ]


def shown(tasks: list[dict[str, Any]], info: MediaInfo | None = INFO) -> dict[str, Any]:
    progress = run_progress(tasks, info)
    assert progress is not None
    return progress


def test_frames_and_rates_of_all_segments_are_summed() -> None:
    progress = shown(
        segments(("live", said(100, 400, rate=20)), ("live", said(50, 400, rate=30)), ("live", None))
    )
    assert (progress["done"], progress["total"], progress["unit"]) == (150, 1000, "frames")
    assert progress["fps"] == progress["rate"] == 50
    assert progress["eta_s"] == pytest.approx(850 / 50)
    assert progress["phase"] == "detect"


def test_a_finished_segment_counts_whole_though_its_last_snapshot_was_lost() -> None:
    progress = shown(segments(("done", None), ("live", said(100, 400)), ("live", None)))
    assert progress["done"] == 500
    assert progress["fraction"] == pytest.approx(0.01 + 0.94 * (1 + 0.25) / 3)


def test_the_rate_outlives_the_change_to_the_next_segment() -> None:
    progress = shown(segments(("done", said(400, 400, rate=20)), ("live", said(1, 400)), ("live", None)))
    assert progress["rate"] == 20
    assert progress["eta_s"] == pytest.approx(599 / 20)
    between = shown(segments(("done", said(400, 400, rate=20)), ("live", None), ("live", None)))
    assert (between["done"], between["rate"]) == (400, 20)


def test_without_a_rate_there_is_no_eta() -> None:
    progress = shown(segments(("live", said(1, 400)), ("live", None), ("live", None)))
    assert (progress["rate"], progress["fps"], progress["eta_s"]) == (None, None, None)


def test_a_video_of_which_nothing_is_known_takes_segments_for_alike() -> None:
    progress = shown(segments(("live", said(100, 400)), ("live", None), ("live", None)), info=None)
    assert progress["total"] == 1200


def test_the_last_step_is_shown_in_its_own_units() -> None:
    tasks = [
        *segments(*(("done", said(n, n, rate=20)) for n in FRAMES)),
        task("stitch", "live", said(1, 2, phase="stitch", unit="steps", at="2")),
    ]
    progress = shown(tasks)
    assert (progress["phase"], progress["done"], progress["total"], progress["fps"]) == ("stitch", 1, 2, None)


def test_until_the_last_step_is_heard_of_all_frames_are_done() -> None:
    tasks = [*segments(*(("done", said(n, n, rate=20)) for n in FRAMES)), task("stitch", "live")]
    progress = shown(tasks)
    assert (progress["phase"], progress["done"], progress["total"]) == ("detect", 1000, 1000)
    assert progress["eta_s"] == 0


def test_a_stage_of_one_task_shows_that_task() -> None:
    progress = shown([task("whole", "live", said(30, 90, rate=10, phase="embed", unit="chips"))])
    assert (progress["phase"], progress["done"], progress["rate"], progress["fps"]) == ("embed", 30, 10, None)
    assert progress["fraction"] == pytest.approx(1 / 3)


def test_a_run_of_which_nothing_is_heard_shows_nothing() -> None:
    assert run_progress([task("plan", "live")], None) is None
    assert run_progress([], None) is None


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10)), max_size=30))
def test_frames_and_fraction_never_fall_while_work_goes_on(steps: list[tuple[int, int]]) -> None:
    """Each step moves one segment on by tenths; at its end it is done."""
    done = [0, 0, 0]
    before = (0.0, 0.0)
    for ordinal, tenths in steps:
        done[ordinal] = min(10, done[ordinal] + tenths)
        facts: list[tuple[str, dict[str, Any] | None]] = [
            ("done" if d == 10 else "live", said(n * d / 10, n) if d else None)
            for n, d in zip(FRAMES, done, strict=True)
        ]
        progress = run_progress(segments(*facts), INFO)
        if progress is not None:
            now = (progress["done"], progress["fraction"])
            assert now >= before
            assert progress["total"] == 1000
            before = now
