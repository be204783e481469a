from __future__ import annotations

import numpy as np

from services.clusterer.constraints import Observations, co_visible_tracks

LEFT, RIGHT = (0, 0, 100, 100), (300, 0, 400, 100)
NO_CUTS = np.array([0])


def seen(*rows):
    """Rows of (frame, track, box) at 25 frames a second."""
    frames = np.array([row[0] for row in rows], np.int64)
    tracks = np.array([row[1] for row in rows], np.int64)
    boxes = np.array([row[2] for row in rows], np.float32).reshape(-1, 4)
    return Observations(frames, tracks, frames / 25.0, boxes)


def side_by_side(frames, a=1, b=2, box_a=LEFT, box_b=RIGHT):
    return [row for frame in frames for row in ((frame, a, box_a), (frame, b, box_b))]


def test_two_faces_in_two_frames_are_two_people():
    assert co_visible_tracks(seen(*side_by_side([5, 10])), NO_CUTS) == {(1, 2)}


def test_one_common_frame_proves_nothing():
    rows = [*side_by_side([5]), (10, 1, LEFT), (15, 2, RIGHT)]
    assert co_visible_tracks(seen(*rows), NO_CUTS) == set()


def test_two_boxes_on_one_face_are_not_two_people():
    rows = side_by_side([5, 10, 15], box_b=(20, 0, 120, 100))
    assert co_visible_tracks(seen(*rows), NO_CUTS) == set()


def test_faces_that_touch_are_still_two_people():
    rows = side_by_side([5, 10, 15], box_b=(60, 0, 160, 100))
    assert co_visible_tracks(seen(*rows), NO_CUTS) == {(1, 2)}


def test_frames_on_either_side_of_a_cut_do_not_count():
    rows = side_by_side([49, 50])
    assert co_visible_tracks(seen(*rows), np.array([0, 50])) == set()
    assert co_visible_tracks(seen(*rows), NO_CUTS) == {(1, 2)}


def test_a_dissolve_from_one_person_to_the_next_keeps_neither_apart():
    fading = [(frame, 1, LEFT) for frame in range(0, 60, 5)]
    appearing = [(frame, 2, RIGHT) for frame in range(45, 120, 5)]
    assert co_visible_tracks(seen(*fading, *appearing), NO_CUTS) == set()


def test_a_dissolve_with_a_cut_in_its_middle_keeps_neither_apart():
    tail = [(frame, 1, LEFT) for frame in (52, 54, 56)]
    shot = [(frame, 2, RIGHT) for frame in range(52, 120, 2)]
    assert co_visible_tracks(seen(*tail, *shot), np.array([0, 50])) == set()


def test_a_second_person_who_comes_and_goes_is_kept_apart():
    stays = [(frame, 1, LEFT) for frame in range(0, 100, 5)]
    passes = [(frame, 2, RIGHT) for frame in (40, 45)]
    assert co_visible_tracks(seen(*stays, *passes), NO_CUTS) == {(1, 2)}


def test_two_people_in_a_shot_shorter_than_a_dissolve_are_kept_apart():
    assert co_visible_tracks(seen(*side_by_side([20, 25, 30])), np.array([0, 18, 34])) == {(1, 2)}


def test_every_pair_of_a_group_is_kept_apart():
    row = [(frame, track, (track * 200, 0, track * 200 + 90, 90)) for frame in (5, 10) for track in (3, 1, 2)]
    assert co_visible_tracks(seen(*row), NO_CUTS) == {(1, 2), (1, 3), (2, 3)}


def test_nothing_seen_keeps_nothing_apart():
    assert co_visible_tracks(seen(), NO_CUTS) == set()
