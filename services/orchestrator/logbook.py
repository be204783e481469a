"""Moves workers' log lines from the broker into the jobs' events, where they outlive the run."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout

from services.kit import bus
from services.kit.codec import decode
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.messages import LogLine
from services.orchestrator.database import Database
from services.orchestrator.endings import handing_back
from services.orchestrator.events import append_event
from services.orchestrator.noise import noise_rule

log = logging.getLogger(__name__)

_RETRY_S = 1.0


class Logbook:
    def __init__(self, nc: Client, database: Database) -> None:
        self._js = nc.jetstream()
        self._database = database

    async def run(self) -> None:
        queue = await self._js.pull_subscribe_bind(consumer=bus.LOGS_CONSUMER, stream=bus.LOGS_STREAM)
        while True:
            try:
                messages = await queue.fetch(100, timeout=5)
            except (NatsTimeout, TimeoutError):
                continue
            except NatsError as error:
                log.debug("logs: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            async with handing_back(messages) as left:
                while left:
                    await self._keep(left[0])
                    left.popleft()

    async def _keep(self, message: Msg) -> None:
        try:
            line = decode(LogLine, message.data)
            await self.record(line, source_key=f"{line.attempt_id}.{line.line}")
        except InvalidRequest:
            log.warning("dropped an unreadable log line")
        except SystemUnavailable:
            with suppress(NatsError):
                await message.nak(delay=_RETRY_S)
            return
        with suppress(NatsError):
            await message.ack()

    async def record(self, line: LogLine, *, source_key: str) -> None:
        """A line whose key the job has already is dropped."""
        rule = noise_rule(line.level, line.message)
        payload = {
            "level": line.level,
            "message": line.message,
            "is_noisy": line.is_noisy or rule is not None,
            "noise_rule": rule,
            "attempt_id": line.attempt_id,
            "line": line.line,
            "logged_at": line.at,
        }
        async with self._database.transaction() as tx:
            await append_event(tx, line.job_id, "log", payload, stage=line.stage, source_key=source_key)
