"""Every values file on every Kubernetes version renders to documents that its schemas accept."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
from helm_python import lint

from tests.chart.helm import CHART, CRDS, KUBERNETES, VALUES, rendered, texts, values_of, versions_for
from tests.conftest import required_tool, skip_or_fail

# The library reads its schemas anew for every document.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)

_MODELS = Path(__file__).parent / "kubernetes_models"
CASES = [(name, version) for name in VALUES for version in versions_for(name)]


def test_there_are_values_files_enough() -> None:
    assert len(VALUES) >= 12
    assert len(CASES) >= 3 * 12


@pytest.mark.parametrize(("name", "version"), CASES)
def test_every_document_fits_kubernetes_own_schema_strictly(name: str, version: str) -> None:
    built_in = [d for d in rendered(name, version).documents if d["apiVersion"] not in CRDS]
    assert built_in
    for document in built_in:
        minor = version.rpartition(".")[0]
        kubernetes_validate.validate(document, minor, strict=True)


def test_every_custom_resource_fits_the_model_of_its_operator() -> None:
    node = required_tool("node")
    if not (_MODELS / "node_modules").is_dir():
        skip_or_fail("tests/chart/kubernetes_models/node_modules (make chart-models)")
    custom = [d for name in VALUES for d in rendered(name).documents if d["apiVersion"] in CRDS]
    broken = {**custom[0], "spec": {"nonsense": True}}
    done = subprocess.run(
        [node, "validate.mjs"],
        cwd=_MODELS,
        input=json.dumps([*custom, broken]),
        text=True,
        capture_output=True,
        check=True,
    )
    *faults, of_the_broken = json.loads(done.stdout)
    assert faults == [None] * len(custom)
    assert of_the_broken is not None


def test_the_values_files_render_every_kind_of_custom_resource() -> None:
    kinds = {d["kind"] for name in VALUES for d in rendered(name).documents if d["apiVersion"] in CRDS}
    assert kinds == {
        "BackendTLSPolicy",
        "GRPCRoute",
        "HTTPRoute",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
    }


@pytest.mark.parametrize("name", VALUES)
def test_rendering_twice_is_byte_identical(name: str) -> None:
    assert texts(values_of(name)) == texts(values_of(name))


def test_no_template_looks_into_the_cluster_or_at_chance() -> None:
    for path in sorted((CHART / "templates").rglob("*.*")):
        text = path.read_text("utf-8")
        for word in ("lookup", "randAlpha", "randNumeric", "genCA", "uuidv4", "now |", "(now)"):
            assert f" {word} " not in text, (path.name, word)
            assert f"({word} " not in text, (path.name, word)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kubernetes", [KUBERNETES[-1]])
def test_helm_lint_finds_nothing(name: str, kubernetes: str) -> None:
    if set(CRDS) & {d["apiVersion"] for d in rendered(name).documents}:
        pytest.skip("lint cannot be told of CRDs")
    report = lint(CHART, values_of(name), strict=True, kube_version=f"v{kubernetes}")
    assert [m for m in report["messages"] if m["severity"] > 1] == []
    assert not report["errors"]


@pytest.mark.parametrize("name", VALUES)
def test_names_are_short_enough_and_no_two_documents_share_one(name: str) -> None:
    names = [(d["kind"], d["metadata"]["name"]) for d in rendered(name).documents]
    assert len(names) == len(set(names))
    assert max(len(name) for _, name in names) <= 63
