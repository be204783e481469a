"""The models that ship: small, whole, licensed, and fed with pixels as they are."""

from __future__ import annotations

import onnx
import pytest

from services.kit.inference.catalog import SHIPPED_DIR, Catalog, DetectorEntry, EmbedderEntry
from services.kit.inference.ort import open_session
from services.kit.inference.placement import PIXEL_NODE_PREFIX, Provider

LARGEST_BYTES = {"detector": 1_000_000, "embedder": 6_000_000}
ROLES = sorted(LARGEST_BYTES)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(None)


@pytest.mark.parametrize("role", ROLES)
def test_the_default_model_ships_and_is_small(catalog: Catalog, role: str) -> None:
    path = catalog.path(catalog.default(role))
    assert path.parent == SHIPPED_DIR
    assert path.stat().st_size <= LARGEST_BYTES[role]


@pytest.mark.parametrize("role", ROLES)
def test_the_default_model_has_a_card_that_names_its_file_and_what_was_held_out(
    catalog: Catalog, role: str
) -> None:
    entry = catalog.entry(catalog.default(role))
    card = (SHIPPED_DIR / f"{entry.name}.md").read_text("utf-8")
    assert entry.sha256 in card
    for chapter in ("Data", "Teacher", "Licence", "Measured", "Limits", "Known bias", "Held out"):
        assert f"## {chapter}" in card


@pytest.mark.parametrize("role", ROLES)
def test_normalisation_is_in_the_graph_and_every_node_works_on_pixels(catalog: Catalog, role: str) -> None:
    entry = catalog.entry(catalog.default(role))
    assert isinstance(entry, DetectorEntry | EmbedderEntry)
    graph = onnx.load(catalog.path(entry.name)).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert (entry.input_dtype, entry.mean, entry.std) == ("uint8", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    # So named, no node passes for shape arithmetic: with a GPU asked for, none may stay on the CPU.
    assert all(node.name.startswith(PIXEL_NODE_PREFIX) for node in graph.node)


@pytest.mark.parametrize("role", ROLES)
def test_the_batch_is_free(catalog: Catalog, role: str) -> None:
    path = catalog.path(catalog.default(role))
    session = open_session(path, requested=Provider.CPU, allow_cpu=True, threads=1)
    assert session.inputs[0].shape[0] is None
    assert session.inputs[0].dtype == "uint8"
