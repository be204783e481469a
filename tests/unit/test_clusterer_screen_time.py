from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clusterer.screen_time import (
    NO_INTERVALS,
    Presence,
    PresenceKind,
    Shot,
    joint_presence,
    subtract,
    total_s,
    track_presence,
    union,
)

LONG = Shot(0.0, 100.0)


def intervals(*rows):
    return np.array(rows, float).reshape(-1, 2)


def test_a_sample_is_worth_half_a_step_on_either_side():
    presence = track_presence(np.array([10.0]), LONG, 0.2)
    assert presence.observed.tolist() == [[pytest.approx(9.9), pytest.approx(10.1)]]


def test_samples_one_step_apart_make_one_interval():
    presence = track_presence(np.array([10.4, 10.0, 10.2]), LONG, 0.2)
    assert presence.observed == pytest.approx(intervals((9.9, 10.5)))
    assert total_s(presence.bridged) == 0


def test_the_jitter_of_frame_times_is_no_gap():
    presence = track_presence(np.array([10.0, 10.24, 10.4]), LONG, 0.2)
    assert len(presence.observed) == 1


def test_a_bridged_gap_is_reported_apart():
    presence = track_presence(np.array([10.0, 11.0]), LONG, 0.2)
    assert presence.observed == pytest.approx(intervals((9.9, 10.1), (10.9, 11.1)))
    assert presence.bridged == pytest.approx(intervals((10.1, 10.9)))


def test_screen_time_never_reaches_over_a_cut():
    presence = track_presence(np.array([10.05, 10.25]), Shot(10.0, 10.3), 0.2)
    assert presence.observed == pytest.approx(intervals((10.0, 10.3)))


def test_the_first_and_last_sample_of_a_shot_reach_to_its_cuts():
    presence = track_presence(np.array([10.18, 10.38]), Shot(10.0, 10.55), 0.2)
    assert presence.observed == pytest.approx(intervals((10.0, 10.55)))


def test_a_sample_that_another_came_before_does_not_reach_to_the_cut():
    presence = track_presence(np.array([10.2, 10.4]), Shot(10.0, 10.65), 0.2)
    assert presence.observed == pytest.approx(intervals((10.1, 10.5)))


def test_the_last_sample_reaches_to_the_cut_when_the_next_one_is_on_it():
    presence = track_presence(np.array([10.0, 10.2, 10.4]), Shot(10.0, 10.6), 0.2)
    assert presence.observed == pytest.approx(intervals((10.0, 10.6)))


def test_a_track_that_was_never_observed_has_no_time():
    presence = track_presence(np.array([]), LONG, 0.2)
    assert presence.observed.shape == presence.bridged.shape == (0, 2)


def test_two_tracks_at_once_count_once():
    first = Presence(intervals((0, 4)), NO_INTERVALS)
    second = Presence(intervals((3, 5)), NO_INTERVALS)
    assert total_s(joint_presence([first, second]).observed) == pytest.approx(5)


def test_time_that_another_track_observed_is_not_bridged():
    gappy = Presence(intervals((0, 1), (5, 6)), intervals((1, 5)))
    other = Presence(intervals((2, 3)), NO_INTERVALS)
    joint = joint_presence([gappy, other])
    assert joint.bridged.tolist() == [[1, 2], [3, 5]]
    assert total_s(joint.observed) == pytest.approx(3)


def test_rows_are_in_order_of_time_and_name_their_kind():
    presence = Presence(intervals((0, 1), (5, 6)), intervals((1, 5)))
    assert presence.rows() == [
        (PresenceKind.OBSERVED, 0, 1),
        (PresenceKind.BRIDGED, 1, 5),
        (PresenceKind.OBSERVED, 5, 6),
    ]


def test_intervals_that_touch_become_one_and_empty_ones_vanish():
    assert union([intervals((1, 2), (3, 3)), intervals((0, 1), (4, 5))]).tolist() == [[0, 2], [4, 5]]


def test_an_interval_inside_another_does_not_shorten_it():
    assert union([intervals((0, 10), (1, 2), (9, 11))]).tolist() == [[0, 11]]


grid = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15)), max_size=12)


def cells(found):
    return {cell for start, end in found.tolist() for cell in range(round(start), round(end))}


@given(grid, grid)
def test_union_and_difference_are_those_of_sets(first, second):
    a = union([intervals(*((s, s + n) for s, n in first))])
    b = union([intervals(*((s, s + n) for s, n in second))])
    cells_a = {cell for s, n in first for cell in range(s, s + n)}
    cells_b = {cell for s, n in second for cell in range(s, s + n)}
    assert cells(a) == cells_a
    assert cells(union([a, b])) == cells_a | cells_b
    assert cells(subtract(a, b)) == cells_a - cells_b
    assert (a[1:, 0] > a[:-1, 1]).all()


@given(st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True))
def test_observed_and_bridged_time_add_up_to_the_span_of_the_track(steps):
    ts = np.array(sorted(steps)) * 0.2 + 10
    presence = track_presence(ts, LONG, 0.2)
    assert total_s(presence.observed) + total_s(presence.bridged) == pytest.approx(ts[-1] - ts[0] + 0.2)
    assert total_s(presence.observed) == pytest.approx(0.2 * len(ts))
