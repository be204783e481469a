"""Importing files of the older system over HTTP: registered once, shown as imported, continued with a video."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.kit.stages import STAGE_ORDER
from services.orchestrator.imports import Imports
from services.orchestrator.settings import ImportsSettings
from tests.integration.orchestrator.test_http import is_problem, upload
from tests.integration.parts import Parts
from tests.older_data import FACES, FLAT, MARKERS, marker, text_of

AT = datetime(2025, 11, 1, 12, tzinfo=UTC)


async def put(
    api: httpx.AsyncClient, name: str, content: Any = None, *, ep_id: str = "show", **query: Any
) -> httpx.Response:
    body = content if isinstance(content, bytes) else text_of(name, content or (FLAT | MARKERS)[name]).encode()
    params = {"modified_at": AT.isoformat()} | query
    return await api.put(f"/v1/episodes/{ep_id}/imports/{name}", params=params, content=body)


async def put_all(api: httpx.AsyncClient, **query: Any) -> list[str]:
    answers = [await put(api, name, **query) for name in (*FLAT, *MARKERS)]
    assert all(answer.is_success for answer in answers)
    return [answer.json()["outcome"] for answer in answers]


async def status(api: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await api.get("/v1/episodes/show/status")).json())


async def statuses(api: httpx.AsyncClient) -> tuple[str, ...]:
    phases = (await status(api))["phases"]
    return tuple(phases[stage]["status"] for stage in STAGE_ORDER)


async def objects(parts: Parts) -> list[str]:
    return [key async for key in _keys(parts)]


async def _keys(parts: Parts) -> Any:
    for key in await asyncio.to_thread(lambda: list(parts.store.keys(""))):
        yield key


async def test_an_import_registers_the_episode_its_artifacts_and_its_phases(api: httpx.AsyncClient) -> None:
    assert set(await put_all(api)) == {"imported"}
    episode = (await api.get("/v1/episodes/show")).json()
    assert (episode["sha256"], episode["container"]) == (None, None)
    shown = await status(api)
    assert await statuses(api) == ("success", "success", "success")
    assert {phase["source"] for phase in shown["phases"].values()} == {"imported"}
    assert shown["phases"]["cluster"]["finished_at"] == "2025-11-01T12:00:00+00:00"
    artifacts = (await api.get("/v1/episodes/show/artifacts")).json()["artifacts"]
    assert [(a["kind"], a["source"], a["rows"]) for a in artifacts] == [
        ("detections", "imported", 4), ("tracks", "imported", 1), ("faces", "imported", 1),
        ("identities", "imported", 1), ("track_metrics", "imported", None),
    ]  # fmt: skip


async def test_the_second_time_brings_nothing_new(api: httpx.AsyncClient, parts: Parts) -> None:
    await put_all(api)
    before, files = await objects(parts), (await api.get("/v1/episodes/show/imports")).json()
    assert set(await put_all(api)) == {"unchanged"}
    assert sorted(await objects(parts)) == sorted(before)
    after = (await api.get("/v1/episodes/show/imports")).json()
    without_times = [[{**f, "imported_at": None} for f in listed["files"]] for listed in (files, after)]
    assert without_times[0] == without_times[1]


async def test_a_file_that_has_changed_takes_the_place_of_the_imported_one(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await put(api, "faces.jsonl")
    answer = await put(api, "faces.jsonl", FACES * 2)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["rows"]) == (200, "replaced", 2)
    assert len(await objects(parts)) == 1


async def test_a_file_that_cannot_be_removed_does_not_undo_the_one_in_its_place(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await put(api, "faces.jsonl")
    old = parts.store.local_path((await objects(parts))[0])
    assert old is not None
    old.unlink()
    (old / "a folder is no object").mkdir(parents=True)
    answer = await put(api, "faces.jsonl", FACES * 2)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "replaced")
    (named,) = await parts.rows("SELECT uri FROM imported_files")
    assert parts.store.exists(named["uri"])


async def test_a_newer_time_of_the_same_file_counts(api: httpx.AsyncClient) -> None:
    for name in ("tracks.jsonl", "faces.jsonl"):
        await put(api, name)
    later = AT.replace(hour=13).isoformat()
    assert (await put(api, "tracks.jsonl", modified_at=later)).json()["outcome"] == "replaced"
    assert await statuses(api) == ("success", "stale", "missing")


async def test_many_imports_at_once_make_one_episode(api: httpx.AsyncClient) -> None:
    await asyncio.gather(*(put(api, name) for name in (*FLAT, *MARKERS)))
    assert [e["ep_id"] for e in (await api.get("/v1/episodes")).json()["episodes"]] == ["show"]
    assert len((await api.get("/v1/episodes/show/imports")).json()["files"]) == len(FLAT) + len(MARKERS)


async def test_one_file_sent_many_times_at_once_is_kept_once(api: httpx.AsyncClient, parts: Parts) -> None:
    answers = await asyncio.gather(*(put(api, "faces.jsonl") for _ in range(6)))
    assert sorted(answer.json()["outcome"] for answer in answers) == ["imported"] + ["unchanged"] * 5
    (row,) = await parts.rows("SELECT uri FROM imported_files")
    assert await objects(parts) == [row["uri"]]


async def test_each_run_is_kept_and_the_named_one_counts(api: httpx.AsyncClient) -> None:
    await put_all(api, run_id="a")
    newer = marker("cluster", "2025-12-01T00:00:00Z", status="failed")
    await put(api, "cluster.json", newer, run_id="b")
    assert await statuses(api) == ("success", "success", "success")
    await put(api, "active_run.json", {"ep_id": "show", "run_id": "b"})
    assert await statuses(api) == ("missing", "missing", "failed")


@pytest.mark.parametrize("content", [b'{"track_id": 1', b"\xff", b'{"track_id": NaN}', b"[" * 100_000])
async def test_a_damaged_file_is_refused_by_its_name_and_leaves_nothing(
    api: httpx.AsyncClient, parts: Parts, content: bytes
) -> None:
    answer = await put(api, "tracks.jsonl", content)
    assert is_problem(answer, 422, "damaged-file")
    assert answer.json()["detail"].startswith("tracks.jsonl, line 1: ")
    assert await objects(parts) == []
    assert (await api.get("/v1/episodes/show")).status_code == 404


@pytest.mark.parametrize(
    ("ep_id", "name", "query", "code"),
    [
        ("show", "passwd", {}, "not-found"),
        ("show", "..%2Ftracks.jsonl", {}, "not-found"),
        ("Show", "tracks.jsonl", {}, "invalid-request"),
        ("show", "tracks.jsonl", {"run_id": "../x"}, "invalid-request"),
        ("show", "tracks.jsonl", {"run_id": "x" * 200}, "invalid-request"),
        ("show", "tracks.jsonl", {"modified_at": "yesterday"}, "invalid-request"),
        ("show", "tracks.jsonl", {"modified_at": "2025-01-01T00:00:00"}, "invalid-request"),
        ("sh%00ow", "tracks.jsonl", {}, "invalid-request"),
    ],
)
async def test_names_and_times_that_do_not_fit_are_the_callers_fault(
    api: httpx.AsyncClient, ep_id: str, name: str, query: dict[str, str], code: str
) -> None:
    params = {"modified_at": AT.isoformat()} | query
    answer = await api.put(f"/v1/episodes/{ep_id}/imports/{name}", params=params, content=b"")
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == code


async def test_a_file_past_the_cap_is_refused(parts: Parts) -> None:
    imports = Imports(parts.database, parts.store, ImportsSettings(max_file_bytes=10))

    async def body() -> Any:
        yield b"x" * 6
        yield b"x" * 6

    from services.kit.errors import DamagedFile

    with pytest.raises(DamagedFile, match="larger than 10 bytes"):
        await imports.put(body(), ep_id="show", name="tracks.jsonl", run_key="", modified_at=AT)


async def test_imported_results_are_exported_as_they_came_and_as_tables(api: httpx.AsyncClient) -> None:
    await put_all(api)
    files = (await api.get("/v1/episodes/show/exports")).json()["files"]
    assert set(files) == {*FLAT, *(f"runs/{name}" for name in MARKERS)}
    for name in FLAT:
        assert (await api.get(f"/v1/episodes/show/exports/{name}")).text == text_of(name, FLAT[name])
    exported = await api.get("/v1/episodes/show/exports/runs/cluster.json")
    assert exported.json() == MARKERS["cluster.json"]
    tables = (await api.get("/v1/episodes/show/exports", params={"format": "csv"})).json()["files"]
    assert {"tracks.csv", "identities.csv"} <= set(tables)
    rows = list(csv.DictReader(io.StringIO((await api.get("/v1/episodes/show/exports/faces.csv")).text)))
    assert [(row["face_id"], json.loads(row["embedding"] or "null")) for row in rows] == [
        ("f1", [0.6, 0.8]), ("", None),
    ]  # fmt: skip


async def test_imported_identities_and_artifacts_are_read_through_the_api(api: httpx.AsyncClient) -> None:
    await put_all(api)
    (identity,) = (await api.get("/v1/episodes/show/identities")).json()["identities"]
    assert (identity["identity_id"], identity["track_ids"]) == ("id_0001", [1])
    answer = await api.get("/v1/episodes/show/artifacts/tracks")
    assert answer.text == text_of("tracks.jsonl", FLAT["tracks.jsonl"])


async def test_an_imported_episode_runs_once_it_has_its_video(api: httpx.AsyncClient, parts: Parts) -> None:
    await put_all(api)
    submit = {"ep_id": "show", "device": "cpu"}
    refused = await api.post("/v1/jobs", json=submit)
    assert is_problem(refused, 409, "conflict")
    assert "--ep-id show" in refused.json()["hint"]
    uid = (await api.get("/v1/episodes/show")).json()["episode_uid"]
    sent = await upload(api)
    assert (sent.status_code, sent.json()["episode_uid"]) == (201, uid)
    assert (await upload(api)).status_code == 200
    assert is_problem(await upload(api, b"\x00\x00\x00\x20ftypisom" + b"other" * 99), 409, "conflict")
    job_id = (await api.post("/v1/jobs", json=submit | {"kind": "detect_track"})).json()["job_id"]
    await parts.finish(job_id)
    shown = await status(api)
    assert await statuses(api) == ("success", "stale", "stale")
    assert [shown["phases"][stage]["source"] for stage in STAGE_ORDER][1:] == ["imported", "imported"]
    keys = await objects(parts)
    assert all(key.startswith(f"{uid}/") for key in keys)
    assert sum("/media/" in key for key in keys) == 1


async def test_results_of_ours_come_before_imported_ones(api: httpx.AsyncClient, parts: Parts) -> None:
    await upload(api)
    await parts.finish((await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"})).json()["job_id"])
    await put_all(api)
    shown = await status(api)
    assert "imported" not in {phase["source"] for phase in shown["phases"].values()}
    artifacts = (await api.get("/v1/episodes/show/artifacts")).json()["artifacts"]
    assert {artifact["source"] for artifact in artifacts} == {"run"}
