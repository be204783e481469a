"""Registering videos: streamed, sniffed, digested, and never half there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest

from services.kit.errors import Conflict, InvalidMedia, InvalidRequest, NotFound, SystemUnavailable
from services.kit.settings import DiskSettings
from services.orchestrator.database import Database
from services.orchestrator.episodes import Episodes, Registration
from services.orchestrator.incoming_media import give_up_media
from services.orchestrator.settings import MediaSettings
from tests.integration.orchestrator.unanswered import without_answers_to_commits
from tests.integration.parts import VIDEO, Parts

OTHER = VIDEO + b"more"


async def pieces(content: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def register(
    episodes: Episodes,
    content: bytes = VIDEO,
    *,
    ep_id: str | None = None,
    replace: bool = False,
    size: int = 100,
) -> Registration:
    return await episodes.register(pieces(content, size), filename="My Show.mp4", ep_id=ep_id, replace=replace)


def stored(parts: Parts) -> list[str]:
    return sorted(parts.store.keys(""))


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 1 << 20])
async def test_an_upload_is_stored_whole_whatever_its_pieces(parts: Parts, size: int) -> None:
    done = await register(parts.episodes, size=size)
    episode = done.episode
    assert done.is_new
    assert parts.store.get_bytes(episode["media_uri"]) == VIDEO
    assert episode["sha256"] == hashlib.sha256(VIDEO).hexdigest()
    assert (episode["size_bytes"], episode["container"]) == (len(VIDEO), "mov")
    assert episode["ep_id"] == f"my-show-{episode['sha256'][:8]}"


async def test_the_name_of_the_file_is_never_part_of_a_key(parts: Parts) -> None:
    episode = (await register(parts.episodes, ep_id="named")).episode
    assert stored(parts) == [episode["media_uri"]]
    assert "how" not in episode["media_uri"]
    assert "named" not in episode["media_uri"]


async def test_the_same_content_twice_is_the_same_episode_and_is_kept_once(parts: Parts) -> None:
    first = await register(parts.episodes)
    second = await register(parts.episodes)
    assert not second.is_new
    assert second.episode["episode_uid"] == first.episode["episode_uid"]
    assert len(stored(parts)) == 1


async def test_other_content_under_the_same_name_conflicts_and_leaves_nothing(parts: Parts) -> None:
    await register(parts.episodes, ep_id="show")
    before = stored(parts)
    with pytest.raises(Conflict, match="show"):
        await register(parts.episodes, OTHER, ep_id="show")
    assert stored(parts) == before
    assert (await parts.episodes.get("show"))["size_bytes"] == len(VIDEO)


async def test_replacing_gives_a_new_uid_and_keeps_the_old_row(parts: Parts) -> None:
    first = (await register(parts.episodes, ep_id="show")).episode
    second = await register(parts.episodes, OTHER, ep_id="show", replace=True)
    assert second.is_new
    assert second.episode["episode_uid"] != first["episode_uid"]
    assert (await parts.episodes.get("show"))["episode_uid"] == second.episode["episode_uid"]
    assert len(await parts.rows("SELECT 1 FROM episodes")) == 2


async def test_a_replaced_episode_has_no_runs_yet(parts: Parts) -> None:
    await parts.finish(await parts.submitted())
    await parts.upload(content=OTHER, replace=True)
    status = await parts.records.status(await parts.episodes.get("show"))
    assert {phase["status"] for phase in status["phases"].values()} == {"missing"}


async def test_uploads_of_one_name_at_once_end_as_one_episode(parts: Parts) -> None:
    await asyncio.gather(*(parts.database.is_answering() for _ in range(6)))  # connections for a real race
    answers = await asyncio.gather(
        *(register(parts.episodes, VIDEO + bytes([i % 2]), ep_id="show") for i in range(6)),
        return_exceptions=True,
    )
    won = {a.episode["episode_uid"] for a in answers if isinstance(a, Registration)}
    assert len(won) == 1
    assert all(isinstance(a, Registration | Conflict) for a in answers), answers
    assert len(stored(parts)) == 1


@pytest.mark.parametrize("content", [b"", b"#EXTM3U\nfile:///etc/passwd\n", bytes(9000), b"%PDF-1.7" * 900])
async def test_what_is_no_video_is_refused_and_leaves_nothing(parts: Parts, content: bytes) -> None:
    with pytest.raises(InvalidMedia):
        await register(parts.episodes, content)
    assert stored(parts) == []
    assert await parts.rows("SELECT 1 FROM episodes") == []


async def test_an_upload_past_the_limit_is_refused_and_leaves_nothing(parts: Parts) -> None:
    small = Episodes(parts.database, parts.store, MediaSettings(max_upload_bytes=5_000), DiskSettings())
    with pytest.raises(InvalidRequest, match="5000"):
        await register(small)
    assert stored(parts) == []


@pytest.mark.parametrize("ep_id", ["", "A", "-a", "a/b", "..", "a\n", "a\x00", "é", "a" * 129, "a b"])
async def test_a_name_that_is_none_is_refused_and_leaves_nothing(parts: Parts, ep_id: str) -> None:
    with pytest.raises(InvalidRequest):
        await register(parts.episodes, ep_id=ep_id)
    assert stored(parts) == []


async def test_a_file_name_that_postgres_has_no_form_for_leaves_nothing(parts: Parts) -> None:
    with pytest.raises(InvalidRequest):
        await parts.episodes.register(pieces(VIDEO), filename="nul\x00.mp4", ep_id="show", replace=False)
    assert stored(parts) == []


async def test_an_episode_keeps_its_video_when_the_answer_to_its_commit_is_lost(parts: Parts) -> None:
    async with without_answers_to_commits(parts.database.dsn, after=1) as dsn:
        database = Database(dsn, pool_size=1)
        await database.open(migrate=False)
        episodes = Episodes(database, parts.store, parts.settings.media, parts.settings.disk)
        with pytest.raises(SystemUnavailable):
            await register(episodes, ep_id=None)
        await database.close()
    (episode,) = await parts.rows("SELECT ep_id, media_uri FROM episodes")
    assert stored(parts) == [episode["media_uri"]]
    again = await register(parts.episodes)
    assert (again.is_new, again.episode["ep_id"]) == (False, episode["ep_id"])
    assert stored(parts) == [episode["media_uri"]]


async def test_what_a_crash_leaves_of_an_upload_is_removed_once_its_request_is_long_over(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await register(parts.episodes, OTHER)
    with monkeypatch.context() as dying:
        dying.setattr(parts.episodes, "_name", AsyncMock(side_effect=asyncio.CancelledError))
        with pytest.raises(asyncio.CancelledError):
            await register(parts.episodes)
    (left,) = set(stored(parts)) - {kept.episode["media_uri"]}
    half_written = parts.store.local_path(f"{left}#1")
    assert half_written is not None
    half_written.write_bytes(b"half")
    assert await give_up_media(parts.database, parts.store) == 0  # it may be on its way yet
    assert await give_up_media(parts.database, parts.store, older_than_s=0) == 1
    assert not half_written.exists()
    assert stored(parts) == [kept.episode["media_uri"]]


async def test_a_video_that_is_named_after_it_was_given_up_is_refused_and_leaves_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = parts.episodes._name

    async def named_late(*given: Any, **options: Any) -> Registration:
        assert await give_up_media(parts.database, parts.store, older_than_s=0) == 1
        return await name(*given, **options)

    monkeypatch.setattr(parts.episodes, "_name", named_late)
    with pytest.raises(InvalidRequest, match="24 hours"):
        await register(parts.episodes)
    assert stored(parts) == []
    assert await parts.rows("SELECT 1 FROM episodes") == []


async def test_a_path_of_the_server_is_taken_only_where_the_setting_allows_it(
    parts: Parts, tmp_path: Path
) -> None:
    (tmp_path / "show.mp4").write_bytes(VIDEO)
    with pytest.raises(InvalidRequest, match="no local paths"):
        await parts.episodes.register_path(tmp_path / "show.mp4", ep_id=None, replace=False)
    local = Episodes(parts.database, parts.store, MediaSettings(allow_local_paths=True), DiskSettings())
    done = await local.register_path(tmp_path / "show.mp4", ep_id=None, replace=False)
    assert parts.store.get_bytes(done.episode["media_uri"]) == VIDEO
    for path in (Path("show.mp4"), tmp_path, tmp_path / "nowhere.mp4", Path("/dev/zero"), Path("nul\x00")):
        with pytest.raises(InvalidRequest):
            await local.register_path(path, ep_id=None, replace=False)


async def test_an_episode_that_is_not_there_is_not_found(parts: Parts) -> None:
    with pytest.raises(NotFound):
        await parts.episodes.get("nobody")


async def test_while_the_store_is_away_an_upload_is_a_503_and_leaves_nothing(
    api: httpx.AsyncClient, parts: Parts, tmp_path: Path
) -> None:
    (tmp_path / "store").rename(tmp_path / "away")
    refused = await api.post("/v1/episodes", files={"file": ("show.mp4", VIDEO)}, data={"ep_id": "show"})
    assert (refused.status_code, refused.json()["code"]) == (503, "system-unavailable")
    assert str(tmp_path) not in refused.text
    assert not (tmp_path / "store").exists()
    (tmp_path / "away").rename(tmp_path / "store")
    assert await parts.rows("SELECT 1 FROM episodes") == []
    done = await api.post("/v1/episodes", files={"file": ("show.mp4", VIDEO)}, data={"ep_id": "show"})
    assert done.status_code == 201
