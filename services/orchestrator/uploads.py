"""Uploads that come in parts and go on after a broken connection.

Postgres knows how much was acknowledged and in which objects it lies, so any replica takes the next part.
Nothing is locked while bytes come in: a part counts if the upload still ends where the part begins.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ulid import ULID

from services.kit.disk_need import require_space
from services.kit.errors import ChecksumMismatch, Conflict, InvalidInput, InvalidRequest, NotFound, TooLarge
from services.kit.object_store import ObjectStore
from services.kit.settings import DiskSettings
from services.orchestrator.database import Database, Row
from services.orchestrator.digests import sha256_from_hex
from services.orchestrator.episodes import require_ep_id
from services.orchestrator.feed import JobFeed
from services.orchestrator.outbox import wait_for_wake
from services.orchestrator.settings import MediaSettings, UploadsSettings

CHECKSUM_ALGORITHMS = ("sha1", "sha256")
_MAX_TEXT = 255
_PREFIX = "uploads"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """`metadata`: as the caller sent it."""

    size_bytes: int
    metadata: str = ""
    filename: str = "upload"
    ep_id: str | None = None
    replace: bool = False
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str
    digest: bytes


def prefix_of(upload_id: str) -> str:
    return f"{_PREFIX}/{upload_id}"


class Uploads:
    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        feed: JobFeed,
        settings: UploadsSettings,
        media: MediaSettings,
        disk: DiskSettings,
    ) -> None:
        self._database = database
        self._store = store
        self._feed = feed
        self._settings = settings
        self._disk = disk
        self.max_bytes = media.max_upload_bytes

    async def create(self, new: NewUpload) -> Row:
        """Raises `InvalidRequest`, `TooLarge`, `InsufficientDisk`."""
        if new.size_bytes < 1:
            raise InvalidRequest("an upload has at least one byte")
        if new.size_bytes > self.max_bytes:
            raise TooLarge(f"the upload is larger than {self.max_bytes} bytes")
        if new.ep_id is not None:
            require_ep_id(new.ep_id)
        if new.sha256 is not None:
            sha256_from_hex(new.sha256)
        if (folder := self._store.local_path("")) is not None:
            # Its parts, and the video that is put together from them before they go.
            needed = {"the store": (folder, 2 * new.size_bytes)}
            await asyncio.to_thread(require_space, needed, self._disk)
        async with self._database.transaction() as tx:
            row = await tx.one(
                "insert_upload",
                upload_id=secrets.token_hex(16),
                size_bytes=new.size_bytes,
                metadata=new.metadata,
                filename=new.filename[:_MAX_TEXT],
                ep_id=new.ep_id,
                replace=new.replace,
                sha256=new.sha256,
                expire_after_s=self._settings.expire_after_s,
            )
        assert row is not None
        return row

    async def get(self, upload_id: str) -> Row:
        """Raises `NotFound`, also for what has expired."""
        rows = await self._database.read("get_upload", upload_id=upload_id)
        if not rows:
            raise NotFound("no such upload", hint="it may have expired; begin anew")
        return rows[0]

    async def wait(self, upload_id: str, within_s: float) -> Row:
        """The upload once its bytes have become an episode or were refused, or as it is after that time."""
        with self._feed.watching(upload_id) as woken:
            row = await self.get(upload_id)
            if row["state"] in ("receiving", "complete") and within_s > 0:
                await wait_for_wake(woken, within_s)
                row = await self.get(upload_id)
        return row

    async def append(
        self,
        upload_id: str,
        offset: int,
        chunks: AsyncIterator[bytes],
        *,
        size_bytes: int | None,
        checksum: Checksum | None,
    ) -> Row:
        """What has come is kept, also when the connection breaks (`ConnectionError`) after it.

        With a checksum all of it counts or nothing. Raises `NotFound`, `Conflict` for another offset than the
        upload's, `TooLarge` for more than it announced, `ChecksumMismatch`.
        """
        row = await self.get(upload_id)
        _require_offset(row, offset)
        if size_bytes is not None and offset + size_bytes > row["size_bytes"]:
            raise _past_its_end(row)
        incoming = _Incoming(chunks, checksum)
        while row["state"] == "receiving":
            left = row["size_bytes"] - row["offset_bytes"]
            limit = left if checksum else min(left, self._settings.part_bytes)
            appended = await self._append_part(row, incoming, limit)
            if appended is None:
                break
            row = appended
        incoming.require_end()
        return row

    async def delete(self, upload_id: str) -> None:
        """Raises `NotFound`."""
        await self.get(upload_id)
        async with self._database.transaction() as tx:
            await tx.run("expire_upload", upload_id=upload_id)
        await self.forget(upload_id)

    async def forget(self, upload_id: str) -> None:
        """Of an expired one: its parts, then its row, so that what is cut short is done again."""
        await asyncio.to_thread(self._store.delete_prefix, prefix_of(upload_id))
        async with self._database.transaction() as tx:
            await tx.run("forget_upload", upload_id=upload_id)

    async def sweep(self) -> None:
        """Parts of uploads that are no more, as after a crash between two steps."""
        keys = await asyncio.to_thread(lambda: list(self._store.keys(_PREFIX)))
        found = {key.split("/")[1] for key in keys}
        known = await self._database.read("known_uploads", upload_ids=list(found))
        for upload_id in found - {row["upload_id"] for row in known}:
            await asyncio.to_thread(self._store.delete_prefix, prefix_of(upload_id))

    async def _append_part(self, row: Row, incoming: _Incoming, limit: int) -> Row | None:
        """The upload with one more part; None when no more bytes came."""
        if await incoming.is_over():
            return None
        upload_id, offset = row["upload_id"], row["offset_bytes"]
        key = f"{prefix_of(upload_id)}/{ULID()}"
        stored = await self._store.put_stream(key, incoming.take(limit))
        try:
            await self._require_whole(row, incoming, offset + stored.size_bytes)
            async with self._database.transaction() as tx:
                moved = await tx.last(
                    "append_part_at_offset",
                    upload_id=upload_id,
                    offset_bytes=offset,
                    size_bytes=stored.size_bytes,
                    key=key,
                    expire_after_s=self._settings.expire_after_s,
                )
            if moved is None:
                _require_offset(await self.get(upload_id), offset)
                raise Conflict("the upload was changed meanwhile")
        except InvalidInput:  # after anything else the part may have been counted
            await asyncio.to_thread(self._store.delete, key)
            raise
        return moved

    async def _require_whole(self, row: Row, incoming: _Incoming, end: int) -> None:
        if end == row["size_bytes"] and not await incoming.is_over():
            raise _past_its_end(row)
        if incoming.checksum is not None:
            incoming.require_end()
            incoming.require_checksum()


class _Incoming:
    """The body of a request, in pieces of at most so many bytes. A broken connection ends it."""

    def __init__(self, chunks: AsyncIterator[bytes], checksum: Checksum | None) -> None:
        self._chunks = chunks
        self._digest = None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        self._left = b""
        self._has_ended = False
        self.checksum = checksum
        self._is_cut_off = False

    async def is_over(self) -> bool:
        while not self._left and not self._has_ended:
            try:
                chunk = await anext(self._chunks, None)
            except ConnectionError:
                self._is_cut_off, chunk = True, None
            self._left = chunk or b""
            self._has_ended = chunk is None
        return not self._left

    async def take(self, limit: int) -> AsyncIterator[bytes]:
        while limit > 0 and not await self.is_over():
            chunk, self._left = self._left[:limit], self._left[limit:]
            limit -= len(chunk)
            if self._digest is not None:
                self._digest.update(chunk)
            yield chunk

    def require_end(self) -> None:
        """Raises `InvalidRequest` where the connection broke."""
        if self._is_cut_off:
            raise InvalidRequest("the part was cut off")

    def require_checksum(self) -> None:
        """Raises `ChecksumMismatch`."""
        assert self.checksum is not None
        assert self._digest is not None
        if self._digest.digest() != self.checksum.digest:
            raise ChecksumMismatch(f"the part has another {self.checksum.algorithm}", hint="send it again")


def _require_offset(row: Row, offset: int) -> None:
    """Raises `Conflict`."""
    if row["offset_bytes"] != offset:
        error = Conflict(
            f"the upload stands at {row['offset_bytes']} bytes, and not at {offset}",
            hint="ask for its offset by HEAD and go on from there",
        )
        error.extras["offset_bytes"] = row["offset_bytes"]
        raise error


def _past_its_end(row: Row) -> TooLarge:
    return TooLarge(f"the upload has {row['size_bytes']} bytes, and not more", hint="as Upload-Length has said")
