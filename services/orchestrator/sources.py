"""Episodes by the place of their video: the web, object stores that an administrator named, or this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from services.kit.errors import AddressRefused, InvalidRequest, RemoteUnavailable
from services.kit.object_store import ObjectStore
from services.orchestrator.access.uploads import BytesBrought
from services.orchestrator.digests import sha256_from_hex, with_digest
from services.orchestrator.episodes import Episodes, Registration, require_ep_id
from services.orchestrator.outbound import Outbound
from services.orchestrator.settings import MediaSettings, SourcesSettings

_WEB = ("https", "http")


class Place(BaseModel):
    """One of `source_uri`, and `path` where the server takes paths of its own machine."""

    model_config = ConfigDict(extra="forbid")

    path: Path | None = None
    source_uri: str | None = None
    sha256: str | None = None
    ep_id: str | None = None
    replace: bool = False


class Sources:
    def __init__(
        self, episodes: Episodes, outbound: Outbound, settings: SourcesSettings, media: MediaSettings
    ) -> None:
        """Raises `InvalidSettings` for a prefix that no store can be opened on."""
        self._episodes = episodes
        self._outbound = outbound
        self._settings = settings
        self._max_bytes = media.max_upload_bytes
        self._stores = {
            f"{prefix.rstrip('/')}/": ObjectStore(prefix.rstrip("/"), options=options)
            for prefix, options in settings.prefixes.items()
        }

    async def register(self, place: Place, brought: BytesBrought) -> Registration:
        """As `Episodes.register`, with the bytes of the place, which must have the digest where one is given.

        What is fetched is counted as if the caller had sent it. Raises besides `AddressRefused`,
        `RemoteUnavailable`, `TooLarge`, `NotFound`, `DigestMismatch`, `RateLimited`.
        """
        match place:
            case Place(path=None, source_uri=str(uri)):
                return await self._from_uri(uri, place, brought)
            case Place(path=Path() as path, source_uri=None, sha256=None):
                return await self._episodes.register_path(path, ep_id=place.ep_id, replace=place.replace)
        raise InvalidRequest("give either source_uri, perhaps with sha256, or path")

    async def _from_uri(self, uri: str, place: Place, brought: BytesBrought) -> Registration:
        expected = None if place.sha256 is None else sha256_from_hex(place.sha256)
        if place.ep_id is not None:
            require_ep_id(place.ep_id)
        is_web = uri.partition(":")[0].lower() in _WEB
        fetch = self._from_web if is_web else self._from_store
        return await fetch(uri, place, expected, brought)

    async def _from_web(
        self, url: str, place: Place, sha256: bytes | None, brought: BytesBrought
    ) -> Registration:
        async with self._outbound.fetch(
            url,
            hosts=self._settings.hosts,
            max_bytes=self._max_bytes,
            within_s=self._settings.max_fetch_s,
        ) as source:
            return await self._episodes.register(
                with_digest(_counted(source.chunks(), source.size_bytes, brought), sha256),
                filename=source.file_name or "source",
                ep_id=place.ep_id,
                replace=place.replace,
                size_bytes=source.size_bytes,
            )

    async def _from_store(
        self, uri: str, place: Place, sha256: bytes | None, brought: BytesBrought
    ) -> Registration:
        store, key = self._found(uri)
        size_bytes = await asyncio.to_thread(_size, store, key)
        try:
            async with asyncio.timeout(self._settings.max_fetch_s):
                return await self._episodes.register(
                    with_digest(_counted(store.stream(key), size_bytes, brought), sha256),
                    filename=PurePosixPath(key).name,
                    ep_id=place.ep_id,
                    replace=place.replace,
                    size_bytes=size_bytes,
                )
        except TimeoutError as error:
            message = f"the source took longer than {self._settings.max_fetch_s:.0f} s"
            raise RemoteUnavailable(message) from error

    def _found(self, uri: str) -> tuple[ObjectStore, str]:
        """The store below whose prefix the URI lies, and its key there."""
        for prefix, store in self._stores.items():
            key = uri.removeprefix(prefix)
            if key != uri and _is_plain(key):
                return store, key
        raise AddressRefused(
            "the source is neither an https:// URL nor below a prefix that this system may read",
            hint="an administrator can name prefixes by SCREENALYTICS_SOURCES__PREFIXES",
        )


async def _counted(
    chunks: AsyncIterator[bytes], size_bytes: int | None, brought: BytesBrought
) -> AsyncIterator[bytes]:
    await brought.announce(size_bytes or 0)
    async for chunk in chunks:
        await brought.add(len(chunk))
        yield chunk


def _is_plain(key: str) -> bool:
    """Nothing in it means anything but itself, to whatever store."""
    is_text = key.isprintable() and not set(key) & set("%\\?#")
    return is_text and all(part not in ("", ".", "..") for part in key.split("/"))


def _size(store: ObjectStore, key: str) -> int | None:
    """Raises `AddressRefused` for what is no plain file below the prefix, were it by a link."""
    path, root = store.local_path(key), store.local_path("")
    if path is None or root is None or not path.exists():
        return store.size_bytes(key)
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        raise AddressRefused("the source is no file below the prefix")
    return path.stat().st_size
