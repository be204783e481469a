"""The health server of a worker, over real HTTP on a port of its own choosing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from services.kit.errors import PortInUse
from services.kit.health import serve_health
from services.kit.inference.placement import Provider
from services.kit.inference.session import Inference
from services.kit.messages import ModelPlacement
from services.kit.telemetry import WorkerMetrics


@dataclass
class Faults:
    live: str | None = None
    ready: str | None = None


@dataclass(frozen=True)
class Server:
    port: int
    faults: Faults
    registry: CollectorRegistry

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, trust_env=False)


@pytest.fixture
def server() -> Iterator[Server]:
    faults, registry = Faults(), CollectorRegistry()
    with serve_health(
        "127.0.0.1", 0, live=lambda: faults.live, ready=lambda: faults.ready, registry=registry
    ) as port:
        yield Server(port, faults, registry)


def test_a_healthy_worker_is_live_and_ready(server: Server) -> None:
    assert (server.get("/livez").status_code, server.get("/livez").text) == (200, "ok")
    assert server.get("/readyz").status_code == 200


def test_a_fault_is_a_503_that_says_what_is_wrong(server: Server) -> None:
    server.faults.ready = "draining"
    assert (server.get("/readyz").status_code, server.get("/readyz").text) == (503, "draining")
    assert server.get("/livez").status_code == 200
    server.faults.live = "the loop has not turned"
    assert server.get("/livez").status_code == 503


def test_metrics_are_those_of_the_given_registry(server: Server) -> None:
    Counter("screenalytics_things", "Things.", registry=server.registry).inc()
    answer = server.get("/metrics")
    assert "screenalytics_things_total 1.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_another_path_is_not_found(server: Server) -> None:
    assert server.get("/").status_code == 404


def test_a_port_that_is_taken_is_a_foreseen_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = serve_health(
            "127.0.0.1", port, live=lambda: None, ready=lambda: None, registry=CollectorRegistry()
        )
        with pytest.raises(PortInUse, match=str(port)), refused:
            pass


def test_the_port_is_free_again_after_the_block() -> None:
    for _ in range(2):
        with serve_health(
            "127.0.0.1", 0, live=lambda: None, ready=lambda: None, registry=CollectorRegistry()
        ) as port:
            pass
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_a_workers_metrics_say_where_its_models_run_and_how_many_threads_it_may_use() -> None:
    metrics = WorkerMetrics(thread_cap=3)
    placed = ModelPlacement("yunet-n", "0", "cuda", "cpu", "ort", "cpu", {"CPUExecutionProvider": 7})
    metrics.follow(lambda: [placed])
    sample = metrics.registry.get_sample_value
    assert sample("screenalytics_threads_cap") == 3
    assert (sample("screenalytics_threads") or 0) >= 1
    assert (sample("screenalytics_cpu_seconds_total") or 0) > 0
    labels = {"model": "yunet-n", "provider": "CPUExecutionProvider"}
    assert sample("screenalytics_inference_nodes", labels) == 7
    place = {"model": "yunet-n", "requested": "cuda", "effective": "cpu", "runtime": "ort", "device": "cpu"}
    assert sample("screenalytics_inference_provider_info", place) == 1


def test_a_model_executes_nowhere_before_it_is_open_and_after_it_is_lost() -> None:
    metrics = WorkerMetrics(thread_cap=1)
    sample = metrics.registry.get_sample_value
    nowhere = {"model": "yunet-n", "requested": "cuda", "effective": "none", "runtime": "", "device": ""}
    metrics.expect(["yunet-n"], Provider.CUDA)
    assert sample("screenalytics_inference_provider_info", nowhere) == 1
    placed = ModelPlacement("yunet-n", "ab", "cuda", "cuda", "ort", "cuda:0", {}, licence="MIT")
    metrics.follow(lambda: [placed])
    there = {**nowhere, "effective": "cuda", "runtime": "ort", "device": "cuda:0"}
    assert sample("screenalytics_inference_provider_info", nowhere) is None
    assert sample("screenalytics_inference_provider_info", there) == 1
    assert sample("screenalytics_model_info", {"model": "yunet-n", "sha256": "ab", "licence": "MIT"}) == 1
    metrics.lose()
    assert sample("screenalytics_inference_provider_info", there) is None
    assert sample("screenalytics_inference_provider_info", {**there, "effective": "none"}) == 1


def test_inference_is_counted_by_batch_size_and_duration_and_a_gpu_by_its_busy_time() -> None:
    metrics = WorkerMetrics(thread_cap=1)
    sample = metrics.registry.get_sample_value
    metrics.observe(Inference("yunet-n", Provider.CPU, items=8, seconds=0.5))
    assert sample("screenalytics_inference_batch_size_sum", {"model": "yunet-n"}) == 8
    assert (
        sample("screenalytics_inference_duration_seconds_sum", {"model": "yunet-n", "provider": "cpu"}) == 0.5
    )
    assert sample("screenalytics_gpu_busy_seconds_total") == 0
    metrics.observe(Inference("yunet-n", Provider.CUDA, items=8, seconds=0.25))
    assert sample("screenalytics_gpu_busy_seconds_total") == 0.25
