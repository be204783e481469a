"""Removes files and messages of erased episodes, until none can follow, and then closes the receipt."""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError

from services.kit import bus
from services.kit.codec import encode
from services.kit.errors import SystemUnavailable
from services.kit.messages import Control
from services.kit.object_store import ObjectStore
from services.orchestrator.broker_traces import erase_messages, unemptied
from services.orchestrator.database import Database, Row
from services.orchestrator.outbox import wait_for_wake
from services.orchestrator.settings import ErasureSettings

log = logging.getLogger(__name__)

_POLL_S = 1.0
_LEASE_S = 30.0
# Once done, a stream that was not empty yet is looked at again.
_STREAM_POLL_S = 10.0
# And files are looked for at this pace and for so long: a frozen worker may wake up late.
_WATCH_EVERY_S = 3_600.0
_WATCH_S = 86_400.0
_MESSAGES_A_LOOK = 1_000


class Eraser:
    """Each look does everything once more, so that any replica may do it, and after any failure."""

    def __init__(self, nc: Client, database: Database, store: ObjectStore, settings: ErasureSettings) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._store = store
        self._settle_s = settings.settle_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self.look():
                    pass
            except (SystemUnavailable, NatsError) as error:
                log.warning("an erasure waits: %s", error)
            await wait_for_wake(self._wake, _POLL_S)

    async def look(self) -> bool:
        """Whether an erasure was due. Raises `SystemUnavailable` and `NatsError`; it is then taken up again."""
        async with self._database.transaction() as tx:
            await tx.run("close_erasures", watch_s=_WATCH_S)
            erasure = await tx.one("take_erasure", lease_s=_LEASE_S)
        if erasure is None:
            return False
        is_settled = await self._is_settled(erasure)
        objects = await asyncio.to_thread(self._sweep, erasure)
        try:
            messages = await self._erase_messages(erasure)
            left = await unemptied(self._js, erasure["unemptied_streams"])
        except NatsError:  # what has gone counts, and another replica may reach the broker
            await self._note(erasure, objects=objects, again_in_s=_LEASE_S)
            raise
        is_done = is_settled and messages == 0
        again_in_s = _again_in_s(is_done=is_done, has_streams_left=bool(left))
        await self._note(
            erasure, objects=objects, messages=messages, left=left, is_done=is_done, again_in_s=again_in_s
        )
        if is_done and erasure["state"] == "pending":
            log.info("erasure %s is done", erasure["erasure_id"])
        return True

    async def _note(
        self,
        erasure: Row,
        *,
        objects: int,
        again_in_s: float,
        messages: int = 0,
        left: list[str] | None = None,
        is_done: bool = False,
    ) -> None:
        """`left`: the streams that are to be seen empty yet; as before where it is not known."""
        async with self._database.transaction() as tx:
            await tx.run(
                "erasure_looked_at",
                erasure_id=erasure["erasure_id"],
                objects=objects,
                messages=messages,
                unemptied_streams=erasure["unemptied_streams"] if left is None else left,
                is_done=is_done,
                again_in_s=again_in_s,
            )

    async def _is_settled(self, erasure: Row) -> bool:
        """Whether what this look finds is the last that there is to find."""
        async with self._database.transaction() as tx:
            await tx.run(
                "settle_erasure", erasure_id=erasure["erasure_id"], worker_expiry_s=bus.WORKER_EXPIRY_S
            )
            row = await tx.one("is_erasure_settled", erasure_id=erasure["erasure_id"], settle_s=self._settle_s)
        return row is not None and bool(row["is_settled"])

    async def _erase_messages(self, erasure: Row) -> int:
        erased = 0
        for job_id in erasure["job_ids"]:
            await self._nc.publish(bus.control_subject(job_id), encode(Control(job_id, "cancel")))
            erased += await erase_messages(self._js, job_id, limit=_MESSAGES_A_LOOK)
        return erased

    def _sweep(self, erasure: Row) -> int:
        return sum(self._store.delete_prefix(uid) for uid in erasure["episode_uids"])


def _again_in_s(*, is_done: bool, has_streams_left: bool) -> float:
    if not is_done:
        return _POLL_S
    return _STREAM_POLL_S if has_streams_left else _WATCH_EVERY_S
