"""Makes episodes of uploads that are complete, and removes what never will be one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.kit.errors import InvalidInput, SystemUnavailable
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database, Row
from services.orchestrator.digests import with_digest
from services.orchestrator.endings import end_tasks
from services.orchestrator.episodes import Episodes
from services.orchestrator.incoming_media import give_up_media
from services.orchestrator.outbox import wait_for_wake
from services.orchestrator.uploads import Uploads, prefix_of

log = logging.getLogger(__name__)

_POLL_S = 5.0
_LEASE_S = 12.0
_AT_ONCE = 2
_COLLECT_EVERY_S = 60.0
_BATCH = 100


class UploadAssembler:
    """Several replicas may run it: an upload is lent to one, and goes to another when that one dies."""

    def __init__(self, database: Database, store: ObjectStore, episodes: Episodes) -> None:
        self._database = database
        self._store = store
        self._episodes = episodes
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(_AT_ONCE)))

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self.assemble_next():
                    pass
            except SystemUnavailable as error:
                log.warning("a complete upload waits: %s", error)
            await wait_for_wake(self._wake, _POLL_S)

    async def assemble_next(self) -> bool:
        """Whether there was one. Raises `SystemUnavailable`; the upload is then taken up again."""
        async with self._database.transaction() as tx:
            row = await tx.one("take_complete_upload", lease_s=_LEASE_S)
        if row is None:
            return False
        async with self._kept(row["upload_id"]):
            await self._assemble(row)
        await asyncio.to_thread(self._store.delete_prefix, prefix_of(row["upload_id"]))
        return True

    async def _assemble(self, row: Row) -> None:
        ended: dict[str, str | None] = {
            "episode_uid": None,
            "ep_id": None,
            "error_code": None,
            "error_message": None,
        }
        expected = None if row["sha256"] is None else bytes.fromhex(row["sha256"])
        try:
            done = await self._episodes.register(
                with_digest(self._bytes(row["upload_id"]), expected),
                filename=row["filename"],
                ep_id=row["ep_id"],
                replace=row["replace"],
                size_bytes=row["size_bytes"],
            )
            ended |= {"episode_uid": done.episode["episode_uid"], "ep_id": done.episode["ep_id"]}
        except InvalidInput as error:
            ended |= {"error_code": error.code, "error_message": str(error)}
        state = "registered" if ended["error_code"] is None else "refused"
        async with self._database.transaction() as tx:
            await tx.run("end_upload", upload_id=row["upload_id"], state=state, **ended)

    async def _bytes(self, upload_id: str) -> AsyncIterator[bytes]:
        for part in await self._database.read("parts_of_upload", upload_id=upload_id):
            async for chunk in self._store.stream(part["key"]):
                yield chunk

    @asynccontextmanager
    async def _kept(self, upload_id: str) -> AsyncIterator[None]:
        async def keep() -> None:
            while True:
                await asyncio.sleep(_LEASE_S / 3)
                with suppress(SystemUnavailable):
                    async with self._database.transaction() as tx:
                        await tx.run("keep_upload", upload_id=upload_id, lease_s=_LEASE_S)

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            await end_tasks([keeping])


class UploadCollector:
    """Removing twice is harmless, so that several replicas may collect at once."""

    def __init__(self, database: Database, store: ObjectStore, uploads: Uploads) -> None:
        self._database = database
        self._store = store
        self._uploads = uploads

    async def run(self) -> None:
        while True:
            try:
                while await self.collect() == _BATCH:
                    pass
            except SystemUnavailable as error:
                log.debug("expired uploads wait: %s", error)
            await asyncio.sleep(_COLLECT_EVERY_S)

    async def collect(self) -> int:
        """The number of uploads that have gone."""
        rows = await self._database.read("expired_uploads", limit=_BATCH)
        for row in rows:
            await self._uploads.forget(row["upload_id"])
        await self._uploads.sweep()
        await give_up_media(self._database, self._store)
        return len(rows)
