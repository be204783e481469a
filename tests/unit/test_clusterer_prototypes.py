from __future__ import annotations

import numpy as np
import pytest

from services.clusterer.prototypes import track_prototypes


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def prototypes(vectors, tracks, qualities=None, outlier_cosine=0.2):
    tracks = np.asarray(tracks, np.int64)
    weights = np.ones(len(tracks), np.float32) if qualities is None else np.asarray(qualities, np.float32)
    return track_prototypes(np.asarray(vectors, np.float32), tracks, weights, outlier_cosine=outlier_cosine)


def test_a_prototype_leans_towards_the_better_face():
    found = prototypes(unit([[1, 0], [0, 1]]), [7, 7], [0.9, 0.3], outlier_cosine=-1)
    assert found.vectors[0] == pytest.approx(unit([3, 1]), abs=1e-6)


def test_every_prototype_has_unit_length():
    rng = np.random.default_rng(0)
    found = prototypes(unit(rng.standard_normal((40, 16))), rng.integers(0, 9, 40), rng.random(40))
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(np.ones(9), abs=1e-5)


def test_tracks_come_in_ascending_order_however_their_faces_are_mixed():
    found = prototypes(unit([[1, 0], [0, 1], [1, 0], [0, 1]]), [5, 2, 5, 2])
    assert found.track_ids.tolist() == [2, 5]
    assert found.vectors == pytest.approx(np.array([[0, 1], [1, 0]], np.float32))


def test_a_face_of_somebody_else_drops_out_of_its_track():
    faces = unit([[1, 0.1, 0], [1, 0, 0.1], [1, -0.1, 0], [0, 1, 0]])
    found = prototypes(faces, [1, 1, 1, 1])
    assert found.is_outlier.tolist() == [False, False, False, True]
    assert found.vectors[0] @ faces[0] > 0.98
    assert found.is_mixed.tolist() == [False]


def test_a_track_that_jumped_to_another_person_is_mixed():
    faces = unit([[1, 0.1], [1, 0], [1, -0.1], [0, 1], [-0.1, 1]])
    found = prototypes(faces, [1] * 5)
    assert found.is_outlier.tolist() == [False] * 3 + [True] * 2
    assert found.is_mixed.tolist() == [True]


def test_two_strays_that_are_strangers_to_each_other_do_not_make_a_track_mixed():
    faces = unit([[1, 0, 0.1], [1, 0, 0], [1, 0, -0.1], [0, 1, 0], [0, -1, 0]])
    found = prototypes(faces, [1] * 5)
    assert found.is_outlier.tolist() == [False] * 3 + [True] * 2
    assert found.is_mixed.tolist() == [False]


def test_half_and_half_the_better_half_speaks_for_the_track():
    faces = unit([[1, 0], [1, 0.05], [0, 1], [0.05, 1]])
    found = prototypes(faces, [1] * 4, [0.4, 0.4, 0.5, 0.5])
    assert found.is_outlier.tolist() == [True, True, False, False]
    assert found.is_mixed.tolist() == [True]


def test_a_single_face_is_its_tracks_prototype_whatever_its_quality():
    face = unit([[3, 4]])
    found = prototypes(face, [9], [0.0], outlier_cosine=1.0)
    assert found.vectors == pytest.approx(face)
    assert not found.is_outlier.any()


def test_opposite_faces_leave_one_of_them():
    found = prototypes(np.array([[1, 0], [-1, 0]], np.float32), [1, 1], [0.5, 0.5])
    assert found.is_outlier.sum() == 1
    assert np.linalg.norm(found.vectors[0]) == pytest.approx(1)


def test_no_faces_make_no_prototypes():
    found = prototypes(np.empty((0, 8)), [])
    assert found.vectors.shape == (0, 8)
    assert found.track_ids.shape == found.is_mixed.shape == (0,)
