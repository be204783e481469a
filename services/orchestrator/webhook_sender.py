"""Sends deliveries at least once: to one webhook one at a time and in order, to different ones at once."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime
from time import time

from prometheus_client import Counter

from services.kit.errors import InvalidInput, SystemUnavailable
from services.orchestrator.database import Database, Row
from services.orchestrator.endings import end_tasks
from services.orchestrator.outbound import Outbound
from services.orchestrator.outbox import wait_for_wake
from services.orchestrator.settings import WebhooksSettings
from services.orchestrator.webhook_messages import SecretBox, cloud_event, retry_delay_s, signed_headers

log = logging.getLogger(__name__)

_POLL_S = 2.0
_AT_ONCE = 16
_LEASE_MARGIN_S = 15.0
_GONE = 410
_ERROR_HEAD_BYTES = 200

ATTEMPTS = Counter("screenalytics_webhook_attempts", "Tries to send an event to a webhook.", ["outcome"])


class WebhookSender:
    """Several replicas share the work. What one was sending when it died is sent again by another."""

    def __init__(self, database: Database, outbound: Outbound, settings: WebhooksSettings) -> None:
        self._database = database
        self._outbound = outbound
        self._settings = settings
        self._box = SecretBox(settings.secret_key) if settings.secret_key else None
        self._wake = asyncio.Event()
        self._in_work: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self._begin()
                except SystemUnavailable as error:
                    log.debug("webhooks: %s", error)
                await wait_for_wake(self._wake, _POLL_S)
        finally:
            await end_tasks(self._in_work.values())

    async def _begin(self) -> None:
        """On webhooks that have something due and are not in work here."""
        room = _AT_ONCE - len(self._in_work)
        if self._box is None or room <= 0:
            return
        due = await self._database.read("webhooks_with_due", in_work=list(self._in_work), limit=room)
        for row in due:
            webhook_id = row["webhook_id"]
            task = asyncio.create_task(self._send_due(webhook_id, self._box), name=webhook_id)
            self._in_work[webhook_id] = task
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._in_work[task.get_name()]
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("webhook %s", task.get_name(), exc_info=task.exception())

    async def _send_due(self, webhook_id: str, box: SecretBox) -> None:
        lease_s = self._settings.timeout_s + _LEASE_MARGIN_S
        try:
            while True:
                async with self._database.transaction() as tx:
                    row = await tx.last("take_delivery", webhook_id=webhook_id, lease_s=lease_s)
                if row is None:
                    return
                await self._send(row, box)
        except SystemUnavailable as error:
            log.debug("webhook %s: %s", webhook_id, error)

    async def _send(self, row: Row, box: SecretBox) -> None:
        status, latency_ms, fault = None, None, ""
        try:
            reply = await self._outbound.post(
                row["url"],
                hosts=self._settings.hosts,
                headers=self._headers(row, body := cloud_event(row, self._settings.source), box),
                body=body,
                within_s=self._settings.timeout_s,
                head_bytes=_ERROR_HEAD_BYTES,
            )
            status, latency_ms = reply.status, reply.latency_ms
            if not 200 <= reply.status < 300:
                fault = reply.head.decode(errors="replace").replace("\0", "") or f"answered {reply.status}"
        except InvalidInput as error:
            fault = f"{error.code}: {error.message}"[:_ERROR_HEAD_BYTES]
        tried = {
            "at": datetime.now(UTC).isoformat(),
            "status": status,
            "latency_ms": latency_ms,
            "error": fault,
        }
        await self._mark(row, status, tried)

    async def _mark(self, row: Row, status: int | None, tried: dict[str, str | int | None]) -> None:
        state = _state_after(row, status, self._settings)
        ATTEMPTS.labels(state).inc()
        async with self._database.transaction() as tx:
            await tx.run(
                "mark_delivery",
                delivery_id=row["delivery_id"],
                state=state,
                tried=(tried,),
                delay_s=retry_delay_s(row["attempts"], self._settings, random.random()),
            )
            if status == _GONE:
                await tx.run("disable_webhook", webhook_id=row["webhook_id"], reason="it answered 410 Gone")

    def _headers(self, row: Row, body: bytes, box: SecretBox) -> dict[str, str]:
        sealed = [row["secret"], row["older_secret"]]
        signing = [box.open(bytes(s), row["webhook_id"]) for s in sealed if s is not None]
        return signed_headers(row["event_id"], int(time()), body, signing)


def _state_after(row: Row, status: int | None, settings: WebhooksSettings) -> str:
    if status is not None and 200 <= status < 300:
        return "delivered"
    return "dead" if status == _GONE or row["attempts"] >= settings.max_attempts else "pending"
