"""What a worker tells the orchestrator about itself: a heartbeat every few seconds, and why it refused."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from nats.aio.client import Client
from nats.errors import Error as NatsError
from ulid import ULID

from services.kit import bus
from services.kit.codec import encode
from services.kit.errors import ScreenalyticsError
from services.kit.inference.pool import ModelPool
from services.kit.messages import Heartbeat, WorkerState, now_at
from services.kit.threads import process_cpu_seconds, process_threads


class Presence:
    def __init__(self, nc: Client, *, stage: str, pool: ModelPool, thread_cap: int, health_port: int) -> None:
        self.worker_id = f"{stage}-{socket.gethostname()}-{ULID()}"
        self.state = WorkerState.READY
        self._nc = nc
        self._stage = stage
        self._pool = pool
        self._thread_cap = thread_cap
        self._health_port = health_port
        self._task_id = ""

    def busy_with(self, task_id: str) -> None:
        self.state, self._task_id = WorkerState.BUSY, task_id

    def idle(self) -> None:
        self.state, self._task_id = WorkerState.READY, ""

    @asynccontextmanager
    async def announced(self) -> AsyncIterator[None]:
        """Heartbeats for as long as the block lasts, and a last one that says it is draining."""
        beats = asyncio.create_task(self._beat_for_ever())
        try:
            yield
        finally:
            beats.cancel()
            if self.state is not WorkerState.REFUSED:
                self.state = WorkerState.DRAINING
                with suppress(NatsError):
                    await self._beat()

    async def refuse(self, error: ScreenalyticsError) -> None:
        """The last heartbeat of a worker that will not start or go on: nobody can scrape it any more."""
        self.state = WorkerState.REFUSED
        with suppress(NatsError):  # the reason itself must not be lost over it
            await self._beat(error)
            await self._nc.flush(timeout=2)

    async def _beat_for_ever(self) -> None:
        while True:
            with suppress(NatsError):
                await self._beat()
            await asyncio.sleep(bus.HEARTBEAT_S)

    async def _beat(self, refusal: ScreenalyticsError | None = None) -> None:
        beat = Heartbeat(
            worker_id=self.worker_id,
            stage=self._stage,
            state=self.state,
            requested_provider=self._pool.requested,
            effective_provider="" if self.state is WorkerState.REFUSED else self._pool.route,
            reason="" if refusal is None else str(refusal),
            reason_code="" if refusal is None else refusal.code,
            models=self._pool.placements(),
            thread_cap=self._thread_cap,
            threads=process_threads(),
            cpu_seconds=process_cpu_seconds(),
            version=version("screenalytics"),
            host=socket.gethostname(),
            pid=os.getpid(),
            health_port=self._health_port,
            task_id=self._task_id,
            at=now_at(),
        )
        await self._nc.publish(bus.worker_subject(self.worker_id), encode(beat))
