"""Objects in a bucket, over real HTTP: whole or not there at all, listed page by page, and failures told."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.kit.errors import InvalidMedia, InvalidSettings, NotFound, SystemUnavailable
from services.kit.object_store import ObjectStore
from services.kit.settings import StoreSettings
from tests.s3_server import BUCKET, S3Server, s3_server

_BIG = bytes(range(256)) * (13 << 12)  # more than two parts of a multipart upload
_URL = f"s3://{BUCKET}/here"


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture
def store(server: S3Server) -> ObjectStore:
    return ObjectStore(_URL, options=server.options)


async def pieces(data: bytes, *, fail: bool = False) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 20):
        yield data[start : start + (1 << 20)]
    if fail:
        raise InvalidMedia("no video")


def test_objects_come_back_and_are_gone_when_deleted(store: ObjectStore, server: S3Server) -> None:
    stored = store.put_bytes("e/a b/é", b"x" * 10)
    assert list(server.objects) == ["here/e/a b/é"]
    assert (store.get_bytes("e/a b/é"), store.size_bytes("e/a b/é")) == (b"x" * 10, stored.size_bytes)
    store.copy("e/a b/é", "e/copy")
    assert store.get_bytes("e/copy") == b"x" * 10
    for _ in range(2):
        store.delete("e/copy")
    assert not store.exists("e/copy")
    with pytest.raises(NotFound):
        store.get_bytes("e/copy")


async def test_a_large_stream_travels_in_parts(store: ObjectStore, server: S3Server, tmp_path: Path) -> None:
    stored = await store.put_stream("e/video", pieces(_BIG))
    assert stored.sha256 == hashlib.sha256(_BIG).hexdigest()
    assert server.calls.count("PUT here/e/video") > 1
    store.fetch("e/video", tmp_path / "video", sha256=stored.sha256)
    assert (tmp_path / "video").read_bytes() == _BIG
    assert b"".join([piece async for piece in store.stream("e/video")]) == _BIG


async def test_a_stream_that_fails_leaves_no_object_and_no_part(store: ObjectStore, server: S3Server) -> None:
    with pytest.raises(InvalidMedia):
        await store.put_stream("e/video", pieces(_BIG, fail=True))
    assert (server.objects, server.parts) == ({}, {})


def test_a_prefix_goes_whole_and_its_neighbour_stays(store: ObjectStore, server: S3Server) -> None:
    for number in range(8):  # more than a page of the list
        store.put_bytes(f"e1/{number}", b"x")
    store.put_bytes("e10/0", b"x")
    assert len(list(store.keys("e1"))) == 8
    assert store.delete_prefix("e1") == 8
    assert list(server.objects) == ["here/e10/0"]


async def test_a_bucket_that_fails_is_not_one_without_objects(store: ObjectStore, server: S3Server) -> None:
    store.put_bytes("e/a", b"x")
    server.outage.set()
    for call in (
        lambda: store.get_bytes("e/a"),
        lambda: store.exists("e/a"),
        lambda: list(store.keys("e")),
        lambda: store.delete_prefix("e"),
        lambda: store.put_bytes("e/b", b"x"),
    ):
        with pytest.raises(SystemUnavailable, match="object store refused"):
            call()
    with pytest.raises(SystemUnavailable):
        await store.put_stream("e/b", pieces(_BIG))
    server.outage.clear()
    assert list(server.objects) == ["here/e/a"]


def test_wrong_credentials_are_told_without_the_secret(server: S3Server) -> None:
    store = ObjectStore(_URL, options=server.options | {"access_key_id": "another"})
    with pytest.raises(SystemUnavailable, match="403") as refused:
        store.put_bytes("e/a", b"x")
    assert server.options["secret_access_key"] not in str(refused.value)


def test_options_of_the_connection_may_stand_among_those_of_the_bucket(server: S3Server) -> None:
    plain = {name: value for name, value in server.options.items() if isinstance(value, str)}
    settings = StoreSettings(url=_URL, options=plain | {"timeout": "5s", "connect_timeout": "5s"})
    ObjectStore(settings.url, options=settings.options).put_bytes("e/a", b"x")
    assert list(server.objects) == ["here/e/a"]


@pytest.mark.parametrize(
    "options", [{"regoin": "x"}, {"region": 5}, {"timeout": "soon"}, {"allow_http": "perhaps"}]
)
def test_options_that_are_none_are_refused_in_one_line(options: dict[str, object]) -> None:
    with pytest.raises(InvalidSettings) as refused:
        ObjectStore(_URL, options=options)
    assert "\n" not in str(refused.value)
