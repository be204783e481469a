"""After an erasure nothing is left, whatever was going on; and what came after it is not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg

from services.kit import bus
from services.kit.artifacts import ArtifactKind
from services.kit.bus_connection import connect
from services.kit.codec import encode
from services.kit.errors import Conflict, NotFound, SystemUnavailable
from services.kit.messages import Decision, Heartbeat, LogLine, Task, TaskOutcome, WorkerState, now_at
from services.kit.object_store import ObjectStore
from services.local.nats import EmbeddedNats
from services.orchestrator.broker_traces import erase_messages
from services.orchestrator.episodes import Episodes
from services.orchestrator.eraser import Eraser
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.results import Verdict
from services.orchestrator.settings import ErasureSettings
from tests.erasure_traces import traces_in_database, traces_in_files
from tests.integration.parts import VIDEO, Parts, refs, result_of, success_of
from tests.s3_server import BUCKET, S3Server, s3_server

CANARY = "canary-bird"
CANARIES = (CANARY.encode(), b"show.mp4")


@pytest.fixture
def bucket() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def on_bucket(parts: Parts, bucket: S3Server) -> Parts:
    store, settings = ObjectStore(f"s3://{BUCKET}/here", options=bucket.options), parts.settings
    return replace(
        parts,
        store=store,
        episodes=Episodes(parts.database, store, settings.media, settings.disk),
        eraser=Eraser(parts.nc, parts.database, store, settings.erasure),
    )


@pytest.fixture
def quick(parts: Parts) -> Parts:
    """Parts that look for late files only as long as attempts are open."""
    return parts.limited(erasure=ErasureSettings(settle_s=0))


async def look(parts: Parts) -> None:
    """The eraser looks once more, without its pause."""
    await parts.rows("UPDATE erasures SET look_at = now() WHERE look_at IS NOT NULL")
    assert await parts.eraser.look()


async def state_of(parts: Parts, receipt: dict[str, Any]) -> str:
    return str((await parts.erasures.get(receipt["erasure_id"]))["state"])


async def said(parts: Parts, task: Task, text: str) -> None:
    line = LogLine(
        job_id=task.job_id,
        run_id=task.run_id,
        task_id=task.task_id,
        attempt_id="an attempt",
        stage=task.stage,
        level="info",
        message=text,
        is_noisy=False,
        at=now_at(),
        line=1,
    )
    await parts.nc.jetstream().publish(bus.log_subject(task.job_id), encode(line))
    await parts.logbook.record(line, source_key="an attempt.1")


async def test_a_finished_episode_leaves_no_row_and_no_file(quick: Parts, tmp_path: Path) -> None:
    await quick.upload(CANARY)
    await quick.upload(CANARY, VIDEO + b"new", replace=True)  # the replaced upload goes too
    job_id = await quick.submit(ep_id=CANARY)
    await said(quick, await quick.task(job_id), f"begins with {CANARY}")
    await quick.finish(job_id)
    await quick.store_files()
    await quick.markers.write_missing()
    assert traces_in_database(quick.database.dsn, CANARIES)
    assert traces_in_files(tmp_path / "store", CANARIES)
    receipt = await quick.erasures.erase(CANARY)
    assert traces_in_database(quick.database.dsn, CANARIES) == []
    assert (receipt["state"], receipt["counts"]["episodes"], receipt["counts"]["jobs"]) == ("pending", 2, 1)
    assert min(receipt["counts"][kind] for kind in ("artifacts", "attempts", "events", "log_lines")) > 0
    await look(quick)
    await look(quick)
    assert await state_of(quick, receipt) == "done"
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    done = await quick.erasures.get(receipt["erasure_id"])
    assert done["counts"]["objects"] > 3
    assert CANARY not in str(done)


async def test_its_messages_leave_the_broker(quick: Parts) -> None:
    await quick.upload(CANARY)
    job_id = await quick.submit(ep_id=CANARY)
    await quick.relay._relay_batch()
    await said(quick, await quick.task(job_id), CANARY)
    other = await quick.submitted()
    await quick.relay._relay_batch()
    await quick.erasures.erase(CANARY)
    await look(quick)
    js = quick.nc.jetstream()
    left = {
        s
        for name in ("TASKS", "LOGS")
        for s in (await js.stream_info(name, subjects_filter=">")).state.subjects or ()
    }
    assert {subject.split(".")[4] for subject in left} == {other}


async def test_what_is_acknowledged_under_its_hands_does_not_hold_it_up(
    quick: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    for name in ("first", "second", "third"):
        await quick.upload(name)
        jobs.append(await quick.submit(ep_id=name))
    await quick.relay._relay_batch()
    js = quick.nc.jetstream()
    look_up = js.get_msg

    async def gone_once_seen(stream: str, **where: Any) -> RawStreamMsg:
        message = await look_up(stream, **where)
        assert message.seq is not None
        await js.delete_msg(stream, message.seq)
        return message

    monkeypatch.setattr(js, "get_msg", gone_once_seen)
    for job_id in (jobs[1], jobs[0], jobs[2]):  # within the stream, at its begin, and alone in it
        assert await erase_messages(js, job_id, limit=10) == 1
    assert (await js.stream_info(bus.TASKS_STREAM)).state.messages == 0


async def test_an_erasure_waits_for_the_attempt_in_work_and_takes_its_late_files(quick: Parts) -> None:
    uid = await quick.upload()
    job_id = await quick.submit(JobKind.DETECT_TRACK)
    task = await quick.task(job_id)
    attempt_id, _ = await quick.claim(task)
    beat = Heartbeat("a worker", "detect_track", WorkerState.BUSY, "cpu", "cpu", now_at(), task_id=task.task_id)
    await WorkerRegistry(quick.nc, quick.database).record(beat)
    receipt = await quick.erasures.erase("show")
    await quick.rows("UPDATE erasures SET requested_at = now() - interval '5 minutes'")
    await look(quick)
    assert await state_of(quick, receipt) == "pending"
    late = f"{uid}/{attempt_id}/late.parquet"
    quick.store.put_bytes(late, b"rows")
    assert await quick.report(task, attempt_id, TaskOutcome.SUCCEEDED, **success_of(task)) is Verdict.FENCED
    await look(quick)
    await look(quick)
    assert await state_of(quick, receipt) == "done"
    assert list(quick.store.keys("")) == []


async def test_an_erasure_does_not_wait_for_a_worker_that_is_gone(quick: Parts) -> None:
    task = await quick.task(await quick.submitted())
    await quick.claim(task)
    receipt = await quick.erasures.erase("show")
    await look(quick)
    assert await state_of(quick, receipt) == "pending"
    await quick.rows("UPDATE erasures SET requested_at = now() - interval '5 minutes'")
    await look(quick)
    await look(quick)
    assert await state_of(quick, receipt) == "done"


async def test_a_receipt_stays_pending_until_late_files_can_no_longer_come(parts: Parts) -> None:
    await parts.upload()
    receipt = await parts.erasures.erase("show")
    for _ in range(2):
        await look(parts)
    assert await state_of(parts, receipt) == "pending"
    await parts.rows("UPDATE erasures SET settled_at = settled_at - interval '21 seconds'")
    await look(parts)
    assert await state_of(parts, receipt) == "done"


async def test_files_of_a_worker_that_wakes_up_after_the_end_go_too(quick: Parts) -> None:
    uid = await quick.upload()
    receipt = await quick.erasures.erase("show")
    await look(quick)
    await look(quick)
    assert await state_of(quick, receipt) == "done"
    quick.store.put_bytes(f"{uid}/zombie/faces.parquet", b"rows")
    await look(quick)
    assert list(quick.store.keys("")) == []
    await quick.rows("UPDATE erasures SET done_at = now() - interval '25 hours'")
    assert not await quick.eraser.look()
    assert (await quick.rows("SELECT episode_uids, job_ids FROM erasures")) == [
        {"episode_uids": [], "job_ids": []}
    ]


async def test_a_claim_of_an_erased_task_is_dropped_and_a_stray_log_line_is_not_kept(quick: Parts) -> None:
    task = await quick.task(await quick.submitted())
    await quick.erasures.erase("show")
    _, reply = await quick.claim(task)
    assert reply.decision is Decision.DROP
    await said(quick, task, CANARY)
    assert traces_in_database(quick.database.dsn, CANARIES) == []


async def test_a_result_that_no_attempt_was_kept_for_is_fenced(quick: Parts) -> None:
    task = await quick.task(await quick.submitted())
    await quick.erasures.erase("show")
    result = result_of(task, "unheard of", TaskOutcome.SUCCEEDED, outputs=refs(task, [ArtifactKind.TRACKS]))
    assert await quick.results.apply(result) is Verdict.FENCED


async def test_a_new_upload_under_the_name_is_another_episode(quick: Parts) -> None:
    await quick.upload()
    first = await quick.erasures.erase("show")
    uid = await quick.upload()
    job_id = await quick.finished()
    await look(quick)
    await look(quick)
    assert await state_of(quick, first) == "done"
    assert (await quick.states(job_id))[0] == "succeeded"
    assert {key.split("/")[0] for key in quick.store.keys("")} == {uid}
    assert (await quick.erasures.erase("show"))["erasure_id"] != first["erasure_id"]


async def test_what_was_erased_is_not_there_and_asking_again_gives_the_receipt(quick: Parts) -> None:
    await quick.upload()
    receipt = await quick.erasures.erase("show")
    with pytest.raises(NotFound):
        await quick.episodes.get("show")
    assert (await quick.erasures.erase("show"))["erasure_id"] == receipt["erasure_id"]
    await look(quick)
    await look(quick)
    with pytest.raises(NotFound, match="no episode"):
        await quick.erasures.erase("show")


async def test_a_video_on_its_way_to_an_erased_import_is_refused(quick: Parts) -> None:
    async with quick.database.transaction() as tx:
        nothing = dict.fromkeys(("media_uri", "sha256", "size_bytes", "container"))
        await tx.run("insert_episode", episode_uid="01IMPORT", ep_id="show", filename="show", **nothing)
    begun, erased = asyncio.Event(), asyncio.Event()

    async def pieces() -> Any:
        yield VIDEO[:5000]
        begun.set()
        await erased.wait()
        yield VIDEO[5000:]

    upload = asyncio.create_task(
        quick.episodes.register(pieces(), filename="show.mp4", ep_id="show", replace=False)
    )
    await begun.wait()
    await quick.erasures.erase("show")
    erased.set()
    with pytest.raises(Conflict, match="changed meanwhile"):
        await upload
    assert list(quick.store.keys("")) == []


async def test_replicas_erase_at_the_same_moment_without_error_and_once(quick: Parts) -> None:
    await quick.submitted()
    receipts = await asyncio.gather(*(quick.erasures.erase("show") for _ in range(8)))
    assert len({receipt["erasure_id"] for receipt in receipts}) == 1
    assert len(await quick.rows("SELECT 1 FROM erasures")) == 1


async def test_submits_during_an_erasure_are_answered_and_leave_nothing(quick: Parts) -> None:
    for _ in range(5):
        await quick.upload()
        asked = [quick.submit(kind) for kind in JobKind] + [quick.erasures.erase("show")]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(a, str | dict | NotFound | Conflict) for a in answers), answers
        assert await quick.rows("SELECT job_id FROM jobs UNION ALL SELECT episode_uid FROM episodes") == []


async def test_without_a_broker_files_go_and_the_receipt_waits_for_another_replica(
    quick: Parts, nats_server: EmbeddedNats
) -> None:
    await quick.submitted()
    receipt = await quick.erasures.erase("show")
    cut_off = await connect(nats_server.url, name="cut off")
    await cut_off.close()
    with pytest.raises(NatsError):
        await Eraser(cut_off, quick.database, quick.store, quick.settings.erasure).look()
    assert list(quick.store.keys("")) == []
    assert await state_of(quick, receipt) == "pending"
    assert (await quick.erasures.get(receipt["erasure_id"]))["counts"]["objects"] == 1
    assert not await quick.eraser.look(), "the replica that was cut off has it for a while"
    for _ in range(2):
        await look(quick)
    assert await state_of(quick, receipt) == "done"


async def test_while_the_store_is_away_the_receipt_waits_and_nothing_is_lost(
    quick: Parts, tmp_path: Path
) -> None:
    await quick.upload(CANARY)
    await quick.finished(ep_id=CANARY)
    receipt = await quick.erasures.erase(CANARY)
    stored, away = tmp_path / "store", tmp_path / "away"
    stored.rename(away)
    for _ in range(3):
        with pytest.raises(SystemUnavailable, match="object store"):
            await look(quick)
        assert await state_of(quick, receipt) == "pending"
    stored.write_bytes(b"an address that is no directory")
    with pytest.raises(SystemUnavailable, match="object store"):
        await look(quick)
    assert (await quick.erasures.get(receipt["erasure_id"]))["counts"]["objects"] == 0
    stored.unlink()
    away.rename(stored)
    for _ in range(2):
        await look(quick)
    assert await state_of(quick, receipt) == "done"
    assert (await quick.erasures.get(receipt["erasure_id"]))["counts"]["objects"] > 3
    assert [path for path in stored.rglob("*") if path.is_file()] == []


async def test_while_a_bucket_fails_the_receipt_waits_and_nothing_is_lost(
    quick: Parts, bucket: S3Server
) -> None:
    remote = on_bucket(quick, bucket)
    await remote.upload(CANARY)
    await remote.finished(ep_id=CANARY)
    bucket.objects["elsewhere/kept"] = b"of somebody else"
    stored = dict(bucket.objects)
    receipt = await remote.erasures.erase(CANARY)
    bucket.outage.set()
    for _ in range(3):
        with pytest.raises(SystemUnavailable, match="object store"):
            await look(remote)
        assert await state_of(remote, receipt) == "pending"
    assert bucket.objects == stored
    bucket.outage.clear()
    for _ in range(2):
        await look(remote)
    assert await state_of(remote, receipt) == "done"
    assert list(bucket.objects) == ["elsewhere/kept"]
