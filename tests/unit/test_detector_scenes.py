"""The cut rule over recorded scores."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.scenes import MIN_SHOT_FRAMES, CutRule, Shot, find_cuts, find_shots

RULE = CutRule(threshold=27.0, ratio=2.0)


def scores(length: int, peaks: dict[int, float], *, level: float = 1.0) -> np.ndarray:
    values = np.full(length, level)
    values[0] = np.nan
    for frame, score in peaks.items():
        values[frame] = score
    return values


def test_a_lone_peak_above_the_threshold_starts_a_shot() -> None:
    assert find_cuts(scores(100, {40: 60.0}), RULE) == [40]


def test_a_peak_below_the_threshold_is_motion() -> None:
    assert find_cuts(scores(100, {40: 26.0}), RULE) == []


def test_a_peak_amid_scores_as_large_is_motion() -> None:
    shaky = scores(100, {40: 45.0}, level=30.0)
    assert find_cuts(shaky, RULE) == []


def test_a_cut_into_motion_is_found_when_it_stands_out() -> None:
    values = scores(100, {40: 60.0})
    values[41:] = 12.0
    assert find_cuts(values, RULE) == [40]


def test_repeated_frames_of_slow_film_do_not_hide_its_motion() -> None:
    values = scores(100, {}, level=0.0)
    values[1::2] = 30.0
    assert find_cuts(values, RULE) == []


def test_a_blended_frame_splits_a_cut_into_two_halves_that_make_one_cut() -> None:
    assert find_cuts(scores(100, {40: 20.0, 41: 22.0}), RULE) == [41]


def test_the_strongest_of_peaks_close_together_is_the_cut() -> None:
    assert find_cuts(scores(100, {40: 50.0, 42: 70.0}), RULE) == [42]


def test_no_shot_is_shorter_than_the_least_length() -> None:
    peaks = {MIN_SHOT_FRAMES - 1: 80.0, 50: 80.0, 50 + MIN_SHOT_FRAMES: 70.0, 98: 80.0}
    assert find_cuts(scores(100, peaks), RULE) == [50, 50 + MIN_SHOT_FRAMES]


def test_unknown_scores_are_no_cuts() -> None:
    assert find_cuts(np.full(50, np.nan), RULE) == []


def test_without_a_threshold_the_video_is_one_shot() -> None:
    values = scores(100, {40: 60.0})
    assert find_shots(values, CutRule(None, 2.0)) == [Shot(0, 100, None)]


def test_shots_cover_every_frame_and_carry_the_score_of_their_cut() -> None:
    found = find_shots(scores(100, {40: 60.0, 70: 90.0}), RULE)
    assert found == [Shot(0, 40, None), Shot(40, 70, 60.0), Shot(70, 100, 90.0)]


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_short_videos_have_no_cuts(length: int) -> None:
    values = np.full(length, 80.0)
    assert find_cuts(values, RULE) == []
    assert len(find_shots(values, RULE)) == min(length, 1)
