"""What the default models are judged by, held against independent arithmetic."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models" / "training"))

from agreement import Agreement, agree
from sources import Split
from verification import verification

from services.detector.families import Detections


def some_faces(count: int, people: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, people, count)
    vectors = rng.standard_normal((people, 32))[labels] + spread * rng.standard_normal((count, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels.astype(
        np.int32
    )


def test_verification_agrees_with_scikit_learn_and_with_counting() -> None:
    vectors, labels = some_faces(120, 9, spread=2.5)
    pairs = [(i, j) for i in range(120) for j in range(i + 1, 120)]
    cosines = np.array([vectors[i] @ vectors[j] for i, j in pairs])
    same = np.array([labels[i] == labels[j] for i, j in pairs])
    found = verification(vectors, labels)
    assert found["auc"] == pytest.approx(roc_auc_score(same, cosines), abs=1e-6)
    far = (cosines[~same] > found["cosine_at_far_1pct"]).mean()
    assert 0.009 < far <= 0.01
    tar = (cosines[same] > found["cosine_at_far_1pct"]).mean()
    assert found["tar_at_far_1pct"] == pytest.approx(tar, abs=0.01)


def test_people_who_cannot_be_confused_are_told_apart_without_error() -> None:
    found = verification(*some_faces(60, 5, spread=0.1))
    assert found["auc"] == 1.0
    assert found["tar_at_far_01pct"] == 1.0


def detections(*rows: tuple[float, float, float, float]) -> Detections:
    """(x, y, side, score) each; landmarks at fixed places of the box."""
    places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    boxes = np.array([[x, y, x + side, y + side] for x, y, side, _ in rows], np.float32).reshape(-1, 4)
    points = np.array([np.array([x, y]) + places * side for x, y, side, _ in rows], np.float32).reshape(
        -1, 5, 2
    )
    return Detections(boxes, np.array([row[3] for row in rows], np.float32), points)


def test_only_large_and_sure_faces_of_the_teacher_are_wanted() -> None:
    teacher = detections((0, 0, 100, 0.9), (200, 0, 20, 0.9), (400, 0, 100, 0.6))
    found = agree(teacher, detections((0, 0, 100, 0.8)))
    assert (found.wanted, found.found, found.shown, found.confirmed) == (1, 1, 1, 1)
    assert found.landmark_errors == [0.0]


def test_a_face_that_the_teacher_does_not_see_costs_precision_and_a_missed_one_recall() -> None:
    teacher = detections((0, 0, 100, 0.9))
    total = Agreement.total([agree(teacher, detections((300, 0, 100, 0.8))), agree(teacher, detections())])
    assert (total.figures()["recall"], total.figures()["precision"]) == (0.0, 0.0)


def test_landmarks_are_measured_in_eye_distances() -> None:
    found = agree(detections((0, 0, 100, 0.9)), detections((4, 0, 100, 0.8)))
    assert found.landmark_errors == [pytest.approx(0.1)]  # 4 px, and the eyes are 40 px apart


def test_no_clip_is_both_learned_from_and_held_out() -> None:
    split = Split.load()
    assert not set(split.clips_for_training) & set(split.clips_held_out)
    assert len(split.people_held_out) == 40
