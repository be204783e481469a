"""Resumable uploads over HTTP: what was acknowledged is never lost, and nothing else counts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.local.nats import EmbeddedNats
from services.orchestrator.assembly import UploadAssembler, UploadCollector
from services.orchestrator.feed import JobFeed
from services.orchestrator.settings import MediaSettings, UploadsSettings
from services.orchestrator.uploads import Uploads
from tests.integration.orchestrator.conftest import Serve
from tests.integration.orchestrator.process import orchestrator
from tests.integration.parts import VIDEO, Parts, until

TUS = {"Tus-Resumable": "1.0.0"}
SHA256 = hashlib.sha256(VIDEO).hexdigest()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def create(api: httpx.AsyncClient, size: int = len(VIDEO), **metadata: str) -> str:
    pairs = ",".join(f"{key} {b64(value.encode())}" for key, value in metadata.items())
    answer = await api.post("/v1/uploads", headers=TUS | {"Upload-Length": str(size), "Upload-Metadata": pairs})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


async def patch(
    api: httpx.AsyncClient, where: str, offset: int, content: Any, **headers: str
) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    plain = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return await api.patch(where, content=content, headers=TUS | plain | given)


async def offset_of(api: httpx.AsyncClient, where: str) -> int:
    return int((await api.head(where, headers=TUS)).headers["Upload-Offset"])


async def ended(api: httpx.AsyncClient, where: str) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        upload = (await api.get(where, params={"wait_s": 10})).json()
        return upload if upload["state"] in ("registered", "refused") else None

    return dict(await until(over, within_s=60))


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["tus-resumable"] == "1.0.0"
    return (answer.status_code, answer.json()["code"]) == (status, code)


async def test_parts_become_an_episode(api: httpx.AsyncClient, parts: Parts) -> None:
    where = await create(api, filename="My Show.mp4", ep_id="show", sha256=SHA256)
    head = await api.head(where, headers=TUS)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", str(len(VIDEO)))
    assert "filename" in head.headers["upload-metadata"]
    for start in range(0, len(VIDEO), 3000):
        answer = await patch(api, where, start, VIDEO[start : start + 3000])
        assert answer.status_code == 204
        assert int(answer.headers["upload-offset"]) == min(start + 3000, len(VIDEO))
        assert answer.headers["upload-expires"].endswith("GMT")
    upload = await ended(api, where)
    assert (upload["state"], upload["ep_id"], upload["error"]) == ("registered", "show", None)
    episode = (await api.get("/v1/episodes/show")).json()
    assert (episode["sha256"], episode["filename"]) == (SHA256, "My Show.mp4")
    assert episode["episode_uid"] == upload["episode_uid"]

    async def only_the_episode_is_left() -> bool:
        return list(parts.store.keys("")) == [f"{episode['episode_uid']}/media/source"]

    await until(only_the_episode_is_left)


async def test_what_tus_is_spoken_is_told(api: httpx.AsyncClient) -> None:
    answer = await api.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "expiration",
        "termination",
        "checksum",
    }
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) > 0


async def test_requests_that_are_none_of_the_protocol_are_problems(api: httpx.AsyncClient) -> None:
    where = await create(api)
    size = len(VIDEO)
    assert is_problem(await api.post("/v1/uploads", headers={"Upload-Length": "5"}), 412, "precondition-failed")
    for headers in (
        {},
        {"Upload-Length": "-1"},
        {"Upload-Length": "0"},
        {"Upload-Length": "x"},
        {"Upload-Length": "9" * 30},
        {"Upload-Length": "5", "Upload-Metadata": "ep_id Li4v"},
        {"Upload-Length": "5", "Upload-Metadata": "filename %%%"},
        {"Upload-Length": "5", "Upload-Metadata": "filename gICA"},
        {"Upload-Length": "5", "Upload-Metadata": "replace cGVyaGFwcw=="},
        {"Upload-Length": "5", "Upload-Metadata": "sha256 YWI="},
        {"Upload-Length": "5", "Upload-Metadata": "x " + "A" * 5000},
    ):
        assert is_problem(await api.post("/v1/uploads", headers=TUS | headers), 400, "invalid-request"), headers
    assert is_problem(await patch(api, where, 0, b"x", Content_Type="video/mp4"), 415, "unsupported-media-type")
    assert is_problem(await patch(api, where, 7, b"x"), 409, "conflict")
    assert is_problem(await patch(api, where, size, b""), 409, "conflict")
    assert is_problem(await patch(api, where, 0, b"x", Upload_Offset="no"), 400, "invalid-request")
    assert is_problem(await patch(api, where, 0, b"x", Upload_Checksum="md5 AAAA"), 400, "invalid-request")
    assert is_problem(await patch(api, where, 0, b"x", Upload_Checksum="sha256 %"), 400, "invalid-request")
    assert is_problem(await patch(api, where, 0, VIDEO + b"x"), 413, "too-large")
    assert is_problem(await patch(api, "/v1/uploads/nobody", 0, b"x"), 404, "not-found")
    assert await offset_of(api, where) == 0


async def test_more_bytes_than_announced_are_refused_also_when_their_number_is_not_told(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield VIDEO
        yield b"x"

    where = await create(api)
    assert is_problem(await patch(api, where, 0, body()), 413, "too-large")
    assert await offset_of(api, where) == 0
    assert list(parts.store.keys("")) == []


async def test_an_upload_past_the_limit_is_refused_before_it_begins(serve_api: Serve) -> None:
    async with serve_api(media=MediaSettings(max_upload_bytes=1000)) as api:
        answer = await api.post("/v1/uploads", headers=TUS | {"Upload-Length": "1001"})
        assert is_problem(answer, 413, "too-large")


async def test_a_part_with_a_wrong_checksum_does_not_count(api: httpx.AsyncClient) -> None:
    where = await create(api)
    wrong = f"sha256 {b64(hashlib.sha256(b'other').digest())}"
    assert is_problem(await patch(api, where, 0, VIDEO[:100], Upload_Checksum=wrong), 460, "checksum-mismatch")
    assert await offset_of(api, where) == 0
    for start, algorithm in ((0, "sha256"), (100, "sha1")):
        content = VIDEO[start : start + 100]
        right = f"{algorithm} {b64(hashlib.new(algorithm, content).digest())}"
        assert (await patch(api, where, start, content, Upload_Checksum=right)).status_code == 204
    assert await offset_of(api, where) == 200


async def test_of_parts_at_the_same_place_one_counts(api: httpx.AsyncClient, parts: Parts) -> None:
    where = await create(api)
    answers = await asyncio.gather(*(patch(api, where, 0, VIDEO[:5000]) for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [204] + [409] * 7
    assert await offset_of(api, where) == 5000
    assert len(list(parts.store.keys("uploads"))) == 1
    await patch(api, where, 5000, VIDEO[5000:])
    assert (await ended(api, where))["state"] == "registered"


async def test_what_came_before_a_connection_broke_is_kept(serve_api: Serve) -> None:
    async with serve_api(uploads=UploadsSettings(part_bytes=1000)) as api:
        where = await create(api)
        assert api.base_url.port is not None
        _, writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
        head = (
            f"PATCH {where} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {len(VIDEO)}\r\n\r\n"
        )
        writer.write(head.encode() + VIDEO[:4321])
        await writer.drain()

        async def stands_at(offset: int) -> None:
            async def is_there() -> bool:
                return await offset_of(api, where) == offset

            await until(is_there)

        await stands_at(4000)
        writer.close()
        await writer.wait_closed()
        await stands_at(4321)
        assert (await patch(api, where, 4321, VIDEO[4321:])).status_code == 204
        assert (await ended(api, where))["state"] == "registered"


async def test_replicas_take_the_parts_of_one_upload_in_turn(serve_api: Serve) -> None:
    async with serve_api() as one, serve_api() as other:
        where = await create(one, ep_id="show")
        for number, start in enumerate(range(0, len(VIDEO), 2000)):
            api = (one, other)[number % 2]
            assert (await patch(api, where, start, VIDEO[start : start + 2000])).status_code == 204
        assert (await ended(one, where))["state"] == "registered"
        assert (await other.get("/v1/episodes/show")).json()["sha256"] == SHA256


async def test_killing_the_orchestrator_loses_nothing_that_was_acknowledged(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    async with orchestrator(parts, nats_server.url, tmp_path) as (process, api):
        where = await create(api, ep_id="show")
        assert (await patch(api, where, 0, VIDEO[:7000])).status_code == 204
        process.kill()
        await process.start(api)
        assert await offset_of(api, where) == 7000
        assert (await patch(api, where, 7000, VIDEO[7000:])).status_code == 204
        process.kill()  # with the whole upload acknowledged, and perhaps not put together
        await process.start(api)
        assert (await ended(api, where))["state"] == "registered"
        assert (await api.get("/v1/episodes/show")).json()["sha256"] == SHA256


async def test_an_upload_that_is_no_video_or_not_what_was_announced_is_refused(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    for content, metadata, code in (
        (b"#EXTM3U\n" * 100, {}, "invalid-media"),
        (VIDEO, {"sha256": "0" * 64}, "digest-mismatch"),
    ):
        where = await create(api, len(content), **metadata)
        assert (await patch(api, where, 0, content)).status_code == 204
        upload = await ended(api, where)
        assert (upload["state"], upload["error"]["code"], upload["episode_uid"]) == ("refused", code, None)

    async def nothing_is_left() -> bool:
        return list(parts.store.keys("")) == []

    await until(nothing_is_left)
    assert await parts.rows("SELECT 1 FROM episodes") == []


async def test_a_terminated_upload_is_gone(api: httpx.AsyncClient, parts: Parts) -> None:
    where = await create(api)
    await patch(api, where, 0, VIDEO[:5000])
    assert (await api.delete(where, headers=TUS)).status_code == 204
    assert (await api.head(where, headers=TUS)).status_code == 404
    assert is_problem(await patch(api, where, 5000, VIDEO[5000:]), 404, "not-found")
    assert list(parts.store.keys("")) == []
    assert await parts.rows("SELECT 1 FROM upload_parts") == []


@pytest.fixture
def uploads(parts: Parts) -> Uploads:
    feed = JobFeed(parts.database.dsn, on_outbox=lambda: None)
    settings = parts.settings
    return Uploads(parts.database, parts.store, feed, settings.uploads, settings.media, settings.disk)


async def test_expired_uploads_are_collected_and_others_are_not(
    api: httpx.AsyncClient, parts: Parts, uploads: Uploads
) -> None:
    old, young = await create(api), await create(api)
    for where in (old, young):
        await patch(api, where, 0, VIDEO[:5000])
    await parts.rows(
        "UPDATE uploads SET expires_at = now() - interval '1 s' WHERE upload_id = %s", old.rpartition("/")[2]
    )
    assert is_problem(await patch(api, old, 5000, b"x"), 404, "not-found")
    assert await UploadCollector(parts.database, parts.store, uploads).collect() == 1
    (key,) = parts.store.keys("")
    assert young.rpartition("/")[2] in key
    assert await offset_of(api, young) == 5000


async def test_an_upload_whose_episode_was_erased_is_forgotten(
    api: httpx.AsyncClient, parts: Parts, uploads: Uploads
) -> None:
    where = await create(api, ep_id="show")
    await patch(api, where, 0, VIDEO)
    await ended(api, where)
    young = await create(api)
    await patch(api, young, 0, VIDEO[:100])
    left = f"uploads/{where.rpartition('/')[2]}/part"
    parts.store.put_bytes(left, b"as a crash before its removal leaves it")
    await UploadCollector(parts.database, parts.store, uploads).collect()
    assert parts.store.exists(left)
    assert (await api.delete("/v1/episodes/show")).status_code < 300
    assert len(await parts.rows("SELECT 1 FROM uploads")) == 1
    await UploadCollector(parts.database, parts.store, uploads).collect()
    assert not parts.store.exists(left)
    assert await offset_of(api, young) == 100
    assert len(list(parts.store.keys("uploads"))) == 1


async def test_an_upload_whose_replica_died_while_putting_it_together_goes_to_another(
    parts: Parts, uploads: Uploads
) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield VIDEO

    from services.orchestrator.uploads import NewUpload

    row = await uploads.create(NewUpload(len(VIDEO), ep_id="show"))
    await uploads.append(row["upload_id"], 0, body(), size_bytes=None, checksum=None)
    async with parts.database.transaction() as tx:
        assert await tx.one("take_complete_upload", lease_s=60)
    assembler = UploadAssembler(parts.database, parts.store, parts.episodes)
    assert not await assembler.assemble_next()
    await parts.rows("UPDATE uploads SET assembled_until = now()")
    assert await assembler.assemble_next()
    assert (await parts.episodes.get("show"))["sha256"] == SHA256
