"""Similarity alignment: exact where it can be, and free of aliasing where a face shrinks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.kit.alignment import (
    ARCFACE_112,
    CHIP_PX,
    CHIP_TEMPLATE,
    Affine,
    Image,
    similarity_transform,
    transform_points,
    warp,
)

RANDOM = np.random.default_rng(7)


def similarity(scale: float, angle_deg: float, dx: float, dy: float) -> Affine:
    radians = np.radians(angle_deg)
    a, b = scale * np.cos(radians), scale * np.sin(radians)
    return np.array([[a, -b, dx], [b, a, dy]], np.float32)


@pytest.mark.parametrize(
    ("scale", "angle_deg", "dx", "dy"), [(1, 0, 0, 0), (0.31, 33, -40, 12), (4.2, -120, 900, 3), (1, 180, 5, 5)]
)
def test_a_similarity_is_recovered_exactly(scale: float, angle_deg: float, dx: float, dy: float) -> None:
    wanted = similarity(scale, angle_deg, dx, dy)
    found = similarity_transform(ARCFACE_112, transform_points(ARCFACE_112, wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-3)


def test_noisy_points_get_the_least_squares_fit_of_umeyama() -> None:
    target = transform_points(ARCFACE_112, similarity(0.8, 15, 3, -7))
    target = target + RANDOM.normal(0, 2, target.shape).astype(np.float32)
    found = similarity_transform(ARCFACE_112, target)

    def cost(affine: Affine) -> float:
        return float(((transform_points(ARCFACE_112, affine) - target) ** 2).sum())

    for step in (1e-2, -1e-2):
        for change in np.eye(4):
            a, b, dx, dy = np.array([found[0, 0], found[1, 0], found[0, 2], found[1, 2]]) + step * change
            assert cost(np.array([[a, -b, dx], [b, a, dy]], np.float32)) > cost(found)


def test_mirrored_points_are_not_mirrored_back() -> None:
    mirrored = (ARCFACE_112 * np.array([-1, 1])).astype(np.float32)
    found = similarity_transform(ARCFACE_112, mirrored)
    assert np.linalg.det(found[:, :2]) >= 0


def test_points_that_are_all_equal_give_a_translation() -> None:
    source = np.full((5, 2), 3.0, np.float32)
    found = similarity_transform(source, ARCFACE_112)
    np.testing.assert_allclose(found[:, :2], np.eye(2))
    np.testing.assert_allclose(transform_points(source, found)[0], ARCFACE_112.mean(0), rtol=1e-5)


def test_the_chip_template_stands_in_the_middle_with_room_on_every_side() -> None:
    corners = np.array([[0, 0], [112, 112]], np.float32)
    crop = transform_points(corners, similarity_transform(ARCFACE_112, CHIP_TEMPLATE))
    np.testing.assert_allclose(crop.mean(0), CHIP_PX / 2, atol=1e-3)
    assert crop.min() > 0.08 * CHIP_PX
    assert crop.max() < 0.92 * CHIP_PX


def smooth_image(height: int, width: int, *, detail_px: int = 40) -> Image:
    small = RANDOM.integers(0, 255, (height // detail_px, width // detail_px, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def test_the_identity_returns_the_image() -> None:
    image = smooth_image(192, 192)
    np.testing.assert_array_equal(warp(image, similarity(1, 0, 0, 0), 192), image)


@pytest.mark.parametrize(("factor", "x", "y"), [(3, 0, 0), (4, 100, 40), (8, 64, 64), (5, 37, 11)])
def test_a_shrinking_warp_equals_the_area_downsampled_reference(factor: int, x: int, y: int) -> None:
    """An upright shrink by a whole factor has a reference: the mean of each square of pixels."""
    image = smooth_image(1200, 1200, detail_px=20 * factor)
    size_px = 96
    shift = (factor - 1) / 2  # centres of pixels, not corners
    affine = similarity(1 / factor, 0, -(x + shift) / factor, -(y + shift) / factor)
    crop = image[y : y + size_px * factor, x : x + size_px * factor].astype(np.float32)
    reference = crop.reshape(size_px, factor, size_px, factor, 3).mean((1, 3))
    difference = np.abs(warp(image, affine, size_px).astype(np.float32) - reference)
    assert difference.mean() < 1.0
    assert np.quantile(difference, 0.99) < 4.0


def test_a_shrinking_warp_does_not_alias_fine_stripes() -> None:
    stripes = np.zeros((960, 960, 3), np.uint8)
    stripes[:, ::2] = 255
    affine = similarity(0.2, 20, 0, 0)
    inside = np.s_[60:120, 60:120]
    filtered = warp(stripes, affine, 192)[inside].astype(np.float32)
    sampled = cv2.warpAffine(stripes, affine, (192, 192))[inside].astype(np.float32)
    assert abs(filtered.mean() - 127.5) < 4
    assert filtered.std() < sampled.std() / 2


@pytest.mark.parametrize("angle_deg", [0, 25, 90, -160])
def test_a_point_lands_where_its_transform_says_when_it_shrinks(angle_deg: float) -> None:
    image = np.zeros((1000, 1000, 3), np.uint8)
    spot = np.array([[520.0, 430.0]], np.float32)
    cv2.circle(image, (520, 430), 24, (255, 255, 255), -1)
    radians = np.radians(angle_deg)
    linear = 0.2 * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    offset = np.array([96.0, 90.0]) - linear @ spot[0]
    affine = np.hstack([linear, offset[:, None]]).astype(np.float32)
    weight = warp(image, affine, 192)[..., 0].astype(np.float64)
    rows, columns = np.indices(weight.shape)
    centre = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
    np.testing.assert_allclose(centre, transform_points(spot, affine)[0], atol=0.3)


def test_a_face_at_the_border_is_filled_with_the_border() -> None:
    image = np.full((300, 300, 3), 90, np.uint8)
    for scale in (1.0, 0.3):
        warped = warp(image, similarity(scale, 10, 150, 150), CHIP_PX)
        np.testing.assert_array_equal(warped, np.full((CHIP_PX, CHIP_PX, 3), 90, np.uint8))


def test_a_face_outside_the_image_gives_pixels_and_no_failure() -> None:
    image = smooth_image(200, 200)
    for scale in (1.0, 0.2):
        warped = warp(image, similarity(scale, 0, 5000, -5000), CHIP_PX)
        assert warped.shape == (CHIP_PX, CHIP_PX, 3)
        assert warped.dtype == np.uint8
