"""ByteTrack over boxes of faces that move as they please."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.kalman import BoxFilter
from services.detector.tracker import NO_TRACK, Tracker, TrackerSettings, iou_matrix

SETTINGS = TrackerSettings(high_score=0.7, match_iou=0.2, max_lost_s=1.0)
STEP_S = 0.2


def box(x: float, y: float = 100.0, size: float = 50.0) -> list[float]:
    return [x, y, x + size, y + size]


class Run:
    """A tracker fed one sampled frame per step."""

    def __init__(self) -> None:
        self.tracker = Tracker(SETTINGS)
        self.ts = 0.0

    def see(self, *boxes: list[float], score: float = 0.9) -> list[int]:
        self.ts += STEP_S
        scores = np.full(len(boxes), score)
        return self.tracker.update(self.ts, np.array(boxes, np.float32).reshape(-1, 4), scores)


def test_a_face_keeps_its_track_while_it_moves() -> None:
    run = Run()
    assert [run.see(box(100 + 30 * i)) for i in range(10)] == [[0]] * 10


def test_two_faces_side_by_side_keep_their_tracks_in_any_order() -> None:
    run = Run()
    assert run.see(box(100), box(170)) == [0, 1]
    assert run.see(box(172), box(103)) == [1, 0]
    assert run.see(box(106), box(175)) == [0, 1]


def test_a_face_that_jumps_across_the_frame_is_another_track() -> None:
    run = Run()
    run.see(box(100))
    assert run.see(box(600)) == [1]


def test_a_face_in_the_same_place_but_much_larger_is_another_track() -> None:
    run = Run()
    run.see(box(100, size=40))
    assert run.see(box(80, y=80, size=100)) == [1]


def test_a_weak_box_goes_on_with_a_track_but_starts_none() -> None:
    run = Run()
    run.see(box(100))
    assert run.see(box(105), score=0.5) == [0]
    assert run.see(box(400), score=0.5) == [NO_TRACK]


def test_a_weak_box_does_not_find_a_lost_track() -> None:
    run = Run()
    run.see(box(100))
    run.see()
    assert run.see(box(100), score=0.5) == [NO_TRACK]
    assert run.see(box(100)) == [0]


def test_a_face_hidden_for_a_moment_is_found_where_its_motion_leads() -> None:
    run = Run()
    for i in range(5):
        run.see(box(100 + 20 * i))
    run.see()
    assert run.see(box(100 + 20 * 6)) == [0]


def test_a_face_beside_the_place_where_another_was_lost_is_another_track() -> None:
    run = Run()
    run.see(box(100))
    run.see()
    assert run.see(box(145)) == [1]


def test_a_track_lost_for_too_long_is_forgotten() -> None:
    run = Run()
    run.see(box(100))
    for _ in range(6):
        run.see()
    assert run.see(box(100)) == [1]
    assert run.tracker.open_ids() == {1}


def test_a_cut_resets_every_track() -> None:
    run = Run()
    assert run.see(box(100), box(300)) == [0, 1]
    run.tracker.reset()
    assert run.see(box(100), box(300)) == [2, 3]


def test_a_stride_longer_than_the_patience_still_tracks() -> None:
    tracker = Tracker(SETTINGS)
    ids = [tracker.update(2.0 * i, np.array([box(100)]), np.array([0.9])) for i in range(4)]
    assert ids == [[0]] * 4


def test_equal_inputs_give_equal_tracks() -> None:
    def track_crowd() -> list[list[int]]:
        rng = np.random.default_rng(3)
        run = Run()
        return [run.see(*(box(x) for x in rng.uniform(0, 900, rng.integers(0, 9)))) for _ in range(50)]

    assert track_crowd() == track_crowd()


def test_a_filter_learns_a_steady_velocity() -> None:
    motion = BoxFilter(np.array(box(0)))
    for i in range(1, 20):
        motion.predict(STEP_S)
        motion.update(np.array(box(10.0 * i)))
    motion.predict(STEP_S)
    assert motion.box[0] == pytest.approx(200, abs=2)


def test_a_filter_steps_by_seconds_however_they_are_divided() -> None:
    once, twice = BoxFilter(np.array(box(0))), BoxFilter(np.array(box(0)))
    for motion in (once, twice):
        motion.predict(STEP_S)
        motion.update(np.array(box(30)))
    once.predict(0.4)
    twice.predict(0.2)
    twice.predict(0.2)
    np.testing.assert_allclose(once.box, twice.box)
    once.update(np.array(box(80)))
    twice.update(np.array(box(80)))
    np.testing.assert_allclose(once.box, twice.box)


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10]])
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(iou_matrix(a, b), [[1.0, 1 / 3, 0.0]])
