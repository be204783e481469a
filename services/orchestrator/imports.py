"""Takes in files of the older system, one by one: checked, stored, and registered under their episode."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO

import psycopg
from ulid import ULID

from services.kit.errors import DamagedFile, InvalidRequest, NotFound, ScreenalyticsError, SystemUnavailable
from services.kit.object_store import ObjectStore, StoredObject
from services.orchestrator.database import CommitUnanswered, Database, Row, Transaction
from services.orchestrator.episodes import require_ep_id, require_not_trashed
from services.orchestrator.older_check import Checked, check_file
from services.orchestrator.older_files import OLDER_FILES, OlderFile
from services.orchestrator.settings import ImportsSettings

log = logging.getLogger(__name__)

_RUN_KEY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")


class ImportOutcome(StrEnum):
    IMPORTED = "imported"
    REPLACED = "replaced"  # the file has changed since it was imported
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ImportedFile:
    row: Row
    outcome: ImportOutcome


class Imports:
    def __init__(self, database: Database, store: ObjectStore, settings: ImportsSettings) -> None:
        self._database = database
        self._store = store
        self._settings = settings

    async def put(
        self, chunks: AsyncIterator[bytes], *, ep_id: str, name: str, run_key: str, modified_at: datetime
    ) -> ImportedFile:
        """`run_key` names the folder below `runs/` that the file lay in; empty in the flat layout.

        The episode is made when there is none. Raises `DamagedFile`, `InvalidRequest`, `NotFound`.
        """
        file = _known(name)
        require_ep_id(ep_id)
        if run_key and not _RUN_KEY.fullmatch(run_key):
            raise InvalidRequest(f"run_id {run_key!r} does not match {_RUN_KEY.pattern}")
        if modified_at.tzinfo is None:
            raise InvalidRequest("modified_at has no offset from UTC")
        with tempfile.NamedTemporaryFile(prefix="screenalytics-import-") as copy:
            await self._receive(chunks, copy, name)
            path = Path(copy.name)
            checked = await asyncio.to_thread(check_file, file, path, ep_id=ep_id)
            episode_uid = await self._episode_uid(ep_id)
            key = f"{episode_uid}/imported/{ULID()}/{name}"
            stored = await asyncio.to_thread(self._store.put_file, key, path)
        try:
            known, row = await self._register(episode_uid, file, run_key, modified_at, stored, checked)
        except CommitUnanswered:
            raise  # the row may be there, and needs its file
        except ScreenalyticsError:
            await asyncio.to_thread(self._store.delete, key)
            raise
        if known is None:
            return ImportedFile(row, ImportOutcome.IMPORTED)
        is_same = known["sha256"] == stored.sha256
        await self._delete_unnamed(stored.key if is_same else known["uri"])
        is_untouched = is_same and known["modified_at"] == modified_at
        return ImportedFile(row, ImportOutcome.UNCHANGED if is_untouched else ImportOutcome.REPLACED)

    async def list(self, episode: Row) -> list[Row]:
        async with self._database.transaction() as tx:
            return await tx.all("imported_files", episode_uid=episode["episode_uid"])

    async def _receive(self, chunks: AsyncIterator[bytes], copy: IO[bytes], name: str) -> None:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._settings.max_file_bytes:
                raise DamagedFile(f"{name}: larger than {self._settings.max_file_bytes} bytes")
            await asyncio.to_thread(_append, copy, chunk)

    async def _episode_uid(self, ep_id: str) -> str:
        while True:
            try:
                async with self._database.transaction() as tx:
                    row = await tx.one("named_episode", ep_id=ep_id) or await _insert_without_media(tx, ep_id)
                    require_not_trashed(row)
                    return str(row["episode_uid"])
            except psycopg.errors.UniqueViolation:
                continue  # another import has just made it

    async def _register(
        self,
        episode_uid: str,
        file: OlderFile,
        run_key: str,
        modified_at: datetime,
        stored: StoredObject,
        checked: Checked,
    ) -> tuple[Row | None, Row]:
        """(the row before, the row now), which names the new object only if the content is new."""
        async with self._database.transaction() as tx:
            place = {"episode_uid": episode_uid, "run_key": run_key, "file_name": file.name}
            if await tx.one("lock_episode", episode_uid=episode_uid) is None:
                raise NotFound("the episode was erased meanwhile", hint="import its files again")
            known = await tx.one("imported_file", **place)
            is_same = known is not None and known["sha256"] == stored.sha256
            row = await tx.one(
                "put_imported_file",
                **place,
                stage=file.stage,
                kind=file.kind,
                uri=known["uri"] if known and is_same else stored.key,
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                rows=checked.rows,
                facts=checked.facts,
                modified_at=modified_at,
            )
        assert row is not None
        return known, row

    async def _delete_unnamed(self, key: str) -> None:
        """What is imported stands, so a store that does not answer now is no failure of it."""
        try:
            await asyncio.to_thread(self._store.delete, key)
        except SystemUnavailable as error:
            log.warning("a file that was replaced stays until its episode is erased: %s", error)


def _append(copy: IO[bytes], chunk: bytes) -> None:
    """Raises `SystemUnavailable` where the copy finds no room."""
    try:
        copy.write(chunk)
        copy.flush()
    except OSError as error:
        raise SystemUnavailable(f"the file cannot be taken in: {error.strerror}") from error


async def _insert_without_media(tx: Transaction, ep_id: str) -> Row:
    row = await tx.one(
        "insert_episode",
        episode_uid=str(ULID()),
        ep_id=ep_id,
        filename=ep_id,
        media_uri=None,
        sha256=None,
        size_bytes=None,
        container=None,
    )
    assert row is not None
    return row


def _known(name: str) -> OlderFile:
    try:
        return OLDER_FILES[name]
    except KeyError:
        raise NotFound(
            f"no file of the older system is named {name[:80]!r}", hint=f"known: {', '.join(OLDER_FILES)}"
        ) from None
