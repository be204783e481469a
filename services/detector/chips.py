"""Which faces of a track are kept as chips: the best by quality, spread over the track's time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_FINEST_BIN_S = 1 / 16
_COARSEST_BIN_S = 1.0  # so at least one per second stays
_SPARE = 2  # candidates per wanted chip, since the final tracks may be cut or joined otherwise


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    ts: float
    quality: float
    chip: T


class CandidateBins(Generic[T]):
    """The candidates of one growing tracklet: the best of each time bin.

    Bins stand on the video's clock and double in width as the tracklet grows, until about twice as many are
    left as chips are wanted or a bin is a second wide. So what is held grows by one chip per second.
    """

    def __init__(self, chips_per_track: int) -> None:
        self._wanted = _SPARE * chips_per_track
        self._width_s = _FINEST_BIN_S
        self._best: dict[int, Candidate[T]] = {}

    def offer(self, ts: float, quality: float, make: Callable[[], T]) -> None:
        """`make` is called only for a face that is kept. Of equals the first stays."""
        key = int(ts // self._width_s)
        held = self._best.get(key)
        if held is None or quality > held.quality:
            self._best[key] = Candidate(ts, quality, make())
        while len(self._best) > self._wanted and self._width_s < _COARSEST_BIN_S:
            self._coarsen()

    def candidates(self) -> Iterator[Candidate[T]]:
        """In order of time."""
        return iter(self._best[key] for key in sorted(self._best))

    def _coarsen(self) -> None:
        self._width_s *= 2
        merged: dict[int, Candidate[T]] = {}
        for candidate in self.candidates():
            key = int(candidate.ts // self._width_s)
            if key not in merged or candidate.quality > merged[key].quality:
                merged[key] = candidate
        self._best = merged


def pick_chips(candidates: Sequence[tuple[float, float]], chips_per_track: int) -> list[int]:
    """Which of one track's (ts, quality), in order of time, are kept: indices, ascending.

    The best of every second; then, up to `chips_per_track`, the best of as many equal spans of the track's
    time; then the best that are left.
    """
    if not candidates:
        return []
    first, last = candidates[0][0], candidates[-1][0]
    span_s = max((last - first) / chips_per_track, 1e-9)
    of_seconds = _best_per_bin(candidates, lambda ts: int(ts // _COARSEST_BIN_S))
    of_spans = _best_per_bin(candidates, lambda ts: min(int((ts - first) / span_s), chips_per_track - 1))
    everything = range(len(candidates))
    picked = dict.fromkeys(of_seconds)
    for pool in (of_spans, everything):
        for i in sorted(pool, key=lambda i: (-candidates[i][1], i)):
            if len(picked) >= chips_per_track:
                break
            picked.setdefault(i)
    return sorted(picked)


def _best_per_bin(candidates: Sequence[tuple[float, float]], bin_of: Callable[[float], int]) -> list[int]:
    best: dict[int, int] = {}
    for i, (ts, quality) in enumerate(candidates):
        key = bin_of(ts)
        if key not in best or quality > candidates[best[key]][1]:
            best[key] = i
    return list(best.values())
