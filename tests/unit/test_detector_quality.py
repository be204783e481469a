"""Pose signs and the order in which chips are preferred."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.detector.quality import estimate_pose, measure_quality
from services.kit.alignment import ARCFACE_112, CHIP_PX, Image, Points, transform_points

FRONTAL: Points = np.array([[40, 50], [80, 50], [60, 70], [45, 90], [75, 90]], np.float32)


def with_nose_moved(dx: float, dy: float) -> Points:
    points = FRONTAL.copy()
    points[2] += (dx, dy)
    return points


def chip(seed: int = 1) -> Image:
    noise = np.random.default_rng(seed).integers(0, 255, (CHIP_PX, CHIP_PX, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.2).astype(np.uint8)


def score(image: Image, points: Points = FRONTAL, *, confidence: float = 0.9, face_px: float = 100) -> float:
    return measure_quality(image, points, confidence=confidence, face_px=face_px).score


def test_a_frontal_face_has_no_yaw_and_no_roll() -> None:
    yaw, pitch, roll = estimate_pose(FRONTAL)
    assert abs(yaw) < 1e-6
    assert abs(pitch) < 1e-6
    assert abs(roll) < 1e-6


def test_a_nose_to_the_images_right_is_a_positive_yaw() -> None:
    assert estimate_pose(with_nose_moved(8, 0))[0] > 5
    assert estimate_pose(with_nose_moved(-8, 0))[0] < -5


def test_a_nose_moved_down_is_a_positive_pitch() -> None:
    assert estimate_pose(with_nose_moved(0, 6))[1] > 5
    assert estimate_pose(with_nose_moved(0, -6))[1] < -5


@pytest.mark.parametrize("angle_deg", [30.0, -45.0, 90.0])
def test_roll_is_the_angle_of_the_eyes_and_leaves_yaw_alone(angle_deg: float) -> None:
    radians = np.radians(angle_deg)
    turn = np.array([[np.cos(radians), -np.sin(radians), 0], [np.sin(radians), np.cos(radians), 0]])
    yaw, _, roll = estimate_pose(transform_points(with_nose_moved(8, 0), turn.astype(np.float32)))
    assert roll == pytest.approx(angle_deg, abs=0.01)
    assert yaw == pytest.approx(estimate_pose(with_nose_moved(8, 0))[0], abs=0.01)


def test_the_arcface_template_is_nearly_frontal() -> None:
    yaw, _, roll = estimate_pose(ARCFACE_112)
    assert abs(yaw) < 3
    assert abs(roll) < 3


def test_degenerate_landmarks_give_a_profile_and_no_nan() -> None:
    yaw, pitch, roll = estimate_pose(np.zeros((5, 2), np.float32))
    assert (yaw, pitch) == (90.0, 0.0)
    assert np.isfinite(roll)


def test_a_sharp_frontal_large_confident_face_is_preferred_to_each_lesser_one() -> None:
    best = score(chip())
    assert 0 < best <= 1
    blurred = cv2.GaussianBlur(chip(), (0, 0), 6).astype(np.uint8)
    flat = (chip() // 16 + 120).astype(np.uint8)
    for worse in (
        score(blurred),
        score(flat),
        score(chip(), with_nose_moved(15, 0)),
        score(chip(), confidence=0.5),
        score(chip(), face_px=20),
    ):
        assert worse < best


def test_more_pixels_than_an_embedder_uses_make_no_difference() -> None:
    assert score(chip(), face_px=200) == score(chip(), face_px=900)


def test_a_black_chip_still_has_a_score_above_zero() -> None:
    black = np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)
    quality = measure_quality(black, FRONTAL, confidence=0.9, face_px=100)
    assert (quality.sharpness, quality.contrast) == (0.0, 0.0)
    assert quality.score > 0
