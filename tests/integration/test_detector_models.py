"""Real detector graphs on real pictures."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from services.detector.detect import FaceDetector
from services.detector.families import Detections
from services.detector.tracker import iou_matrix
from services.kit.alignment import Image
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider


@pytest.fixture(scope="module")
def crowd(media_dir: Path) -> Image:
    """1920 x 1080 px, 6 to 9 faces."""
    with av.open(str(media_dir / "facenet_pytorch_video.mp4")) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24")


def detector(models_dir: Path, name: str, *, long_side_px: int = 960) -> FaceDetector:
    catalog = Catalog.load(models_dir)
    session = open_session(catalog.path(name), requested=Provider.CPU, allow_cpu=True, threads=1)
    entry = catalog.detector(name)
    return FaceDetector(session, entry, long_side_px=long_side_px, score_threshold=0.6, nms_iou=0.3)


def opencv_faces(model: Path, image: Image) -> Detections:
    height, width = image.shape[:2]
    reference = cv2.FaceDetectorYN.create(str(model), "", (width, height), 0.6, 0.3, 5000)
    rows = reference.detect(image)[1]
    boxes = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
    return Detections(boxes, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))


def by_score(faces: Detections) -> Detections:
    order = np.argsort(-faces.scores, kind="stable")
    return Detections(faces.boxes[order], faces.scores[order], faces.landmarks[order])


@pytest.mark.parametrize("name", ["yunet-n", "yunet-s"])
def test_yunet_finds_what_opencv_finds(models_dir: Path, crowd: Image, name: str) -> None:
    image = np.ascontiguousarray(cv2.resize(crowd, (960, 540))[:512, :960])
    (found,) = detector(models_dir, name).detect([image])
    expected = by_score(opencv_faces(Catalog.load(models_dir).path(name), image))
    assert len(found) == len(expected) >= 4
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_a_graph_of_one_size_finds_what_opencv_finds(models_dir: Path, crowd: Image) -> None:
    image = np.ascontiguousarray(crowd[300:940, 600:1240])
    (found,) = detector(models_dir, "yunet-2023mar").detect([image])
    expected = by_score(opencv_faces(Catalog.load(models_dir).path("yunet-2023mar"), image))
    assert len(found) == len(expected) >= 2
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=1e-2)


def test_a_batch_finds_what_single_images_find(models_dir: Path, crowd: Image) -> None:
    images = [crowd, np.ascontiguousarray(crowd[:, ::-1]), np.zeros_like(crowd)]
    yunet = detector(models_dir, "yunet-n", long_side_px=640)
    together = yunet.detect(images)
    assert [len(faces) for faces in together][2] == 0
    for image, faces in zip(images, together, strict=True):
        (alone,) = yunet.detect([image])
        np.testing.assert_allclose(faces.boxes, alone.boxes, atol=1e-2)


@pytest.mark.parametrize("name", ["yunet-2023mar", "scrfd-500m"])
def test_every_family_finds_the_same_faces_in_frame_pixels(models_dir: Path, crowd: Image, name: str) -> None:
    (expected,) = detector(models_dir, "yunet-n").detect([crowd])
    found = detector(models_dir, name, long_side_px=640).detect([crowd, crowd])
    for faces in found:
        clear = expected.boxes[expected.scores > 0.85]
        best = iou_matrix(clear, faces.boxes).argmax(axis=1)
        assert iou_matrix(clear, faces.boxes).max(axis=1).min() > 0.5
        centres = faces.landmarks[best].mean(axis=1)
        assert ((clear[:, :2] < centres) & (centres < clear[:, 2:])).all()


def test_landmarks_come_eyes_first_from_image_left(models_dir: Path, crowd: Image) -> None:
    for name in ("yunet-n", "scrfd-500m"):
        (faces,) = detector(models_dir, name).detect([crowd])
        right_eye, left_eye, nose, right_mouth, left_mouth = faces.landmarks[0]
        assert right_eye[0] < left_eye[0]
        assert right_mouth[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


def test_no_images_are_no_detections(models_dir: Path) -> None:
    assert detector(models_dir, "yunet-n").detect([]) == []
