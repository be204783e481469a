"""Composition of a worker process: settings to resources to the loop, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nats.aio.client import Client

from services.kit import bus
from services.kit.errors import AcceleratorUnavailable, ModelUnusable
from services.kit.health import serve_health
from services.kit.inference.catalog import Catalog
from services.kit.inference.pool import ModelPool
from services.kit.object_store import ObjectStore
from services.kit.presence import Presence
from services.kit.settings import WorkerSettings
from services.kit.stages import StageHandler
from services.kit.telemetry import WorkerMetrics
from services.kit.threads import apply_cap, available_cores, thread_cap
from services.kit.worker import Worker

log = logging.getLogger(__name__)


async def serve_worker(
    settings: WorkerSettings, handler: StageHandler, catalog: Catalog, stop: asyncio.Event
) -> None:
    """Serves one stage until `stop`. Raises `AcceleratorUnavailable` or `ModelUnusable` before any task."""
    cap = thread_cap(settings.threads.max_cpu, available_cores())
    apply_cap(cap)
    pool = ModelPool(
        catalog, requested=settings.inference.provider, allow_cpu=settings.inference.allow_cpu_fallback
    )
    nc = await bus.connect(settings.nats.url, name=handler.stage)
    presence = Presence(nc, stage=handler.stage, pool=pool, thread_cap=cap, health_port=settings.health.port)
    try:
        await _warm_or_refuse(pool, handler, presence, threads=cap)
        await _work(settings, handler, pool, presence, nc, stop)
    finally:
        await nc.close()


async def _warm_or_refuse(pool: ModelPool, handler: StageHandler, presence: Presence, *, threads: int) -> None:
    try:
        await asyncio.to_thread(pool.warm, handler.roles(), threads=threads)
    except (AcceleratorUnavailable, ModelUnusable) as error:
        await presence.refuse(error)
        raise


async def _work(
    settings: WorkerSettings,
    handler: StageHandler,
    pool: ModelPool,
    presence: Presence,
    nc: Client,
    stop: asyncio.Event,
) -> None:
    cap = thread_cap(settings.threads.max_cpu, available_cores())
    metrics = WorkerMetrics(thread_cap=cap)
    for model in pool.placements():
        metrics.place(model)
    with _scratch(settings.worker.scratch_dir) as scratch:
        worker = Worker(
            nc,
            handler=handler,
            pool=pool,
            store=ObjectStore(settings.store.url, options=settings.store.options),
            scratch_dir=scratch,
            thread_cap=cap,
            thread_cap_is_explicit=settings.threads.max_cpu is not None,
            metrics=metrics,
            drain_grace_s=settings.worker.drain_grace_s,
            presence=presence,
        )
        with serve_health(
            settings.health.host,
            settings.health.port,
            live=worker.liveness_fault,
            ready=worker.readiness_fault,
            registry=metrics.registry,
        ):
            await worker.run(stop)


@contextmanager
def _scratch(configured: Path | None) -> Iterator[Path]:
    """An empty folder; what a killed predecessor left in a configured one is removed first."""
    if configured is None:
        with tempfile.TemporaryDirectory(prefix="screenalytics-") as folder:
            yield Path(folder)
        return
    shutil.rmtree(configured, ignore_errors=True)
    configured.mkdir(parents=True)
    yield configured
