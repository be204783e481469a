"""Keeps each kind of data for as long as its setting says, and no longer."""

from __future__ import annotations

import asyncio
import logging

from services.kit.artifacts import ArtifactKind
from services.kit.errors import SystemUnavailable
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database, Row
from services.orchestrator.erasures import ErasureReason, Erasures
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.settings import RetentionSettings

log = logging.getLogger(__name__)

_EVERY_S = 600.0
_DAY_S = 86_400.0
_BATCH = 100  # of a pass; what is left waits for the next one
# What shows faces or tells them apart; tracks, identities and screen time do not.
FACE_KINDS = (
    ArtifactKind.SEGMENT_CHIPS,
    ArtifactKind.SEGMENT_FRAMES,
    ArtifactKind.CHIPS,
    ArtifactKind.FRAMES,
    ArtifactKind.CROPS,
    ArtifactKind.EMBEDDINGS,
)


class Retention:
    """Every pass is idempotent, so that several replicas may do it at once."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        erasures: Erasures,
        names: KeyedHash,
        settings: RetentionSettings,
    ) -> None:
        self._database = database
        self._store = store
        self._erasures = erasures
        self._names = names
        self._settings = settings

    async def run(self) -> None:
        while True:
            try:
                await self.apply()
            except SystemUnavailable as error:
                log.warning("retention waits: %s", error)
            await asyncio.sleep(_EVERY_S)

    async def apply(self) -> None:
        """Raises `SystemUnavailable`."""
        kept = self._settings
        await self._erase(await self._database.read("uploads_past_trash", limit=_BATCH), ErasureReason.TRASH)
        if kept.episodes_days:
            await self._erase_old(kept.episodes_days * _DAY_S)
        if kept.videos_days:
            await self._remove_videos(kept.videos_days * _DAY_S)
        if kept.faces_days:
            await self._remove_faces(kept.faces_days * _DAY_S)
        await self._forget()

    async def _erase_old(self, older_than_s: float) -> None:
        uploads = await self._database.read("uploads_past_retention", older_than_s=older_than_s, limit=_BATCH)
        await self._erase(uploads, ErasureReason.RETENTION)

    async def _erase(self, uploads: list[Row], reason: ErasureReason) -> None:
        for row in uploads:
            hashed = await self._names.of(row["ep_id"])
            await self._erasures.erase_uploads([row["episode_uid"]], hashed, reason)

    async def _remove_videos(self, older_than_s: float) -> None:
        """The row is marked before the file goes: from then on no job may ask for it."""
        async with self._database.transaction() as tx:
            await tx.run("retire_videos", older_than_s=older_than_s, limit=_BATCH)
        await self._delete(await self._database.read("retired_videos"))

    async def _remove_faces(self, older_than_s: float) -> None:
        async with self._database.transaction() as tx:
            await tx.run("retire_faces", kinds=list(FACE_KINDS), older_than_s=older_than_s, limit=10 * _BATCH)
        await self._delete(await self._database.read("retired_faces"))

    async def _delete(self, files: list[Row]) -> None:
        for row in files:
            await asyncio.to_thread(self._store.delete, row["uri"])

    async def _forget(self) -> None:
        kept = self._settings
        async with self._database.transaction() as tx:
            if kept.events_days:
                await tx.run("forget_events", older_than_s=kept.events_days * _DAY_S)
            if kept.dead_letters_days:
                await tx.run("forget_dead_letters", older_than_s=kept.dead_letters_days * _DAY_S)
            if kept.receipts_days:
                await tx.run("forget_receipts", older_than_s=kept.receipts_days * _DAY_S)
