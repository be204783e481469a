"""The client's uploads against a real orchestrator, also through a line that breaks."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import httpx
import pytest

from services.client import ApiError, Client
from services.client import uploads as parts_of_upload
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import VIDEO
from tests.integration.remote import Authority, answer, listening, serving

LARGE = VIDEO * 40


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_of_upload, "_PART_BYTES", 50_000)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "My Show.mp4"
    path.write_bytes(LARGE)
    return path


async def test_a_video_is_sent_in_parts_with_progress(api: httpx.AsyncClient, video: Path) -> None:
    sent: list[tuple[int, int]] = []

    def upload() -> str:
        with Client(str(api.base_url)) as client:
            done = client.upload(video, ep_id="show", resumable=True, on_sent=lambda *n: sent.append(n))
        return str(done.sha256)

    assert await asyncio.to_thread(upload) == hashlib.sha256(LARGE).hexdigest()
    assert [n for n, _ in sent] == [min(n, len(LARGE)) for n in range(50_000, len(LARGE) + 50_000, 50_000)]


async def test_a_file_that_is_cut_while_it_is_sent_ends_the_upload(api: httpx.AsyncClient, video: Path) -> None:
    def upload() -> None:
        with Client(str(api.base_url)) as client:
            client.upload(video, resumable=True, on_sent=lambda *_: os.truncate(video, 60_000))

    with pytest.raises(OSError, match="ends at 60000 of"):
        await asyncio.to_thread(upload)


async def test_an_upload_goes_on_after_its_connection_broke(api: httpx.AsyncClient, video: Path) -> None:
    """Every connection of the line is cut after so many bytes, often amid a part or before its answer."""
    cuts = iter([120_000, 70_000, 30_000, 51_000, 400, 90_000])
    broken = 0

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal broken
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
        back = asyncio.create_task(pump(there_reader, writer, None))
        try:
            if await pump(reader, there_writer, next(cuts, None)):
                broken += 1
            else:
                await back
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            there_writer.transport.abort()
            writer.transport.abort()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None) -> bool:
        passed = 0
        while data := await source.read(4096):
            sink.write(data)
            await sink.drain()
            passed += len(data)
            if limit is not None and passed >= limit:
                return True
        sink.close()
        return False

    def upload(port: int) -> str:
        with Client(f"http://127.0.0.1:{port}") as client:
            return str(client.upload(video, resumable=True).sha256)

    async with listening(line) as port:
        assert await asyncio.to_thread(upload, port) == hashlib.sha256(LARGE).hexdigest()
    assert broken == 6


async def test_a_refused_upload_is_the_problem_that_it_is(api: httpx.AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_bytes(b"#EXTM3U")

    def upload() -> None:
        with Client(str(api.base_url)) as client:
            client.upload(path, resumable=True)

    with pytest.raises(ApiError) as caught:
        await asyncio.to_thread(upload)
    assert caught.value.code == "invalid-media"


async def test_a_source_is_registered_by_its_uri(serve_api: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serving(lambda _: answer(body=VIDEO), authority.server("127.0.0.1")) as remote,
        serve_api(outbound=authority.settings(remote.port)) as api,
    ):

        def register() -> str:
            with Client(str(api.base_url)) as client:
                return client.register_source(f"https://127.0.0.1:{remote.port}/a.mp4", ep_id="show").ep_id

        assert await asyncio.to_thread(register) == "show"
