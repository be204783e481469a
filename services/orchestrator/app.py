"""Composition root of the orchestrator: settings to resources to servers, opened and closed in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from nats.aio.client import Client

from services.kit.bus_connection import connect
from services.kit.bus_permissions import ORCHESTRATOR
from services.kit.errors import PortInUse, SystemUnavailable
from services.kit.inference.catalog import Catalog
from services.kit.inference.stored_overlay import load_catalog
from services.kit.object_store import ObjectStore
from services.kit.tls import listener_context
from services.orchestrator.access.audit import AuditLog
from services.orchestrator.access.exposure import Exposure, exposure
from services.orchestrator.access.gate import Gate
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.access.rate import CallRate
from services.orchestrator.access.tokens import TokenVerifier
from services.orchestrator.access.uploads import UploadAllowance
from services.orchestrator.assembly import UploadAssembler, UploadCollector
from services.orchestrator.claims import ClaimDesk
from services.orchestrator.collector import ArtifactCollector
from services.orchestrator.core import Core
from services.orchestrator.database import Database
from services.orchestrator.downloads import Downloads
from services.orchestrator.endings import end_tasks
from services.orchestrator.episodes import Episodes
from services.orchestrator.eraser import Eraser
from services.orchestrator.erasures import Erasures
from services.orchestrator.feed import JobFeed
from services.orchestrator.gauges import StateGauges
from services.orchestrator.grpc_api.app import GrpcServer
from services.orchestrator.http_api import app as http_api
from services.orchestrator.imports import Imports
from services.orchestrator.inquiry import Inquiry
from services.orchestrator.jobs import Jobs
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.log_retention import LogRetention
from services.orchestrator.logbook import Logbook
from services.orchestrator.markers import MarkerWriter
from services.orchestrator.outbound import Outbound
from services.orchestrator.outbox import OutboxRelay
from services.orchestrator.progress import ProgressBoard
from services.orchestrator.readiness import Readiness
from services.orchestrator.reaper import Reaper, Silencer
from services.orchestrator.records import Records
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.results import ResultConsumer
from services.orchestrator.retention import Retention
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.sources import Sources
from services.orchestrator.stale_gauge import StaleGauge
from services.orchestrator.successors import Successors
from services.orchestrator.uploads import Uploads
from services.orchestrator.watch import JobWatch
from services.orchestrator.webhook_sender import WebhookSender
from services.orchestrator.webhooks import Webhooks

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Leaves signals to the process: `stop` says when to end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: OrchestratorSettings, stop: asyncio.Event) -> None:
    who_may_connect = _exposure(settings)  # before anything is opened
    if who_may_connect.is_open and not who_may_connect.is_local:
        log.warning("whoever can connect may do everything: SCREENALYTICS_ACCESS__ALLOW_ANYONE_WHO_CAN_CONNECT")
    catalog = await asyncio.to_thread(load_catalog, settings, with_files=False)
    store = ObjectStore(settings.store.url, options=settings.store.options)
    async with _database(settings) as database, _bus(settings) as nc:
        relay = OutboxRelay(nc, database)
        silencer = Silencer(nc, database)
        episodes = Episodes(database, store, settings.media, settings.disk)
        assembler = UploadAssembler(database, store, episodes)
        outbound = Outbound(settings.outbound)
        sender = WebhookSender(database, outbound, settings.webhooks)
        names = KeyedHash(database, "erasures", settings.erasure.hash_key)
        erasures = Erasures(database, names, settings.retention)
        eraser = Eraser(nc, database, store, settings.erasure)

        def on_job_ended() -> None:
            silencer.wake()
            eraser.wake()

        feed = JobFeed(
            settings.postgres.dsn,
            on_outbox=relay.wake,
            on_job_ended=on_job_ended,
            on_upload=assembler.wake,
            on_webhook=sender.wake,
        )
        uploads = Uploads(database, store, feed, settings.uploads, settings.media, settings.disk)
        registry = WorkerRegistry(nc, database)
        readiness = Readiness(nc, database)
        core = core_of(
            settings,
            database,
            store,
            catalog,
            episodes=episodes,
            uploads=uploads,
            outbound=outbound,
            erasures=erasures,
            feed=feed,
            registry=registry,
            readiness=readiness,
        )
        http_server = _server(http_api.build(core), settings)  # the last that judges settings
        reaper = Reaper(nc, database, settings.jobs)
        await reaper.ensure_streams()
        progress = ProgressBoard(nc, database, feed)
        claims = ClaimDesk(nc, database)
        for listener in (claims, registry, progress):
            await listener.start()
        agents = [
            relay.run(),
            feed.run(),
            progress.run(),
            reaper.run(),
            silencer.run(),
            ResultConsumer(nc, database, settings.jobs, store).run(),
            Logbook(nc, database).run(),
            LogRetention(database, settings.jobs.log_retention_days).run(),
            MarkerWriter(database, store).run(),
            ArtifactCollector(database, store, settings.jobs).run(),
            eraser.run(),
            Retention(database, store, erasures, names, settings.retention).run(),
            StateGauges(database).run(),
            sender.run(),
            assembler.run(),
            UploadCollector(database, store, uploads).run(),
            StaleGauge(database, catalog).run(),
            core.audit.run(),
        ]
        try:
            await _run_until(stop, agents, http_server, GrpcServer(core, settings.grpc), readiness)
        finally:
            await claims.stop()


def core_of(
    settings: OrchestratorSettings,
    database: Database,
    store: ObjectStore,
    catalog: Catalog,
    *,
    episodes: Episodes,
    uploads: Uploads,
    outbound: Outbound,
    erasures: Erasures,
    feed: JobFeed,
    registry: WorkerRegistry,
    readiness: Readiness,
) -> Core:
    jobs = Jobs(database, catalog, settings, store)
    keys = ApiKeys(database, remember_s=settings.access.key_cache_s)
    audit = AuditLog(database, settings.access.audit_retention_days)
    records = Records(database, store, catalog)
    return Core(
        episodes=episodes,
        sources=Sources(episodes, outbound, settings.sources, settings.media),
        uploads=uploads,
        webhooks=Webhooks(database, outbound, settings.webhooks),
        imports=Imports(database, store, settings.imports),
        erasures=erasures,
        jobs=jobs,
        successors=Successors(database, jobs),
        records=records,
        downloads=Downloads(records),
        inquiry=Inquiry(database, settings.jobs),
        watch=JobWatch(records, feed),
        registry=registry,
        readiness=readiness,
        catalog=catalog,
        gate=_gate(settings, database, keys, audit),
        keys=keys,
        audit=audit,
    )


def _exposure(settings: OrchestratorSettings) -> Exposure:
    """Raises `InvalidSettings`."""
    return exposure(
        settings.access.mode,
        [settings.http.host, settings.grpc.host],
        allow_anyone_who_can_connect=settings.access.allow_anyone_who_can_connect,
    )


def _gate(settings: OrchestratorSettings, database: Database, keys: ApiKeys, audit: AuditLog) -> Gate:
    access = settings.access
    return Gate(
        exposure=_exposure(settings),
        keys=keys,
        tokens=TokenVerifier.of(settings.oidc),
        rate=CallRate(access.calls_per_second, access.call_burst),
        uploads=UploadAllowance(database, access.upload_bytes_per_day),
        audit=audit,
    )


@asynccontextmanager
async def _database(settings: OrchestratorSettings) -> AsyncIterator[Database]:
    database = Database(settings.postgres.dsn, pool_size=settings.postgres.pool_size)
    try:
        await database.open(migrate=settings.postgres.migrate_at_start)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _bus(settings: OrchestratorSettings) -> AsyncIterator[Client]:
    nc = await connect(settings.nats, name=ORCHESTRATOR)
    try:
        yield nc
    finally:
        await nc.close()


def _server(api: FastAPI, settings: OrchestratorSettings) -> uvicorn.Server:
    tls = listener_context(settings.http)
    config = uvicorn.Config(
        api,
        host=settings.http.host,
        port=settings.http.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        lifespan="off",
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    return _Server(config)


async def _run_until(
    stop: asyncio.Event,
    agents: list[Coroutine[Any, Any, None]],
    http_server: uvicorn.Server,
    grpc_server: GrpcServer,
    readiness: Readiness,
) -> None:
    """An agent that ends or fails ends the process: half an orchestrator is worse than a restart."""
    working = [asyncio.create_task(agent) for agent in agents]
    serving = [asyncio.create_task(_serve(http_server)), asyncio.create_task(grpc_server.serve())]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*working, *serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        readiness.is_draining = True
        http_server.should_exit = True
        await grpc_server.stop()
        await asyncio.gather(*serving)
        for task in working:
            if task.done():
                task.result()
                raise SystemUnavailable("an agent of the orchestrator ended")
    finally:
        await end_tasks([*working, *serving, stopped])


async def _serve(server: uvicorn.Server) -> None:
    try:
        await server.serve()
    except SystemExit as error:
        config = server.config
        raise PortInUse(f"cannot listen on {config.host}:{config.port}") from error
