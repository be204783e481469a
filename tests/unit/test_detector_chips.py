"""Which faces of a track are kept as chips."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.chips import CandidateBins, pick_chips


def test_a_growing_tracklet_keeps_about_twice_the_wanted_and_one_per_second() -> None:
    bins: CandidateBins[int] = CandidateBins(chips_per_track=6)
    rng = np.random.default_rng(0)
    qualities = rng.uniform(size=5000)
    for i, quality in enumerate(qualities):
        bins.offer(i / 25, float(quality), lambda i=i: i)
    kept = [c.chip for c in bins.candidates()]
    seconds = qualities.reshape(-1, 25)
    assert kept == [25 * s + int(seconds[s].argmax()) for s in range(200)]


def test_a_short_tracklet_keeps_enough_to_choose_from() -> None:
    bins: CandidateBins[int] = CandidateBins(chips_per_track=6)
    for i in range(10):
        bins.offer(i * 0.2, 0.5, lambda i=i: i)
    assert len(list(bins.candidates())) >= 6


def test_a_chip_is_made_only_for_a_face_that_is_kept() -> None:
    bins: CandidateBins[str] = CandidateBins(chips_per_track=2)
    bins.offer(0.001, 0.9, lambda: "best")
    bins.offer(0.002, 0.8, lambda: pytest.fail("made a chip for a worse face"))
    assert [c.chip for c in bins.candidates()] == ["best"]


def test_every_second_of_a_long_track_keeps_its_best_chip() -> None:
    candidates = [(i / 5, 0.5 + 0.1 * (i % 5 == 3)) for i in range(100)]
    picked = pick_chips(candidates, 6)
    assert [i for i in picked if i % 5 == 3] == picked
    assert [int(candidates[i][0]) for i in picked] == list(range(20))


def test_a_short_track_keeps_as_many_chips_as_wanted_spread_over_its_time() -> None:
    candidates = [(i / 25, 0.9 - 0.001 * i) for i in range(50)]
    picked = pick_chips(candidates, 6)
    assert len(picked) == 6
    assert max(np.diff(picked)) <= 17
    assert picked[-1] >= 40


def test_a_track_with_few_candidates_keeps_them_all() -> None:
    assert pick_chips([(0.0, 0.1), (0.2, 0.9)], 6) == [0, 1]
    assert pick_chips([], 6) == []


def test_the_best_candidate_is_always_kept() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        ts = np.sort(rng.uniform(0, 8, 30))
        quality = rng.uniform(size=30)
        picked = pick_chips(list(zip(ts.tolist(), quality.tolist(), strict=True)), 4)
        assert int(quality.argmax()) in picked
