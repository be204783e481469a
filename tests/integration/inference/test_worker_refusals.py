"""A worker whose models are not where it was asked to run them ends, says why, and was never ready."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.triton_server import TritonServer
from services.kit import bus
from services.kit.codec import decode
from services.kit.messages import Heartbeat, WorkerState
from services.local.nats import EmbeddedNats
from services.local.ports import choose_ports
from services.orchestrator.registry import REFUSALS, WorkerRegistry
from tests.integration.inference.conftest import StartTriton
from tests.integration.inference.worker_process import running_worker
from tests.integration.parts import Parts, until

HAS_GPU = Path("/dev/nvidiactl").exists()
# The promise is ten seconds; a machine shared by many is given more before it counts as hung.
ENDS_WITHIN_S = 60
WORKERS = {"detector": "face-detector", "embedder": "face-embedder", "clusterer": "similarity"}

pytestmark = pytest.mark.skipif(HAS_GPU, reason="a GPU is here")


class Refused:
    """How a worker ended, and what was heard of it."""

    def __init__(
        self, status: int, err: str, beat: Heartbeat, metrics: list[str], readiness: list[Any]
    ) -> None:
        self.status = status
        self.record = json.loads(err.splitlines()[-1])
        self.beat = beat
        self.metrics = metrics
        self.readiness = readiness


async def refused(parts: Parts, nats: EmbeddedNats, service: str, store: Path, **settings: str) -> Refused:
    heard = await parts.nc.subscribe(bus.ALL_HEARTBEATS)
    await parts.nc.flush()
    with running_worker(service, nats.url, store, **settings) as worker:
        status, err = await asyncio.to_thread(worker.end, ENDS_WITHIN_S)
    beat = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)
    return Refused(status, err, beat, worker.metrics, worker.readiness)


def assert_never_served(ended: Refused, *, model: str, requested: str) -> None:
    assert ended.status != 0
    assert ended.record["event"] == "refused"
    assert ended.beat.state is WorkerState.REFUSED
    assert ended.beat.reason_code == ended.record["code"]
    assert ended.beat.effective_provider == ""
    assert {status for status, _ in ended.readiness} == {503}
    places = [line for text in ended.metrics for line in text.splitlines() if "provider_info{" in line]
    assert places
    for line in places:
        assert f'model="{model}"' in line
        assert f'requested="{requested}"' in line
        assert 'effective="none"' in line


@pytest.mark.parametrize("service", WORKERS)
async def test_a_worker_asked_for_cuda_without_a_gpu_ends_with_the_reason(
    parts: Parts, nats_server: EmbeddedNats, models_dir: Path, tmp_path: Path, service: str
) -> None:
    ended = await refused(parts, nats_server, service, tmp_path, MODELS__DIR=str(models_dir))
    assert_never_served(ended, model=WORKERS[service], requested="cuda")
    assert (ended.status, ended.record["code"]) == (3, "accelerator-unavailable")
    for text in (WORKERS[service], "claims device GPU", "the session runs on CPUExecutionProvider"):
        assert text in ended.record["reason"]
    assert "--device cpu" in ended.record["hint"]


async def test_a_worker_whose_triton_is_down_ends_with_the_reason(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    (port,) = choose_ports(1)
    settings = {"TRITON__URL": f"127.0.0.1:{port}", "TRITON__RETRY_FOR_S": "0.5"}
    ended = await refused(parts, nats_server, "clusterer", tmp_path, **settings)
    assert_never_served(ended, model="similarity", requested="cuda")
    assert (ended.status, ended.record["code"]) == (4, "inference-unavailable")
    assert f"127.0.0.1:{port}" in ended.record["reason"]
    assert "similarity" in ended.record["reason"]


async def test_a_worker_asked_for_cuda_whose_triton_runs_on_the_cpu_ends_with_the_reason(
    parts: Parts, nats_server: EmbeddedNats, triton: TritonServer, tmp_path: Path
) -> None:
    ended = await refused(parts, nats_server, "detector", tmp_path, TRITON__URL=triton.grpc_url)
    assert_never_served(ended, model="face-detector", requested="cuda")
    assert (ended.status, ended.record["code"]) == (3, "accelerator-unavailable")
    for text in ("the server runs it as KIND_CPU, not as KIND_GPU", "says that it is ready"):
        assert text in ended.record["reason"]


def without_its_instance_group(config: str) -> str:
    return "\n".join(line for line in config.splitlines() if not line.startswith("instance_group"))


def with_another_digest(config: str) -> str:
    (digest,) = [line.split('"')[3] for line in config.splitlines() if 'key: "sha256"' in line]
    return config.replace(digest, "f" * 64)


def with_a_wrong_shape(config: str) -> str:
    return config.replace('name: "similarities" data_type: TYPE_FP32 dims: [ -1, -1 ]',
                          'name: "similarities" data_type: TYPE_FP32 dims: [ -1 ]')  # fmt: skip


CHANGED = {
    "instances left to the server": (without_its_instance_group, "KIND_CPU", 3, "cuda"),
    "another digest": (with_another_digest, "expected", 2, "cpu"),
    "a wrong shape": (with_a_wrong_shape, "float32 [?, ?]", 2, "cpu"),
}


@pytest.mark.parametrize(("change", "said", "status", "requested"), CHANGED.values(), ids=CHANGED)
async def test_a_worker_refuses_a_triton_model_that_is_not_what_was_asked_for(
    parts: Parts,
    nats_server: EmbeddedNats,
    repository: Path,
    start_triton: StartTriton,
    tmp_path: Path,
    change: Any,
    said: str,
    status: int,
    requested: str,
) -> None:
    folder = tmp_path / "repository" / "similarity"
    shutil.copytree(repository / "similarity", folder)
    config = folder / "config.pbtxt"
    config.write_text(change(config.read_text()))
    with start_triton(folder.parent) as server:
        settings = {"TRITON__URL": server.grpc_url, "INFERENCE__PROVIDER": requested}
        ended = await refused(parts, nats_server, "clusterer", tmp_path, **settings)
    assert_never_served(ended, model="similarity", requested=requested)
    assert ended.status == status
    assert said in ended.record["reason"]
    assert "similarity" in ended.record["reason"]


async def test_a_refusal_is_counted_by_the_orchestrator(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    registry = WorkerRegistry(parts.nc, parts.database)
    await registry.start()
    await parts.nc.flush()
    counter = REFUSALS.labels("cluster", "cuda", "accelerator-unavailable")
    before = counter._value.get()
    with running_worker("clusterer", nats_server.url, tmp_path) as worker:
        await asyncio.to_thread(worker.end, ENDS_WITHIN_S)

    async def is_counted() -> bool:
        return counter._value.get() == before + 1

    await until(is_counted)
    (listed,) = await registry.list()
    assert listed["state"] == "refused"
    assert "similarity" in listed["reason"]
