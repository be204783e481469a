from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.embedder.preprocess import align, decode_chip
from services.kit.alignment import CHIP_PX, CHIP_TEMPLATE
from services.kit.inference.catalog import Catalog


@pytest.fixture(scope="module")
def models():
    catalog = Catalog.load(None)
    return [catalog.embedder(e.name) for e in catalog.entries() if e.role == "embedder"]


def chip_with_dots(points, radius_px=4):
    chip = np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)
    for x, y in points:
        cv2.circle(chip, (round(float(x)), round(float(y))), radius_px, (255, 255, 255), -1)
    return chip


def test_landmarks_land_on_the_models_alignment_points(models):
    for model in models:
        aligned = align(chip_with_dots(CHIP_TEMPLATE), CHIP_TEMPLATE, model)
        assert aligned.shape == (model.size_px, model.size_px, 3)
        for x, y in np.array(model.template) * model.size_px:
            assert aligned[round(y), round(x)].mean() > 128


def test_a_rotated_face_comes_out_upright(models):
    turn = cv2.getRotationMatrix2D((CHIP_PX / 2, CHIP_PX / 2), 25, 0.9)
    turned = (CHIP_TEMPLATE @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    aligned = align(chip_with_dots(turned), turned, models[0])
    eyes = np.array(models[0].template[:2]) * models[0].size_px
    assert all(aligned[round(y), round(x)].mean() > 128 for x, y in eyes)


def test_every_models_crop_lies_inside_the_chip(models):
    # The border of a chip is its margin: no embedder's input may reach past it.
    for model in models:
        frame = np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)
        frame[:2], frame[-2:], frame[:, :2], frame[:, -2:] = 255, 255, 255, 255
        assert align(frame, CHIP_TEMPLATE, model).max() < 255


def test_a_chip_keeps_its_channel_order_through_the_jpeg():
    blue = np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)
    blue[..., 0] = 200
    decoded = decode_chip(cv2.imencode(".jpg", blue, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    assert decoded is not None
    assert decoded.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=4)


def test_bytes_that_are_no_chip_decode_to_nothing():
    small = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    whole = cv2.imencode(".jpg", np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8))[1].tobytes()
    for damaged in (b"", b"not a JPEG", small, whole[:20]):
        assert decode_chip(damaged) is None
