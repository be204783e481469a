"""How long a face is on screen, from sampled observations. Pure; times in seconds.

A sample stands for the time that is nearer to it than to any other sample: half a step to either side. It
never reaches over a cut, and the first and last sample of a shot reach to its cut, since nothing else has seen
that part of the shot. Between two samples of a track that are farther apart the tracker has bridged a gap:
that time is reported apart, as bridged, and is no screen time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# Sorted, disjoint [start, end) rows, float64 [K, 2].
Intervals = NDArray[np.float64]
Times = NDArray[np.float64]

NO_INTERVALS: Intervals = np.empty((0, 2))

# Sampled frames are the first at or after each step, so their spacing varies by up to a frame.
_MAX_STEPS_APART = 1.5
# Ends that differ by less are the same instant.
_SAME_S = 1e-6


class PresenceKind(StrEnum):
    OBSERVED = "observed"
    BRIDGED = "bridged"


@dataclass(frozen=True, slots=True)
class Shot:
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Presence:
    """When someone is on screen: `observed`, and `bridged` between observations; the two are disjoint."""

    observed: Intervals
    bridged: Intervals

    def rows(self) -> list[tuple[PresenceKind, float, float]]:
        """(kind, start, end), in order of time."""
        rows = [(PresenceKind.OBSERVED, float(a), float(b)) for a, b in self.observed]
        rows += [(PresenceKind.BRIDGED, float(a), float(b)) for a, b in self.bridged]
        return sorted(rows, key=lambda row: row[1])


def track_presence(ts: Times, shot: Shot, period_s: float) -> Presence:
    """Presence of a track observed at `ts` (any order), all inside `shot`, sampled every `period_s`."""
    ts = np.unique(ts)
    if not len(ts):
        return Presence(NO_INTERVALS, NO_INTERVALS)
    is_gap = np.diff(ts) > _MAX_STEPS_APART * period_s
    firsts, lasts = ts[np.r_[True, is_gap]], ts[np.r_[is_gap, True]]
    starts = np.maximum(firsts - period_s / 2, shot.start_s)
    ends = np.minimum(lasts + period_s / 2, shot.end_s)
    # Within a step of a cut no other sample saw the shot's edge; a shot holds its start and not its end.
    if firsts[0] - shot.start_s < period_s - _SAME_S:
        starts[0] = shot.start_s
    if shot.end_s - lasts[-1] < period_s + _SAME_S:
        ends[-1] = shot.end_s
    observed = union([np.column_stack([starts, ends])])
    return Presence(observed, _between(observed))


def joint_presence(tracks: Sequence[Presence]) -> Presence:
    """Presence of whoever owns all these tracks; time that two of them share counts once."""
    observed = union([track.observed for track in tracks])
    return Presence(observed, subtract(union([track.bridged for track in tracks]), observed))


def total_s(intervals: Intervals) -> float:
    return float((intervals[:, 1] - intervals[:, 0]).sum())


def union(parts: Sequence[Intervals]) -> Intervals:
    """Sorted and disjoint; intervals that touch become one, empty ones vanish."""
    rows = np.concatenate([NO_INTERVALS, *parts])
    rows = rows[rows[:, 1] > rows[:, 0]]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return NO_INTERVALS
    reach = np.maximum.accumulate(rows[:, 1])
    is_start = np.r_[True, rows[1:, 0] > reach[:-1] + _SAME_S]
    is_end = np.r_[is_start[1:], True]
    return np.column_stack([rows[is_start, 0], reach[is_end]])


def subtract(intervals: Intervals, taken: Intervals) -> Intervals:
    """What of `intervals` is not in `taken`; both sorted and disjoint."""
    left: list[tuple[float, float]] = []
    for start, end in intervals.tolist():
        at = start
        for taken_start, taken_end in taken[(taken[:, 1] > start) & (taken[:, 0] < end)].tolist():
            left.append((at, taken_start))
            at = taken_end
        left.append((at, end))
    kept = [(start, end) for start, end in left if end - start > _SAME_S]
    return np.array(kept).reshape(-1, 2)


def _between(intervals: Intervals) -> Intervals:
    return np.column_stack([intervals[:-1, 1], intervals[1:, 0]])
