"""Each kind of data is kept as long as its setting says; 0 keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from services.kit.artifacts import ArtifactKind
from services.kit.errors import Conflict, NotFound
from services.kit.messages import TaskOutcome
from services.orchestrator.job_request import JobKind
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.retention import Retention
from services.orchestrator.settings import RetentionSettings
from tests.integration.parts import VIDEO, Parts


async def keep(parts: Parts, **days: float) -> None:
    """One pass under these settings, the others 0."""
    settings = RetentionSettings(**({"trash_days": 0} | days))
    names = KeyedHash(parts.database, "erasures")
    await Retention(parts.database, parts.store, parts.erasures, names, settings).apply()


async def age(parts: Parts, days: int) -> None:
    for table, column in (
        ("episodes", "created_at"),
        ("episodes", "purge_at"),
        ("jobs", "finished_at"),
        ("artifacts", "created_at"),
        ("dead_letters", "created_at"),
    ):
        await parts.rows(f"UPDATE {table} SET {column} = {column} - interval '{days} days'")


async def count(parts: Parts, sql: str) -> int:
    return int((await parts.rows(f"SELECT count(*) AS n FROM {sql}"))[0]["n"])


@pytest.fixture
async def finished(parts: Parts) -> Parts:
    """An episode with everything that a pipeline leaves, ten days old."""
    await parts.upload()
    await parts.finished()
    await age(parts, 10)
    return parts


async def test_zero_keeps_everything(finished: Parts) -> None:
    before = set(finished.store.keys(""))
    await keep(finished)
    assert set(finished.store.keys("")) == before
    assert await count(finished, "job_events WHERE type = 'state'") > 0
    assert (await finished.episodes.get("show"))["media_removed_at"] is None


async def test_an_episode_that_was_worked_on_lately_is_not_old(finished: Parts) -> None:
    await keep(finished, episodes_days=11)
    await finished.finished(force=True)
    await keep(finished, episodes_days=9)
    assert await finished.episodes.get("show")


async def test_an_old_episode_is_erased(finished: Parts) -> None:
    await keep(finished, episodes_days=9)
    with pytest.raises(NotFound):
        await finished.episodes.get("show")
    (erasure,) = await finished.rows("SELECT reason, state FROM erasures")
    assert erasure == {"reason": "retention", "state": "pending"}


async def test_an_episode_with_an_active_job_is_not_erased_for_its_age(parts: Parts) -> None:
    await parts.submitted()
    await age(parts, 10)
    await keep(parts, episodes_days=9, videos_days=9, faces_days=9)
    assert (await parts.episodes.get("show"))["media_removed_at"] is None


async def test_the_trash_is_emptied_in_time_and_a_restored_episode_stays(parts: Parts) -> None:
    await parts.upload("gone")
    await parts.upload("back", VIDEO + b"2")
    await parts.erasures.trash("gone")
    await parts.erasures.trash("back")
    await parts.erasures.restore("back")
    await age(parts, 29)
    await keep(parts)
    assert await parts.episodes.get("gone", show_deleted=True)
    await age(parts, 2)
    await keep(parts)
    with pytest.raises(NotFound):
        await parts.episodes.get("gone", show_deleted=True)
    assert await parts.episodes.get("back")


async def test_an_old_video_goes_and_its_results_stay_fresh(finished: Parts) -> None:
    episode = await finished.episodes.get("show")
    await keep(finished, videos_days=9)
    assert not finished.store.exists(episode["media_uri"])
    status: dict[str, Any] = await finished.records.status(await finished.episodes.get("show"))
    assert {phase["status"] for phase in status["phases"].values()} == {"success"}
    with pytest.raises(Conflict, match="no longer kept"):
        await finished.submit(force=True)
    await finished.submit(JobKind.CLUSTER, force=True)


async def test_the_same_video_uploaded_again_takes_the_old_ones_place(finished: Parts) -> None:
    await keep(finished, videos_days=9)
    uid = await finished.upload()
    episode = await finished.episodes.get("show")
    assert (episode["episode_uid"], episode["media_removed_at"]) == (uid, None)
    assert finished.store.get_bytes(episode["media_uri"]) == VIDEO
    assert {key.split("/")[0] for key in finished.store.keys("")} == {uid}
    await finished.submit(force=True)


async def test_old_chips_and_embeddings_go_and_what_needs_them_says_so(finished: Parts) -> None:
    await keep(finished, faces_days=9)
    episode = await finished.episodes.get("show")
    kinds = {row["kind"] for row in await finished.records.artifacts(episode)}
    assert {"tracks", "identities"} <= kinds
    assert not {"chips", "embeddings"} & kinds
    assert not [key for key in finished.store.keys("") if "chips" in key or "embeddings" in key]
    with pytest.raises(NotFound):
        await finished.records.artifact(episode, ArtifactKind.CHIPS)
    for kind in (JobKind.FACES_EMBED, JobKind.CLUSTER):
        with pytest.raises(Conflict, match="needs the output"):
            await finished.submit(kind, force=True)


async def test_old_events_and_dead_letters_are_forgotten(parts: Parts) -> None:
    task = await parts.task(await parts.submitted())
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.REJECTED, error_message="no video")
    assert await count(parts, "dead_letters") == 1
    await age(parts, 10)
    await keep(parts, events_days=11, dead_letters_days=11)
    assert await count(parts, "dead_letters") == 1
    await keep(parts, events_days=9, dead_letters_days=9)
    assert await count(parts, "dead_letters") == 0
    assert await count(parts, "job_events WHERE type = 'state'") == 0


async def test_old_receipts_are_forgotten_once_they_are_closed(parts: Parts) -> None:
    await parts.upload()
    await parts.erasures.erase("show")
    await parts.rows("UPDATE erasures SET state = 'done', done_at = now() - interval '10 days'")
    await keep(parts, receipts_days=9)
    assert await count(parts, "erasures") == 1
    await parts.eraser.look()
    await keep(parts, receipts_days=9)
    assert await count(parts, "erasures") == 0
