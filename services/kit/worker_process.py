"""Composition of a worker process: settings to resources to the loop, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nats.aio.client import Client

from services.kit.attempt import in_daemon_thread
from services.kit.bus_connection import connect
from services.kit.errors import AcceleratorUnavailable, InferenceUnavailable, InvalidSettings, ModelUnusable
from services.kit.health import serve_health
from services.kit.inference.catalog import Catalog
from services.kit.inference.pool import ModelPool
from services.kit.inference.runtimes import runtime_of
from services.kit.inference.start_check import start_check
from services.kit.object_store import ObjectStore
from services.kit.placement_watch import PlacementWatch
from services.kit.presence import Presence
from services.kit.settings import WorkerSettings
from services.kit.stages import StageHandler
from services.kit.telemetry import WorkerMetrics
from services.kit.threads import apply_cap, available_cores, thread_cap
from services.kit.tls import listener_context
from services.kit.worker import Worker

log = logging.getLogger(__name__)


class _Health:
    """Answers from the start on: a worker without its models is live, and not ready."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    def liveness_fault(self) -> str | None:
        return self.worker.liveness_fault() if self.worker else None

    def readiness_fault(self) -> str | None:
        return self.worker.readiness_fault() if self.worker else "the models are not loaded"


async def serve_worker(
    settings: WorkerSettings, handler: StageHandler, catalog: Catalog, stop: asyncio.Event
) -> None:
    """Serves one stage until `stop`.

    Raises `AcceleratorUnavailable`, `InferenceUnavailable`, `ModelUnusable` or `InvalidSettings` before any
    task, and the first two also when what the models run on is lost later.
    """
    cap = thread_cap(settings.threads.max_cpu, available_cores())
    apply_cap(cap)
    metrics, health = WorkerMetrics(thread_cap=cap), _Health()
    pool = ModelPool(
        catalog,
        requested=settings.inference.provider,
        allow_cpu=settings.inference.allow_cpu_fallback,
        runtime=runtime_of(settings, catalog),
        observe=metrics.observe,
    )
    metrics.expect(pool.default_models(handler.roles()), pool.requested)
    metrics.follow(pool.placements)
    with serve_health(
        settings.health.host,
        settings.health.port,
        live=health.liveness_fault,
        ready=health.readiness_fault,
        registry=metrics.registry,
        tls=listener_context(settings.health),
    ):
        nc = await connect(settings.nats, name=handler.stage)
        presence = Presence(
            nc, stage=handler.stage, pool=pool, thread_cap=cap, health_port=settings.health.port
        )
        try:
            await _warm_or_refuse(pool, handler, presence, settings, threads=cap)
            await _work(settings, handler, pool, presence, nc, metrics, health, stop)
        finally:
            await nc.close()


async def _warm_or_refuse(
    pool: ModelPool, handler: StageHandler, presence: Presence, settings: WorkerSettings, *, threads: int
) -> None:
    within_s = settings.inference.start_timeout_s
    try:
        async with asyncio.timeout(within_s):
            await in_daemon_thread(lambda: _check_start(pool, handler, threads=threads))
    except (AcceleratorUnavailable, InferenceUnavailable, ModelUnusable, InvalidSettings) as error:
        await presence.refuse(error)
        raise
    except TimeoutError as timeout:
        late = AcceleratorUnavailable(f"the models were not ready on {pool.requested} within {within_s:g} s")
        await presence.refuse(late)
        raise late from timeout


def _check_start(pool: ModelPool, handler: StageHandler, *, threads: int) -> None:
    for finding in start_check(pool, pool.default_models(handler.roles()), threads=threads):
        if finding.error is not None:
            raise finding.error
        log.info("%s: %s", finding.check, finding.detail)


async def _work(
    settings: WorkerSettings,
    handler: StageHandler,
    pool: ModelPool,
    presence: Presence,
    nc: Client,
    metrics: WorkerMetrics,
    health: _Health,
    stop: asyncio.Event,
) -> None:
    with _scratch(settings.worker.scratch_dir) as scratch:
        worker = Worker(
            nc,
            handler=handler,
            pool=pool,
            store=ObjectStore(settings.store.url, options=settings.store.options),
            scratch_dir=scratch,
            thread_cap=thread_cap(settings.threads.max_cpu, available_cores()),
            thread_cap_is_explicit=settings.threads.max_cpu is not None,
            metrics=metrics,
            drain_grace_s=settings.worker.drain_grace_s,
            presence=presence,
        )
        health.worker = worker
        watch = PlacementWatch(pool, interval_s=settings.inference.check_interval_s, on_loss=worker.lose)
        watching = asyncio.create_task(watch.run())
        try:
            await worker.run(stop)
        finally:
            watching.cancel()


@contextmanager
def _scratch(configured: Path | None) -> Iterator[Path]:
    """A folder without attempts; those that a killed predecessor left in a configured one are removed first.

    That one may be a mount or a link, so it stays itself. Raises `InvalidSettings` where it cannot be used.
    """
    if configured is None:
        with tempfile.TemporaryDirectory(prefix="screenalytics-") as folder:
            yield Path(folder)
        return
    try:
        configured.mkdir(parents=True, exist_ok=True)
        for left in configured.iterdir():
            shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise _unusable(configured, error.strerror) from error
    if not os.access(configured, os.W_OK | os.X_OK):
        raise _unusable(configured, "it cannot be written")
    yield configured


def _unusable(folder: Path, reason: str | None) -> InvalidSettings:
    return InvalidSettings(f"SCREENALYTICS_WORKER__SCRATCH_DIR names {folder}, which is no use: {reason}")
