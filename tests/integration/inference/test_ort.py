"""ONNX Runtime in this process: what it refuses, what a composed head answers, and bound memory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.kit.errors import ModelUnusable
from services.kit.inference.catalog import SHIPPED_DIR, Catalog
from services.kit.inference.images import to_batch
from services.kit.inference.ort import OrtOptions, OrtRuntime, open_session
from services.kit.inference.ort_binding import DeviceBinding
from services.kit.inference.pixel_head import ready_to_run
from services.kit.inference.placement import Provider
from services.kit.inference.session import BatchedSession, Session
from tests.integration.inference.conftest import feeds_for

IMAGE_MODELS = (
    "yunet-n",
    "yunet-2023mar",
    "scrfd-500m",
    "face-reidentification-retail-0095",
    "mobilefacenet-foamliu",
)


def on_cpu(path: Path) -> Session:
    return open_session(path, requested=Provider.CPU, allow_cpu=False, threads=1)


def graph_of(nodes: list[onnx.NodeProto], *weights: onnx.TensorProto, domain: str = "") -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializer=list(weights))
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd"])
def test_a_model_with_external_data_is_refused_even_where_the_data_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    (tmp_path / "models").mkdir()
    for folder in (tmp_path, tmp_path / "models"):
        (folder / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    path = tmp_path / "models" / "model.onnx"
    path.write_bytes(graph_of([helper.make_node("Add", ["x", "w"], ["y"])], weights).SerializeToString())
    monkeypatch.chdir(path.parent)
    with pytest.raises(ModelUnusable) as refused:
        on_cpu(path)
    assert "weights inside" in refused.value.hint


def test_a_model_that_needs_custom_operators_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    node = helper.make_node("Evil", ["x"], ["y"], domain="com.example")
    path.write_bytes(graph_of([node], domain="com.example").SerializeToString())
    with pytest.raises(ModelUnusable):
        on_cpu(path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 50])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelUnusable):
        on_cpu(path)


def test_a_graph_that_its_entry_does_not_describe_is_refused(models_dir: Path, tmp_path: Path) -> None:
    entry = Catalog.load(models_dir).embedder("mobilefacenet-foamliu")
    (tmp_path / entry.file).symlink_to(models_dir / entry.file)
    lines = [
        "[[models]]",
        'role = "embedder"',
        'name = "too-wide"',
        f'file = "{entry.file}"',
        f'sha256 = "{entry.sha256}"',
        'licence = "MIT"',
        'channels = "rgb"',
        "size_px = 112",
        "dimensions = 512",
        f"template = {[list(point) for point in entry.template]}",
        "face_threshold = 0.3",
        "track_threshold = 0.3",
    ]
    (tmp_path / "catalog.toml").write_text("\n".join(lines))
    with pytest.raises(ModelUnusable, match="512 dimensions"):
        OrtRuntime(Catalog.load(tmp_path)).open("too-wide", requested=Provider.CPU, allow_cpu=False, threads=1)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_a_head_in_the_graph_answers_what_scaling_outside_answers(
    catalog: Catalog, tmp_path: Path, name: str
) -> None:
    entry = catalog.entry(name)
    assert entry.role != "similarity"
    headed_path = ready_to_run(catalog.path(name), entry, tmp_path)
    plain, headed = on_cpu(catalog.path(name)), on_cpu(headed_path)
    assert (plain.inputs[0].dtype, headed.inputs[0].dtype) == ("float32", "uint8")
    assert headed.inputs[0].shape == plain.inputs[0].shape
    noise = np.random.default_rng(3).integers(0, 256, (640, 640, 3), np.uint8)
    side = plain.inputs[0].shape[2] or 128
    images = [cv2.resize(noise, (side, side))] * (plain.inputs[0].shape[0] or 2)
    outside, inside = (
        session.run({session.inputs[0].name: to_batch(images, entry, session.inputs[0])})
        for session in (plain, headed)
    )
    for output, value in outside.items():
        np.testing.assert_allclose(inside[output], value, rtol=1e-5, atol=1e-6)


def test_a_head_is_composed_once_and_kept_under_the_models_digest(catalog: Catalog, tmp_path: Path) -> None:
    entry = catalog.entry("yunet-n")
    first = ready_to_run(catalog.path("yunet-n"), entry, tmp_path)
    made_at = first.stat().st_mtime_ns
    assert ready_to_run(catalog.path("yunet-n"), entry, tmp_path) == first
    assert first.stat().st_mtime_ns == made_at
    other = entry.model_copy(update={"sha256": "1" * 64})
    assert ready_to_run(catalog.path("yunet-n"), other, tmp_path) != first
    assert {path.suffix for path in tmp_path.iterdir()} == {".onnx"}


def test_a_cache_that_cannot_be_written_keeps_no_model_from_running(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    runtime = OrtRuntime(catalog, OrtOptions(cache_dir=tmp_path / "cache"))
    session = runtime.open("yunet-n", requested=Provider.CPU, allow_cpu=False, threads=1)
    assert session.inputs[0].dtype == "uint8"


def test_a_cache_that_cannot_be_written_costs_a_process_one_file_a_model(
    catalog: Catalog, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    entry, path = catalog.entry("yunet-n"), catalog.path("yunet-n")
    first = ready_to_run(path, entry, tmp_path / "cache")
    assert ready_to_run(path, entry, tmp_path / "cache") == first
    other = entry.model_copy(update={"sha256": "1" * 64})
    assert ready_to_run(path, other, tmp_path / "cache").parent == first.parent


def test_a_model_that_takes_pixels_by_itself_gets_no_head(catalog: Catalog, tmp_path: Path) -> None:
    entry = catalog.entry("yunet-n").model_copy(update={"input_dtype": "uint8"})
    path = catalog.path("yunet-n")
    assert ready_to_run(path, entry, tmp_path) == path
    assert (
        ready_to_run(SHIPPED_DIR / "similarity.onnx", catalog.entry("similarity"), tmp_path).parent
        == SHIPPED_DIR
    )


def test_bound_memory_answers_what_a_plain_run_answers_for_shape_after_shape(catalog: Catalog) -> None:
    """On the host's memory, since a GPU is not needed to see whether buffers are mixed up."""
    made = ort.InferenceSession(catalog.path("yunet-n").read_bytes(), providers=["CPUExecutionProvider"])
    bound = DeviceBinding(made, "cpu", 0)
    rng = np.random.default_rng(2)
    for side in (64, 96, 64, *range(64, 64 + 32 * 20, 32)):
        for batch in (2, 1):
            feeds = {"input": rng.uniform(0, 255, (batch, 3, side, 64)).astype(np.float32)}
            for ours, plain in zip(bound.run(feeds), made.run(None, feeds), strict=True):
                np.testing.assert_array_equal(ours, plain)


def test_padding_to_a_bucket_changes_no_answer(catalog: Catalog) -> None:
    session = on_cpu(catalog.path("face-reidentification-retail-0095"))
    padded = BatchedSession(session, 8, is_padded=True)
    feeds = feeds_for(session, 11)
    np.testing.assert_allclose(padded.run(feeds)["embedding"], session.run(feeds)["embedding"], atol=1e-5)
