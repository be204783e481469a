"""What Prometheus scrapes, judged by Prometheus' own tool."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

import services.orchestrator.app  # noqa: F401 - registers the orchestrator's series
from services.kit.inference.placement import Provider
from services.kit.inference.session import Inference
from services.kit.messages import ModelPlacement
from services.kit.telemetry import WorkerMetrics
from tests.conftest import required_tool


def _worker_registry() -> CollectorRegistry:
    metrics = WorkerMetrics(thread_cap=2)
    placed = ModelPlacement(
        "yunet-n", "0" * 64, "cuda", "cpu", "onnxruntime", "cpu", {"CPUExecutionProvider": 3}, licence="MIT"
    )
    metrics.expect(["similarity"], Provider.CUDA)
    metrics.follow(lambda: [placed])
    metrics.observe(Inference("yunet-n", Provider.CUDA, items=4, seconds=0.01))
    metrics.tasks.labels("succeeded").inc()
    return metrics.registry


@pytest.mark.parametrize("registry", [REGISTRY, _worker_registry()], ids=["orchestrator", "worker"])
def test_promtool_finds_no_fault_with_the_metrics(registry: CollectorRegistry) -> None:
    own = "\n".join(
        line
        for line in generate_latest(registry).decode().splitlines()
        if "screenalytics_" in line  # the Python runtime's own series are not ours to name
    )
    done = subprocess.run(
        [required_tool("promtool"), "check", "metrics"],
        input=own + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert "screenalytics_" in own
    assert done.returncode == 0, done.stdout + done.stderr
