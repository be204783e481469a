"""Objects by key, in a directory, S3, Google Cloud Storage or Azure, by obstore.

obstore was chosen over fsspec: one wheel with no cloud SDK behind it, streaming multipart uploads, and a
local store that writes to a temporary name and renames, so that a half-written object has no key.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from services.kit.errors import InvalidSettings, NotFound, SystemUnavailable

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    sha256: str
    size_bytes: int


class ObjectStore:
    """Keys are relative to `url`, so that a store can be moved as a whole."""

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        """`url` is `file:///dir`, `s3://bucket/prefix`, `gs://...` or `az://...`. Raises `InvalidSettings`."""
        self.url = url
        self._root = local_root(url)
        try:
            if self._root is not None:
                self._store: Any = LocalStore(self._root, mkdir=True)
            else:
                self._store = from_url(url, **dict(options or {}))
        except (BaseError, ValueError, OSError) as error:
            raise InvalidSettings(f"object store {url!r} cannot be opened: {error}") from error

    def local_path(self, key: str) -> Path | None:
        """Where the object lies, if the store is a directory."""
        return None if self._root is None else self._root / key

    def put_bytes(self, key: str, data: bytes) -> StoredObject:
        self._call(obstore.put, key, data)
        return StoredObject(key, hashlib.sha256(data).hexdigest(), len(data))

    def put_file(self, key: str, path: Path) -> StoredObject:
        digest, size = hashlib.sha256(), 0
        for chunk in file_chunks(path):
            digest.update(chunk)
            size += len(chunk)
        self._call(obstore.put, key, path)
        return StoredObject(key, digest.hexdigest(), size)

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> StoredObject:
        """Streams to the key; nothing is stored when `chunks` raises."""
        digest, size = hashlib.sha256(), 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        self._require_root()
        try:
            await obstore.put_async(self._store, key, counted())
        except BaseError as error:
            raise _wrapped(error, key) from error
        return StoredObject(key, digest.hexdigest(), size)

    def get_bytes(self, key: str) -> bytes:
        """Raises `NotFound`."""
        return bytes(self._call(obstore.get, key).bytes())

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The object in pieces. Raises `NotFound`."""
        self._require_root()
        try:
            result = await obstore.get_async(self._store, key)
            async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)
        except (BaseError, FileNotFoundError) as error:
            raise _wrapped(error, key) from error

    def fetch(
        self, key: str, target: Path, *, sha256: str, on_chunk: Callable[[], None] = lambda: None
    ) -> None:
        """Copies the object to `target` and checks its digest; `on_chunk` may end it by an exception.

        Raises `NotFound`, `SystemUnavailable`.
        """
        digest, found = hashlib.sha256(), self._call(obstore.get, key)
        with target.open("wb") as file:
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                on_chunk()
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            target.unlink()
            raise SystemUnavailable(f"object {key} does not have the digest it was stored with")

    def exists(self, key: str) -> bool:
        return self.size_bytes(key) is not None

    def size_bytes(self, key: str) -> int | None:
        """None for an object that is not there."""
        try:
            return int(self._call(obstore.head, key)["size"])
        except NotFound:
            return None

    def copy(self, source: str, target: str) -> None:
        self._call(obstore.copy, source, target)

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        try:
            self._call(obstore.delete, key)
        except NotFound:
            return

    def delete_prefix(self, prefix: str) -> int:
        """Everything below the prefix; in a directory also what a killed writer left half-written.

        The number of whole objects that went. Raises `SystemUnavailable` where anything cannot be removed.
        """
        keys = list(self.keys(prefix))
        for key in keys:
            self.delete(key)
        folder = self.local_path(prefix)
        if folder is not None:
            shutil.rmtree(folder, onerror=_tell_unless_shared)
        return len(keys)

    def keys(self, prefix: str) -> Iterator[str]:
        self._require_root()
        try:
            for batch in obstore.list(self._store, prefix=prefix):
                yield from (meta["path"] for meta in batch)
        except BaseError as error:
            raise _wrapped(error, prefix) from error

    def _call(self, verb: Any, key: str, *arguments: Any) -> Any:
        self._require_root()
        try:
            return verb(self._store, key, *arguments)
        except (BaseError, FileNotFoundError) as error:
            raise _wrapped(error, key) from error

    def _require_root(self) -> None:
        """A directory that is not there, as when its volume is not mounted, is away and not empty.

        Else what lies there would seem to be gone, and what is written would lie beside the volume.
        """
        if self._root is not None and not self._root.is_dir():
            raise SystemUnavailable("the directory of the object store is not there")


def file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def local_root(url: str) -> Path | None:
    """The folder of a `file://` store; None for a remote one."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _tell_unless_shared(_: object, path: str, info: tuple[type[BaseException], BaseException, object]) -> None:
    """What another removes, or writes, at the same moment is no failure of a removal."""
    error = info[1]
    if isinstance(error, OSError) and error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
        raise SystemUnavailable(
            f"the object store cannot remove {Path(path).name!r}: {error.strerror}"
        ) from error


def _wrapped(error: Exception, key: str) -> NotFound | SystemUnavailable:
    if isinstance(error, NotFoundError | FileNotFoundError):
        return NotFound(f"no object {key!r} in the store")
    reason = str(error).partition("\n")[0]  # what follows are the insides of the library's error
    return SystemUnavailable(f"the object store refused {key!r}: {reason}")
