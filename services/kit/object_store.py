"""Objects by key, in a directory, S3, Google Cloud Storage or Azure, by obstore.

obstore was chosen over fsspec: one wheel with no cloud SDK behind it, streaming multipart uploads, and a
local store that writes to a temporary name and renames, so that a half-written object has no key.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
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
# Options of the HTTP client, whatever the scheme, which obstore takes apart from those of the store.
_CLIENT_OPTIONS = frozenset(
    {
        "allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type",
        "http1_only", "http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_keep_alive_while_idle",
        "http2_only", "pool_idle_timeout", "pool_max_idle_per_host", "proxy_ca_certificate", "proxy_excludes",
        "proxy_url", "root_certificate", "timeout", "user_agent",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    sha256: str
    size_bytes: int


class ObjectStore:
    """Keys are relative to `url`, so that a store can be moved as a whole."""

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None) -> None:
        """`url` is `file:///dir`, `s3://bucket/prefix`, `gs://...` or `az://...`; `options` are obstore's for
        the scheme and for its HTTP client, such as `allow_http`. Raises `InvalidSettings`.
        """
        self.url = url
        self._root = local_root(url)
        try:
            if self._root is not None:
                self._store: Any = LocalStore(self._root, mkdir=True)
            else:
                self._store = from_url(url, **_sorted_out(options or {}))
        except (BaseError, ValueError, TypeError, OSError) as error:
            raise InvalidSettings(f"object store {url!r} cannot be opened: {_in_one_line(error)}") from error

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

        with self._reached(key):
            await obstore.put_async(self._store, key, counted())
        return StoredObject(key, digest.hexdigest(), size)

    def get_bytes(self, key: str) -> bytes:
        """Raises `NotFound`."""
        found = self._call(obstore.get, key)
        with _in_our_words(key):
            return bytes(found.bytes())

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The object in pieces. Raises `NotFound`."""
        with self._reached(key):
            result = await obstore.get_async(self._store, key)
            async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def fetch(
        self, key: str, target: Path, *, sha256: str, on_chunk: Callable[[], None] = lambda: None
    ) -> None:
        """Copies the object to `target` and checks its digest; `on_chunk` may end it by an exception.

        Raises `NotFound`, `SystemUnavailable`.
        """
        digest, found = hashlib.sha256(), self._call(obstore.get, key)
        with target.open("wb") as file, _in_our_words(key):
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
        with self._reached(prefix):
            for batch in obstore.list(self._store, prefix=prefix):
                yield from (meta["path"] for meta in batch)

    def _call(self, verb: Any, key: str, *arguments: Any) -> Any:
        with self._reached(key):
            return verb(self._store, key, *arguments)

    @contextmanager
    def _reached(self, key: str) -> Iterator[None]:
        """A directory that is not there, as when its volume is not mounted, is away and not empty.

        Else what lies there would seem to be gone, and what is written would lie beside the volume. Raises
        `NotFound`, `SystemUnavailable`.
        """
        if self._root is not None and not self._root.is_dir():
            raise SystemUnavailable("the directory of the object store is not there")
        with _in_our_words(key):
            yield


def _sorted_out(options: Mapping[str, Any]) -> dict[str, Any]:
    client = {name: value for name, value in options.items() if name in _CLIENT_OPTIONS}
    rest = {name: value for name, value in options.items() if name not in _CLIENT_OPTIONS}
    return rest | ({"client_options": client} if client else {})


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


@contextmanager
def _in_our_words(key: str) -> Iterator[None]:
    """Raises `NotFound`, `SystemUnavailable` for what the library raises."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise NotFound(f"no object {key!r} in the store") from error
    except BaseError as error:
        raise SystemUnavailable(f"the object store refused {key!r}: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return str(error).partition("\n")[0]  # what follows are the insides of the library's error
