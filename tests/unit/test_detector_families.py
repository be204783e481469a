"""Raw outputs of detector graphs, made by hand, and what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector import scrfd, yunet
from services.detector.detect import InputSize, input_size
from services.detector.families import Detections, suppress
from services.kit.inference.catalog import ChannelOrder, DetectorEntry

ENTRY = DetectorEntry(
    name="any", file="any.onnx", sha256="0" * 64, licence="MIT", family="yunet", channels=ChannelOrder.BGR,
    size_multiple_px=32,
)  # fmt: skip


def yunet_outputs(batch: int, size: int) -> dict[str, np.ndarray]:
    outputs = {}
    for stride in yunet.STRIDES:
        cells = (size // stride) ** 2
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((batch, cells, width), np.float32)
    return outputs


def test_yunet_places_a_box_by_its_cell() -> None:
    outputs = yunet_outputs(2, 64)
    cell = 3 * 4 + 1  # row 3, column 1 of the 4 x 4 cells at stride 16
    outputs["cls_16"][1, cell], outputs["obj_16"][1, cell] = 0.81, 0.64
    outputs["bbox_16"][1, cell] = [0.5, 0.25, np.log(2.0), np.log(1.0)]
    outputs["kps_16"][1, cell] = [0.5, 0.25] * 5
    boxes, scores, landmarks = yunet.decode(outputs, 64, 64)
    assert boxes.shape == (2, 84, 4)
    best = int(scores[1].argmax())
    assert scores[1, best] == pytest.approx(0.72)
    assert scores[0].max() == 0
    np.testing.assert_allclose(boxes[1, best], [24 - 16, 52 - 8, 24 + 16, 52 + 8])
    np.testing.assert_allclose(landmarks[1, best], [[24, 52]] * 5)


def test_scrfd_measures_a_box_from_its_anchor() -> None:
    outputs = {}
    for i, stride in enumerate(scrfd.STRIDES):
        anchors = (64 // stride) ** 2 * scrfd.ANCHORS_PER_CELL
        for name, width in (("a", 1), ("b", 4), ("c", 10)):
            outputs[f"{name}{i}"] = np.zeros((anchors, width), np.float32)
    anchor = 2 * (1 * 2 + 1) + 1  # row 1, column 1 of the 2 x 2 cells at stride 32, second anchor
    outputs["a2"][anchor] = 0.9
    outputs["b2"][anchor] = [1.0, 0.5, 0.25, 0.75]
    outputs["c2"][anchor] = [0.0, 0.0, 0.5, 0.5, 0, 0, 0, 0, 0, 0]
    boxes, scores, landmarks = scrfd.decode(outputs, 64, 64)
    best = int(scores[0].argmax())
    assert scores[0, best] == pytest.approx(0.9)
    np.testing.assert_allclose(boxes[0, best], [0, 16, 40, 56])
    np.testing.assert_allclose(landmarks[0, best, :2], [[32, 32], [48, 48]])


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40], [60, 60, 70, 70]], np.float32)
    scores = np.array([0.8, 0.9, 0.95, 0.2], np.float32)
    landmarks = np.arange(40, dtype=np.float32).reshape(4, 5, 2)
    kept = suppress(Detections(boxes, scores, landmarks), score_threshold=0.5, nms_iou=0.3)
    np.testing.assert_array_equal(kept.scores, scores[[2, 1]])
    np.testing.assert_array_equal(kept.boxes, boxes[[2, 1]])
    np.testing.assert_array_equal(kept.landmarks, landmarks[[2, 1]])


def test_no_anchor_above_the_threshold_is_no_face() -> None:
    nothing = Detections(np.zeros((7, 4), np.float32), np.zeros(7, np.float32), np.zeros((7, 5, 2), np.float32))
    kept = suppress(nothing, score_threshold=0.5, nms_iou=0.3)
    assert (kept.boxes.shape, kept.scores.shape, kept.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


@pytest.mark.parametrize(
    ("frame", "long_side", "expected"),
    [
        ((1920, 1080), 640, InputSize(640, 360, 640, 384)),
        ((1080, 1920), 640, InputSize(360, 640, 384, 640)),
        ((320, 240), 640, InputSize(320, 240, 320, 256)),  # never enlarged
        ((2000, 3), 640, InputSize(640, 1, 640, 32)),
    ],
)
def test_a_frame_is_shrunk_to_the_long_side_and_padded(
    frame: tuple[int, int], long_side: int, expected: InputSize
) -> None:
    assert input_size(*frame, long_side, ENTRY) == expected


def test_a_graph_of_one_size_gets_that_size() -> None:
    fixed = ENTRY.model_copy(update={"fixed_size_px": (480, 640)})
    assert input_size(1920, 1080, 960, fixed) == InputSize(640, 360, 640, 480)
    assert input_size(1000, 2000, 640, fixed) == InputSize(240, 480, 640, 480)
