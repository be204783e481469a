"""Objects by key in a directory: stored whole or not at all, and checked when fetched."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.kit.errors import InvalidMedia, InvalidSettings, NotFound, SystemUnavailable
from services.kit.object_store import ObjectStore, file_chunks
from services.kit.stages import Cancelled

DATA = bytes(range(256)) * 9_000  # more than two chunks
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a store with spaces"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore(folder.as_uri())


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_bytes_come_back_with_their_digest_and_size(store: ObjectStore) -> None:
    stored = store.put_bytes("e/a/tracks", DATA)
    assert (stored.key, stored.sha256, stored.size_bytes) == ("e/a/tracks", DIGEST, len(DATA))
    assert store.get_bytes("e/a/tracks") == DATA


def test_a_file_comes_back_with_its_digest_and_size(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(DATA)
    stored = store.put_file("k", tmp_path / "local")
    assert (stored.sha256, stored.size_bytes) == (DIGEST, len(DATA))
    assert store.get_bytes("k") == DATA


async def test_a_stream_is_stored_and_read_as_a_stream(store: ObjectStore) -> None:
    stored = await store.put_stream("k", pieces(DATA))
    assert (stored.sha256, stored.size_bytes) == (DIGEST, len(DATA))
    assert b"".join([chunk async for chunk in store.stream("k")]) == DATA


async def test_an_empty_stream_is_an_empty_object(store: ObjectStore) -> None:
    assert (await store.put_stream("k", pieces(b""))).size_bytes == 0
    assert store.get_bytes("k") == b""


@pytest.mark.parametrize("sound_bytes", [0, 1000, 12 << 20])
async def test_a_stream_that_fails_leaves_nothing_and_its_own_error_is_heard(
    store: ObjectStore, folder: Path, sound_bytes: int
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(bytes(sound_bytes), 1 << 20):
            yield piece
        raise InvalidMedia("no video")

    with pytest.raises(InvalidMedia):
        await store.put_stream("e/media/source", broken())
    assert not store.exists("e/media/source")
    assert files_below(folder) == []


def test_a_fetched_object_is_checked_against_its_digest(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("k", DATA)
    store.fetch("k", tmp_path / "copy", sha256=DIGEST)
    assert (tmp_path / "copy").read_bytes() == DATA


def test_an_object_that_changed_since_is_not_handed_over(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    store.put_bytes("k", DATA)
    (folder / "k").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(SystemUnavailable, match="digest"):
        store.fetch("k", tmp_path / "copy", sha256=DIGEST)
    assert not (tmp_path / "copy").exists()


def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        store.get_bytes("nowhere")
    with pytest.raises(NotFound):
        store.fetch("nowhere", tmp_path / "copy", sha256=DIGEST)
    assert not store.exists("nowhere")
    assert not (tmp_path / "copy").exists()


async def test_a_stream_of_what_is_not_there_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        _ = [chunk async for chunk in store.stream("nowhere")]


def test_deleting_twice_is_no_error(store: ObjectStore) -> None:
    store.put_bytes("k", b"x")
    store.delete("k")
    store.delete("k")
    assert not store.exists("k")


def test_a_prefix_goes_with_what_was_left_half_written(store: ObjectStore, folder: Path) -> None:
    for key in ("e1/a/x", "e1/b/y", "e2/a/x"):
        store.put_bytes(key, b"x")
    (folder / "e1/b/z#1").write_bytes(b"half")
    assert store.delete_prefix("e1") == 2
    assert files_below(folder) == [folder / "e2/a/x"]
    assert store.delete_prefix("e1") == 0


def test_a_directory_that_is_away_is_not_taken_for_an_empty_one_and_not_made_again(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    store.put_bytes("e/a", DATA)
    folder.rename(tmp_path / "elsewhere")
    for asked in (
        lambda: store.put_bytes("k", DATA),
        lambda: store.get_bytes("e/a"),
        lambda: store.fetch("e/a", tmp_path / "copy", sha256=DIGEST),
        lambda: store.exists("e/a"),
        lambda: store.delete("e/a"),
        lambda: store.delete_prefix("e"),
        lambda: list(store.keys("e")),
        lambda: asyncio.run(store.put_stream("k", pieces(DATA))),
        lambda: asyncio.run(anext(store.stream("e/a"))),  # type: ignore[arg-type]
    ):
        with pytest.raises(SystemUnavailable, match="is not there"):
            asked()
    assert not folder.exists()
    (tmp_path / "elsewhere").rename(folder)
    assert store.get_bytes("e/a") == DATA
    assert store.delete_prefix("e") == 1


def test_a_refusal_is_told_in_one_line(store: ObjectStore, folder: Path) -> None:
    store.put_bytes("e/a", DATA)
    with pytest.raises(SystemUnavailable, match="refused 'e/a/b'") as refused:
        store.put_bytes("e/a/b", DATA)
    assert "\n" not in str(refused.value)


def test_keys_are_listed_by_prefix(store: ObjectStore) -> None:
    for key in ("e1/a/x", "e1/b/y", "e2/a/x"):
        store.put_bytes(key, b"")
    assert sorted(store.keys("e1")) == ["e1/a/x", "e1/b/y"]


def test_an_object_is_copied(store: ObjectStore) -> None:
    store.put_bytes("a", DATA)
    store.copy("a", "b/c")
    assert store.get_bytes("b/c") == DATA


def test_an_object_of_a_directory_has_a_path(store: ObjectStore, folder: Path) -> None:
    store.put_bytes("e/a", DATA)
    assert store.local_path("e/a") == folder / "e/a"


def test_a_key_that_climbs_out_is_refused(store: ObjectStore, folder: Path) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    with pytest.raises((NotFound, SystemUnavailable, ValueError)):
        store.get_bytes("../secret")


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/x", "s3://"])
def test_an_address_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"object store"):
        ObjectStore(url)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidSettings):
        ObjectStore((tmp_path / "file" / "store").as_uri())


def test_a_file_is_read_in_chunks_that_make_it_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    chunks = list(file_chunks(tmp_path / "f"))
    assert len(chunks) > 1
    assert b"".join(chunks) == DATA


def test_a_long_fetch_can_be_ended_between_its_chunks(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(5 << 20)
    sha256 = store.put_bytes("long", content).sha256
    chunks: list[int] = []
    store.fetch("long", tmp_path / "whole", sha256=sha256, on_chunk=lambda: chunks.append(1))
    assert len(chunks) > 1

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        store.fetch("long", tmp_path / "part", sha256=sha256, on_chunk=stop)


@pytest.fixture
def cut_off() -> Iterator[ObjectStore]:
    """A store of S3's kind, by plain HTTP, whose connections break amid every object."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.send_header("ETag", '"an-object"')
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            self.end_headers()
            with suppress(OSError):  # who has heard enough hangs up
                self.wfile.write(DATA[: len(DATA) // 2])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        options = {
            "endpoint": f"http://127.0.0.1:{server.server_address[1]}",
            "allow_http": "true",
            "access_key_id": "a",
            "secret_access_key": "b",
            "region": "here",
        }
        yield ObjectStore("s3://bucket/prefix", options=options)
        server.shutdown()
        thread.join()


async def test_a_connection_that_breaks_amid_an_object_is_the_systems_fault(
    cut_off: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(SystemUnavailable, match="refused 'k'"):
        cut_off.fetch("k", tmp_path / "target", sha256=DIGEST)
    with pytest.raises(SystemUnavailable, match="refused 'k'"):
        cut_off.get_bytes("k")
    with pytest.raises(SystemUnavailable, match="refused 'k'"):
        async for _ in cut_off.stream("k"):
            pass


@pytest.mark.parametrize(
    "options", [{"nonsense": "1"}, {"allow_http": "perhaps"}, {"access_key_id": "without its secret"}]
)
def test_options_that_no_store_has_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings):
        ObjectStore("s3://bucket", options=options)
