"""A graph must be what its catalog entry says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.kit.inference.catalog import ChannelOrder, DetectorEntry, EmbedderEntry, SimilarityEntry
from services.kit.inference.session import TensorSpec
from services.kit.inference.signature import signature_fault, takes_batches

FILE = {"file": "x.onnx", "sha256": "0" * 64, "licence": "MIT"}
YUNET = DetectorEntry(name="d", family="yunet", channels=ChannelOrder.BGR, size_multiple_px=32, **FILE)
SCRFD = YUNET.model_copy(update={"family": "scrfd", "max_batch": 1})
EMBEDDER = EmbedderEntry(
    name="e",
    channels=ChannelOrder.BGR,
    size_px=112,
    dimensions=128,
    template=[(0.5, 0.5)] * 5,
    face_threshold=0.3,
    track_threshold=0.3,
    **FILE,
)
SIMILARITY = SimilarityEntry(name="s", **FILE)

IMAGE = TensorSpec("input", "float32", (None, 3, None, None))
FACE = TensorSpec("input", "float32", (None, 3, 112, 112))
VECTOR = TensorSpec("embedding", "float32", (None, 128))
YUNET_OUTPUTS = [
    TensorSpec(f"{name}_{stride}", "float32", (None, None, axis))
    for stride in (8, 16, 32)
    for name, axis in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
]
SCRFD_OUTPUTS = [TensorSpec(str(i), "float32", (None, axis)) for i, axis in enumerate((1, 4, 10) * 3)]
MATRICES = [TensorSpec(name, "float32", (None, None)) for name in ("rows", "columns", "similarities")]


def test_graphs_that_fit_have_no_fault() -> None:
    assert signature_fault(YUNET, [IMAGE], YUNET_OUTPUTS) is None
    assert signature_fault(SCRFD, [replace(IMAGE, shape=(1, 3, None, None))], SCRFD_OUTPUTS) is None
    assert signature_fault(EMBEDDER, [FACE], [VECTOR]) is None
    assert signature_fault(SIMILARITY, MATRICES[:2], MATRICES[2:]) is None


def test_a_graph_that_takes_pixels_fits_an_entry_that_says_float32_and_not_the_other_way_round() -> None:
    assert signature_fault(EMBEDDER, [replace(FACE, dtype="uint8")], [VECTOR]) is None
    pixels = EMBEDDER.model_copy(update={"input_dtype": "uint8"})
    assert "float32" in str(signature_fault(pixels, [FACE], [VECTOR]))


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([FACE, FACE], [VECTOR], "2 inputs"),
        ([replace(FACE, dtype="float16")], [VECTOR], "float16"),
        ([replace(FACE, shape=(None, 3, 160, 160))], [VECTOR], "160"),
        ([replace(FACE, shape=(None, 112, 112, 3))], [VECTOR], "112, 112, 3"),
        ([replace(FACE, shape=(1, 3, 112, 112))], [VECTOR], "max_batch"),
        ([FACE], [replace(VECTOR, shape=(None, 512))], "512"),
        ([FACE], [], "no output"),
    ],
)
def test_an_embedder_that_does_not_fit_is_told_by_what(
    inputs: list[TensorSpec], outputs: list[TensorSpec], said: str
) -> None:
    assert said in str(signature_fault(EMBEDDER, inputs, outputs))


def test_a_detector_without_its_familys_outputs_is_refused() -> None:
    assert "no output cls_8" in str(signature_fault(YUNET, [IMAGE], YUNET_OUTPUTS[1:]))
    assert "scrfd's nine" in str(
        signature_fault(SCRFD, [replace(IMAGE, shape=(1, 3, None, None))], YUNET_OUTPUTS)
    )
    wrong = [replace(YUNET_OUTPUTS[0], shape=(None, None, 2)), *YUNET_OUTPUTS[1:]]
    assert "last axis 1" in str(signature_fault(YUNET, [IMAGE], wrong))


def test_a_similarity_model_with_other_names_or_types_is_refused() -> None:
    assert signature_fault(SIMILARITY, MATRICES[:1], MATRICES[2:]) is not None
    halves = [replace(spec, dtype="float16") for spec in MATRICES]
    assert signature_fault(SIMILARITY, halves[:2], halves[2:]) is not None


def test_only_graphs_whose_first_axes_vary_take_batches() -> None:
    assert takes_batches(EMBEDDER, [FACE], [VECTOR])
    assert not takes_batches(EMBEDDER, [FACE], [replace(VECTOR, shape=(1, 128))])
    assert not takes_batches(SCRFD, [IMAGE], SCRFD_OUTPUTS)
    assert not takes_batches(SIMILARITY, MATRICES[:2], MATRICES[2:])
