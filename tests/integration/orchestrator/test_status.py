"""The status of an episode as Postgres knows it: what makes a finished stage stale, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.cli.models.overlay import Overlay
from services.kit.inference.catalog import Catalog
from services.kit.messages import TaskOutcome
from services.kit.stages import STAGE_ORDER
from services.orchestrator.job_request import JobKind
from services.orchestrator.records import Records
from tests.integration.parts import Parts

DETECT, FACES, CLUSTER = STAGE_ORDER


async def status(parts: Parts, records: Records | None = None) -> dict[str, Any]:
    return await (records or parts.records).status(await parts.episodes.get("show"))


async def statuses(parts: Parts, records: Records | None = None) -> tuple[str, str, str]:
    phases = (await status(parts, records))["phases"]
    return tuple(phases[stage]["status"] for stage in STAGE_ORDER)  # type: ignore[return-value]


async def run(parts: Parts, kind: JobKind = JobKind.PIPELINE, **fields: Any) -> str:
    job_id = await parts.submit(kind, **fields)
    await parts.finish(job_id)
    return job_id


async def fail(parts: Parts, kind: JobKind, **fields: Any) -> None:
    job_id = await parts.submit(kind, force=True, **fields)
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.REJECTED, error_code="stage-failed", error_message="no")


async def test_a_fresh_pipeline_is_a_success_whose_marker_is_still_to_come(parts: Parts) -> None:
    await parts.upload()
    assert await statuses(parts) == ("missing", "missing", "missing")
    await run(parts)
    assert await statuses(parts) == ("success", "success", "success")
    assert {p["source"] for p in (await status(parts))["phases"].values()} == {"output"}
    await parts.markers.write_missing()
    assert {p["source"] for p in (await status(parts))["phases"].values()} == {"marker"}


async def test_an_input_that_was_made_again_makes_what_follows_stale(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await run(parts, JobKind.DETECT_TRACK, overrides={"stride": 3})
    shown = await status(parts)
    assert await statuses(parts) == ("success", "stale", "stale")
    assert [shown["phases"][stage]["stale_reason"] for stage in STAGE_ORDER] == [None, "inputs", "inputs"]
    assert shown["faces_stale"]
    assert shown["cluster_stale"]
    await run(parts, JobKind.FACES_EMBED)
    await run(parts, JobKind.CLUSTER)
    assert await statuses(parts) == ("success", "success", "success")


async def test_while_an_input_is_being_made_again_nothing_is_stale_yet(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await parts.submit(JobKind.DETECT_TRACK, force=True)
    assert await statuses(parts) == ("queued", "success", "success")


async def test_an_input_that_is_wanted_otherwise_makes_what_follows_stale_at_once(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await parts.submit(JobKind.DETECT_TRACK, overrides={"stride": 3})
    shown = await status(parts)
    assert await statuses(parts) == ("queued", "stale", "stale")
    assert shown["phases"][FACES]["stale_reason"] == "input_is_stale"


async def test_other_parameters_that_were_asked_for_last_make_the_older_result_stale(parts: Parts) -> None:
    """The result that is there was not made as it was last wanted; asking as before makes it right again."""
    await parts.upload()
    await run(parts)
    await fail(parts, JobKind.CLUSTER, overrides={"track_threshold": 0.7})
    shown = await status(parts)
    assert shown["cluster_stale"]
    assert shown["phases"][CLUSTER]["status"] == "failed"
    assert shown["phases"][CLUSTER]["stale_reason"] == "parameters"
    await fail(parts, JobKind.CLUSTER)
    assert not (await status(parts))["cluster_stale"]


async def test_what_cannot_change_the_output_makes_nothing_stale(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await fail(parts, JobKind.CLUSTER, overrides={"thread_cap": 1})
    assert not (await status(parts))["cluster_stale"]


async def test_a_withdrawn_wish_makes_nothing_stale(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await parts.jobs.cancel(await parts.submit(JobKind.CLUSTER, overrides={"track_threshold": 0.7}))
    shown = await status(parts)
    assert (shown["phases"][CLUSTER]["status"], shown["cluster_stale"]) == ("cancelled", False)


async def test_another_model_file_under_the_same_name_makes_its_stages_stale(
    parts: Parts, tmp_path: Path
) -> None:
    await parts.upload()
    await run(parts)
    shipped = Catalog.load(None)
    embedder = shipped.embedder(shipped.default("embedder"))
    overlay = Overlay(tmp_path / "overlay")
    overlay.put_entry(embedder.model_copy(update={"sha256": "f" * 64}), as_default=False)
    records = Records(parts.database, parts.store, Catalog.load(None, tmp_path / "overlay"))
    assert await statuses(parts, records) == ("success", "stale", "stale")
    assert (await status(parts, records))["phases"][FACES]["stale_reason"] == "models"


async def test_a_model_that_left_the_catalog_makes_nothing_stale(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    records = Records(parts.database, parts.store, Catalog({}, {}, []))
    assert await statuses(parts, records) == ("success", "success", "success")


async def test_a_release_that_knows_more_parameters_makes_nothing_stale(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    older = "UPDATE stage_runs SET config = config - 'outlier_cosine' WHERE stage = 'cluster'"
    await parts.rows(older)
    # As the older release wrote it, the fingerprint spoke of the parameters of its time.
    await parts.rows("UPDATE stage_runs SET fingerprint = %s WHERE stage = 'cluster'", await refingered(parts))
    await fail(parts, JobKind.CLUSTER)
    assert not (await status(parts))["cluster_stale"]


async def refingered(parts: Parts) -> str:
    from services.orchestrator.phases import read_phases

    async with parts.database.transaction() as tx:
        phases = await read_phases(tx, await parts.episodes.get("show"), Catalog.load(None))
    result = phases[CLUSTER].result
    assert result is not None
    assert result.made.current is not None
    return result.made.current.fingerprint()


async def test_a_replaced_video_starts_with_nothing(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    await parts.upload(content=b"\x00\x00\x00\x20ftypisom" + b"other" * 99, replace=True)
    assert await statuses(parts) == ("missing", "missing", "missing")


async def test_zero_rows_is_a_success_that_says_so_and_the_rest_is_missing(parts: Parts) -> None:
    await parts.upload()
    await run_with_counts(parts, {"detections": 0, "tracks": 0})
    shown = await status(parts)
    assert await statuses(parts) == ("success", "missing", "missing")
    assert shown["phases"][DETECT]["zero_rows"]
    assert not shown["phases"][FACES]["zero_rows"]


async def test_detections_without_a_track_are_partial(parts: Parts) -> None:
    await parts.upload()
    await run_with_counts(parts, {"detections": 4, "tracks": 0}, JobKind.DETECT_TRACK)
    assert (await statuses(parts))[0] == "partial"


async def run_with_counts(parts: Parts, counts: dict[str, int], kind: JobKind = JobKind.PIPELINE) -> None:
    await parts.finish(await parts.submit(kind), counts=counts)


async def test_the_status_names_the_device_that_each_phase_was_asked_to_use(parts: Parts) -> None:
    await parts.upload()
    await run(parts)
    phase = (await status(parts))["phases"][CLUSTER]
    assert phase["requested_device"] == "cpu"
    assert phase["runtime_s"] is not None
