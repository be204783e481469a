"""Wakes whoever waits for news of a job, an upload or the outbox, from Postgres notifications."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import AsyncConnection

from services.orchestrator.database import impatient

log = logging.getLogger(__name__)

_RECONNECT_S = 0.5


def _ignore() -> None:
    return


class JobFeed:
    """A notification is only a hint to look: watchers read the truth, and look now and then anyway."""

    def __init__(
        self,
        dsn: str,
        *,
        on_outbox: Callable[[], None],
        on_job_ended: Callable[[], None] = _ignore,
        on_upload: Callable[[], None] = _ignore,
        on_webhook: Callable[[], None] = _ignore,
    ) -> None:
        self._dsn = impatient(dsn)
        self._on_outbox = on_outbox
        self._on_job_ended = on_job_ended
        self._on_upload = on_upload
        self._on_webhook = on_webhook
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._watchers[job_id].add(event)
        try:
            yield event
        finally:
            self._watchers[job_id].discard(event)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def notify(self, job_id: str) -> None:
        for event in self._watchers.get(job_id, ()):
            event.set()

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.debug("listening: %s", error)
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        async with await AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            await connection.execute("LISTEN outbox")
            await connection.execute("LISTEN job_events")
            await connection.execute("LISTEN job_ended")
            await connection.execute("LISTEN uploads")
            await connection.execute("LISTEN webhooks")
            self._on_outbox()
            async for notice in connection.notifies():
                match notice.channel:
                    case "outbox":
                        self._on_outbox()
                    case "job_ended":
                        self._on_job_ended()
                    case "webhooks":
                        self._on_webhook()
                    case "uploads":
                        self._on_upload()
                        self.notify(notice.payload)
                    case _:
                        self.notify(notice.payload)
