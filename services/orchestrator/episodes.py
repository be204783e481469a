"""Registering videos: streamed into the store under a name of ours, sniffed, digested, never opened."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from ulid import ULID

from services.kit.disk_need import require_space
from services.kit.errors import Conflict, InvalidMedia, InvalidRequest, NotFound, ScreenalyticsError, TooLarge
from services.kit.media_types import ContainerFormat, sniff
from services.kit.object_store import ObjectStore, StoredObject, file_chunks
from services.kit.settings import DiskSettings
from services.orchestrator.announcements import announce_episode
from services.orchestrator.database import CommitUnanswered, Database, Row, Transaction
from services.orchestrator.episode_edit import EpisodeEdit
from services.orchestrator.episode_view import episode_tag
from services.orchestrator.incoming_media import expect_media, take_in_media
from services.orchestrator.paging import Page, PageRequest, begin_after, page_of
from services.orchestrator.preconditions import IfMatch, require_match
from services.orchestrator.settings import MediaSettings

_SNIFF_BYTES = 4096
_MEDIA_NAME = "source"
_EP_ID = re.compile(r"^[a-z0-9][a-z0-9._-]{0,127}$")


@dataclass(frozen=True, slots=True)
class Registration:
    episode: Row
    is_new: bool


class Episodes:
    def __init__(
        self, database: Database, store: ObjectStore, settings: MediaSettings, disk: DiskSettings
    ) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._disk = disk

    async def register(
        self,
        chunks: AsyncIterator[bytes],
        *,
        filename: str,
        ep_id: str | None,
        replace: bool,
        size_bytes: int | None = None,
    ) -> Registration:
        """Stores the bytes and names them. `size_bytes`: as far as it is known before they come.

        The same content under the same name is the same episode. Raises `InvalidMedia`, `InvalidRequest`,
        `Conflict` when the name belongs to other content and `replace` is false, and `InsufficientDisk`.
        """
        if ep_id is not None:
            require_ep_id(ep_id)
        if size_bytes is not None and (folder := self._store.local_path("")) is not None:
            await asyncio.to_thread(require_space, {"the store": (folder, size_bytes)}, self._disk)
        episode_uid = str(ULID())
        key = f"{await self._place(episode_uid, ep_id)}/{_MEDIA_NAME}"
        sniffed = _Sniffer(chunks, self._settings.max_upload_bytes)
        stored = await self._store.put_stream(key, sniffed.chunks())
        try:
            assert sniffed.container is not None
            while True:
                # A name that another upload takes in the meantime is known the next time.
                with suppress(psycopg.errors.UniqueViolation):
                    return await self._name(
                        episode_uid, stored, sniffed.container, filename, ep_id, replace=replace
                    )
        except CommitUnanswered:
            raise  # the episode may be there, and needs its video
        except ScreenalyticsError:
            await asyncio.to_thread(self._store.delete, key)
            raise

    async def register_path(self, path: Path, *, ep_id: str | None, replace: bool) -> Registration:
        """As `register`, from a file of this machine, where the setting allows it."""
        if not self._settings.allow_local_paths:
            raise InvalidRequest(
                "this system takes no local paths",
                hint="upload the file, or set SCREENALYTICS_MEDIA__ALLOW_LOCAL_PATHS",
            )
        if not path.is_absolute() or not await asyncio.to_thread(path.is_file):
            raise InvalidRequest(f"{path} is not an absolute path of a file")
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        return await self.register(
            _read_async(path), filename=path.name, ep_id=ep_id, replace=replace, size_bytes=size_bytes
        )

    async def get(self, ep_id: str, *, show_deleted: bool = False) -> Row:
        """`show_deleted`: also while it is in the trash. Raises `NotFound`."""
        async with self._database.transaction() as tx:
            row = await tx.one("named_episode", ep_id=ep_id)
        if row is None or (row["trashed_at"] is not None and not show_deleted):
            raise NotFound(f"no episode {ep_id!r}")
        return row

    async def page(self, page: PageRequest, *, show_deleted: bool = False) -> Page[Row]:
        """Of the current episodes, in the order of their names; `show_deleted`: those in the trash too.

        Raises `InvalidRequest`, `InvalidPageToken`.
        """
        query = {"list": "episodes", "show_deleted": show_deleted}
        begin = begin_after(page, query, parts=1)
        after = begin[0] if begin else ""
        rows = await self._database.read(
            "list_episodes", after=after, limit=page.limit + 1, show_deleted=show_deleted
        )
        return page_of(rows, page, query, lambda row: (row["ep_id"],))

    async def edit(
        self, ep_id: str, edit: EpisodeEdit, *, update_mask: str = "", if_match: IfMatch = None
    ) -> Row:
        """The episode as it is then. Raises `NotFound`, `InvalidRequest`, `PreconditionFailed`."""
        changes = edit.changes(update_mask)
        async with self._database.transaction() as tx:
            row = await tx.one("lock_current_episode", ep_id=ep_id)
            if row is None:
                raise NotFound(f"no episode {ep_id!r}")
            require_match(episode_tag(row), if_match, f"episode {ep_id}")
            values = {"title": None, "labels": None, **changes}
            edited = await tx.last("edit_episode", episode_uid=row["episode_uid"], **values)
        assert edited is not None
        return edited

    async def _name(
        self,
        episode_uid: str,
        stored: StoredObject,
        container: ContainerFormat,
        filename: str,
        ep_id: str | None,
        *,
        replace: bool,
    ) -> Registration:
        name = ep_id or default_ep_id(filename, stored.sha256)
        async with self._database.transaction() as tx:
            known = await take_in_media(tx, stored.key.removesuffix(f"/{_MEDIA_NAME}"), name)
            if known is not None:
                require_not_trashed(known)
            if known is None and not stored.key.startswith(f"{episode_uid}/"):
                raise _changed_meanwhile(name)  # it was on its way to an episode that was erased
            if known is not None and known["media_uri"] is None:
                return await self._attach(tx, known, stored, container, filename)
            if known is not None and known["sha256"] == stored.sha256:
                return await self._same_again(tx, known, stored)
            if known is not None and not replace:
                raise Conflict(
                    f"episode {name} already exists with other content",
                    hint="choose another ep_id, or replace it with replace=true",
                )
            if known is not None:
                await tx.run("supersede_episode", ep_id=name)
            row = await tx.one(
                "insert_episode",
                episode_uid=episode_uid,
                ep_id=name,
                filename=filename,
                media_uri=stored.key,
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                container=container,
            )
            assert row is not None
            await announce_episode(tx, row)
        return Registration(row, is_new=True)

    async def _same_again(self, tx: Transaction, known: Row, stored: StoredObject) -> Registration:
        """The bytes are there already, or are wanted again where they were no longer kept."""
        if known["media_removed_at"] is not None:
            key = f"{known['episode_uid']}/media/{ULID()}"
            await asyncio.to_thread(self._store.copy, stored.key, key)
            known = await tx.one("put_media_back", episode_uid=known["episode_uid"], media_uri=key) or known
        await asyncio.to_thread(self._store.delete, stored.key)
        return Registration(known, is_new=False)

    async def _place(self, episode_uid: str, ep_id: str | None) -> str:
        """The prefix of the video's own; that of an imported episode without one lies below the episode's."""
        async with self._database.transaction() as tx:
            known = None if ep_id is None else await tx.one("named_episode", ep_id=ep_id)
            if known is not None:
                require_not_trashed(known)
            prefix = f"{episode_uid}/media"
            if known is not None and known["media_uri"] is None:
                prefix = f"{known['episode_uid']}/media/{episode_uid}"
            await expect_media(tx, prefix)
        return prefix

    async def _attach(
        self, tx: Transaction, known: Row, stored: StoredObject, container: ContainerFormat, filename: str
    ) -> Registration:
        """Raises `Conflict` when an import made the episode while the video was on its way."""
        row = None
        if stored.key.startswith(f"{known['episode_uid']}/"):
            row = await tx.one(
                "attach_media",
                episode_uid=known["episode_uid"],
                filename=filename,
                media_uri=stored.key,
                sha256=stored.sha256,
                size_bytes=stored.size_bytes,
                container=container,
            )
        if row is None:
            raise _changed_meanwhile(known["ep_id"])
        await announce_episode(tx, row)
        return Registration(row, is_new=True)


def require_not_trashed(episode: Row) -> None:
    """Raises `Conflict`."""
    if episode["trashed_at"] is not None:
        raise Conflict(
            f"episode {episode['ep_id']} is in the trash",
            hint="restore it, or erase it, or choose another ep_id",
        )


def _changed_meanwhile(ep_id: str) -> Conflict:
    return Conflict(f"episode {ep_id} was changed meanwhile", hint="upload again")


class _Sniffer:
    """Passes bytes through, having refused those that are no video, and those past the size limit."""

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.container: ContainerFormat | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        head, size = b"", 0
        async for chunk in self._chunks:
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge(f"the upload is larger than {self._max_bytes} bytes")
            if self.container is None:
                head += chunk
                if len(head) < _SNIFF_BYTES:
                    continue
                self.container = _sniffed(head)
                chunk = head  # noqa: PLW2901
            yield chunk
        if self.container is None:
            self.container = _sniffed(head)
            yield head


def _sniffed(head: bytes) -> ContainerFormat:
    if not head:
        raise InvalidMedia("the file is empty", hint="upload a video file")
    container = sniff(head)
    if container is None:
        raise InvalidMedia(
            "the file is not a video container this system knows",
            hint=f"accepted: {', '.join(c.value for c in ContainerFormat)}",
        )
    return container


def require_ep_id(ep_id: str) -> None:
    """Raises `InvalidRequest`."""
    if not _EP_ID.fullmatch(ep_id):
        raise InvalidRequest(f"ep_id {ep_id!r} does not match {_EP_ID.pattern}")


def default_ep_id(filename: str, sha256: str) -> str:
    """Slug of the file name and the first 8 hex digits of the content's sha256."""
    plain = unicodedata.normalize("NFKD", Path(filename).stem).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9._]+", "-", plain.lower()).strip("-._")[:100]
    return f"{slug}-{sha256[:8]}" if slug else f"episode-{sha256[:8]}"


async def _read_async(path: Path) -> AsyncIterator[bytes]:
    chunks = file_chunks(path)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
