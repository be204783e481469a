"""Progress that only moves forward, with a smoothed rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.messages import Progress
from services.orchestrator.progress import Snapshot, snapshot

START = datetime(2026, 1, 1, tzinfo=UTC)


def progress(done: float, *, at_s: float, total: float = 100, phase: str = "decode") -> Progress:
    at = (START + timedelta(seconds=at_s)).isoformat()
    return Progress("j", "r", "t", "a", 1, "detect_track", phase, done, total, "frames", at)


def story(*steps: Progress) -> list[Snapshot]:
    shown: list[Snapshot] = []
    for step in steps:
        shown.append(snapshot(step, shown[-1] if shown else None))
    return shown


def test_the_first_snapshot_knows_no_rate() -> None:
    (first,) = story(progress(10, at_s=0))
    assert (first.fraction, first.rate, first.eta_s) == (0.1, None, None)


def test_a_steady_rate_gives_the_time_that_is_left() -> None:
    last = story(*(progress(10 * i, at_s=i) for i in range(6)))[-1]
    assert last.rate == pytest.approx(10)
    assert last.eta_s == pytest.approx(5)


def test_a_stutter_moves_the_rate_only_a_little() -> None:
    shown = story(*(progress(10 * i, at_s=i) for i in range(6)), progress(50, at_s=6))
    assert shown[-1].rate is not None
    assert 5 < shown[-1].rate < 10


def test_a_snapshot_that_arrives_late_takes_nothing_back() -> None:
    shown = story(progress(50, at_s=5), progress(40, at_s=4))
    assert shown[-1].done == 50
    assert shown[-1].fraction == 0.5


def test_a_new_phase_counts_its_own_units_and_keeps_the_fraction() -> None:
    shown = story(progress(90, at_s=1), progress(1, at_s=2, total=10, phase="write"))
    assert shown[-1].done == 1
    assert shown[-1].phase == "write"
    assert shown[-1].fraction == 0.9
    assert shown[-1].rate is None


def test_a_phase_without_a_total_has_no_fraction_and_does_not_divide_by_it() -> None:
    (only,) = story(progress(5, at_s=0, total=0))
    assert only.fraction == 0.0
    assert only.eta_s is None


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6), st.floats(-5, 100), st.floats(0, 1e6), st.sampled_from(["decode", "write"])
        ),
        max_size=12,
    )
)
def test_the_fraction_never_falls_and_the_rate_is_never_negative(
    steps: list[tuple[float, float, float, str]],
) -> None:
    shown = story(*(progress(d, at_s=s, total=t, phase=p) for d, s, t, p in steps))
    fractions = [s.fraction for s in shown]
    assert fractions == sorted(fractions)
    assert all(0 <= f <= 1 for f in fractions)
    assert all(s.rate is None or s.rate >= 0 for s in shown)
    assert all(s.eta_s is None or s.eta_s >= 0 for s in shown)
