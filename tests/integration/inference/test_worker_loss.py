"""A worker process whose Triton server goes away while it is ready."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bench.triton_server import stop
from services.kit import bus
from services.kit.codec import decode
from services.kit.messages import Heartbeat, WorkerState
from services.local.nats import EmbeddedNats
from tests.integration.inference.conftest import StartTriton
from tests.integration.inference.worker_process import WatchedWorker, running_worker
from tests.integration.parts import Parts, until


async def until_ready(worker: WatchedWorker) -> None:
    async def is_ready() -> bool:
        assert worker.process.poll() is None
        return (200, "ok") in worker.readiness

    await until(is_ready, within_s=60)


async def until_it_executes_on_the_cpu(worker: WatchedWorker) -> None:
    async def is_said() -> bool:
        return bool(worker.metrics) and 'effective="cpu"' in worker.metrics[-1]

    await until(is_said)


async def test_a_worker_that_loses_its_server_is_not_ready_and_ends_with_the_reason(
    parts: Parts, nats_server: EmbeddedNats, repository: Path, start_triton: StartTriton, tmp_path: Path
) -> None:
    heard = await parts.nc.subscribe(bus.ALL_HEARTBEATS)
    await parts.nc.flush()
    settings = {
        "INFERENCE__PROVIDER": "cpu",
        "INFERENCE__CHECK_INTERVAL_S": "0.2",
        "TRITON__RETRY_FOR_S": "0.5",
    }
    with (
        start_triton(repository) as server,
        running_worker(
            "clusterer", nats_server.url, tmp_path, TRITON__URL=server.grpc_url, **settings
        ) as worker,
    ):
        await until_ready(worker)
        await until_it_executes_on_the_cpu(worker)
        await asyncio.to_thread(stop, server)
        status, err = await asyncio.to_thread(worker.end, 60)
    assert status == 4
    record = json.loads(err.splitlines()[-1])
    assert record["code"] == "inference-unavailable"
    beat = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)
    while beat.state is not WorkerState.REFUSED:
        beat = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)
    assert beat.reason_code == "inference-unavailable"
