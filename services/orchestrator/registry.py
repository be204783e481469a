"""The workers, as their heartbeats tell."""

from __future__ import annotations

import logging
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter

from services.kit import bus
from services.kit.codec import decode, to_dict
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.messages import Heartbeat, WorkerState
from services.orchestrator.database import Database, as_json

log = logging.getLogger(__name__)

REFUSALS = Counter(
    "screenalytics_worker_refusals",
    "Workers that refused to start.",
    ["stage", "requested", "reason"],
)


class WorkerRegistry:
    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._database = database

    async def start(self) -> None:
        await self._nc.subscribe(bus.ALL_HEARTBEATS, cb=self._on_heartbeat)

    async def _on_heartbeat(self, message: Msg) -> None:
        try:
            beat = decode(Heartbeat, message.data)
            await self.record(beat)
        except (InvalidRequest, SystemUnavailable) as error:
            log.debug("heartbeat lost: %s", error)
            return
        if beat.state is WorkerState.REFUSED:
            log.error("worker of %s refused to start: %s", beat.stage, beat.reason)
            REFUSALS.labels(beat.stage, beat.requested_provider, beat.reason_code).inc()

    async def record(self, beat: Heartbeat) -> None:
        async with self._database.transaction() as tx:
            await tx.run(
                "upsert_worker",
                worker_id=beat.worker_id,
                stage=beat.stage,
                state=beat.state,
                effective_provider=beat.effective_provider,
                heartbeat=to_dict(beat),
            )

    async def list(self) -> list[dict[str, Any]]:
        async with self._database.transaction() as tx:
            rows = await tx.all("list_workers", expiry_s=bus.WORKER_EXPIRY_S)
        return [{**row["heartbeat"], "last_seen_at": as_json(row["last_seen_at"])} for row in rows]
