"""What gRPC answers to bad input: the status and the reason of the one table, as REST does."""

from __future__ import annotations

import errno
import logging
import os
from typing import Any

import grpc
import pytest

from services.kit.errors import error_class
from services.orchestrator import downloads
from services.orchestrator.job_request import JobKind
from services.pb.screenalytics.v1 import api_pb2
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import METHODS, Rpcs, fault_of
from tests.integration.orchestrator.test_imports import put_all
from tests.integration.parts import VIDEO, Parts

CPU = {"device": "DEVICE_CPU"}
LONG = "\U0001f600" * 100_000
# (rpc, its fields), then the same over REST: (verb, path, body), and the code of both.
CASES: list[tuple[str, dict[str, Any], tuple[str, str, Any], str]] = [
    ("GetEpisode", {"ep_id": "nobody"}, ("GET", "/v1/episodes/nobody", None), "not-found"),
    ("GetEpisodeStatus", {"ep_id": "nobody"}, ("GET", "/v1/episodes/nobody/status", None), "not-found"),
    ("GetIdentities", {"ep_id": "film"}, ("GET", "/v1/episodes/film/identities", None), "not-found"),
    ("WaitJob", {"job_id": "LIVE", "timeout_s": -1}, ("POST", "/v1/jobs/LIVE:wait?timeout_s=-1", None), "invalid-request"),
    ("ListEpisodes", {"page_size": -1}, ("GET", "/v1/episodes?page_size=-1", None), "invalid-request"),
    ("ListEpisodes", {"page_token": "a\0"}, ("GET", "/v1/episodes?page_token=a%00", None), "invalid-page-token"),
    ("GetArtifact", {"ep_id": "film", "kind": 99}, ("GET", "/v1/episodes/film/artifacts/x", None), "invalid-request"),
    ("GetArtifact", {"ep_id": "film", "kind": 5}, ("GET", "/v1/episodes/film/artifacts/tracks", None), "not-found"),
    ("GetMarker", {"ep_id": "film"}, ("GET", "/v1/episodes/film/exports/runs/x.json", None), "invalid-request"),
    ("GetExport", {"ep_id": "film", "name": "x"}, ("GET", "/v1/episodes/film/exports/x", None), "not-found"),
    ("ListExports", {"ep_id": "film", "format": 9}, ("GET", "/v1/episodes/film/exports?format=x", None), "invalid-request"),
    ("GetJob", {"job_id": "nobody"}, ("GET", "/v1/jobs/nobody", None), "not-found"),
    ("CancelJob", {"job_id": "nobody"}, ("POST", "/v1/jobs/nobody:cancel", None), "not-found"),
    ("RetryJob", {"job_id": "nobody"}, ("POST", "/v1/jobs/nobody:retry", None), "not-found"),
    ("WatchJob", {"job_id": "nobody"}, ("GET", "/v1/jobs/nobody/events", None), "not-found"),
    ("ListLogs", {"job_id": "LIVE", "after": -1}, ("GET", "/v1/jobs/LIVE/logs?after=-1", None), "invalid-request"),
    ("ResumeJob", {"job_id": "LIVE"}, ("POST", "/v1/jobs/LIVE:resume", None), "conflict"),
    ("ListJobs", {"stage": 77}, ("GET", "/v1/jobs?stage=x", None), "invalid-request"),
    ("SubmitJob", {"ep_id": "nobody", **CPU}, ("POST", "/v1/jobs", {"ep_id": "nobody", "device": "cpu"}), "not-found"),
    ("SubmitJob", {"ep_id": "film", "kind": 9}, ("POST", "/v1/jobs", {"ep_id": "film", "kind": "x"}), "invalid-request"),
    ("SubmitJob", {"ep_id": "film"}, ("POST", "/v1/jobs", {"ep_id": "film"}), "accelerator-unavailable"),
    ("SubmitJob", {"ep_id": "live", **CPU}, ("POST", "/v1/jobs", {"ep_id": "live", "device": "cpu"}), "conflict"),
    ("SubmitJob", {"ep_id": "show", **CPU}, ("POST", "/v1/jobs", {"ep_id": "show", "device": "cpu"}), "conflict"),
    (
        "SubmitJob", {"ep_id": "film", "overrides": {"nobody": 1}, **CPU},
        ("POST", "/v1/jobs", {"ep_id": "film", "overrides": {"nobody": 1}, "device": "cpu"}), "invalid-request",
    ),
    (
        "SubmitJob", {"ep_id": "film", "acknowledge_zero_rows": True, **CPU},
        ("POST", "/v1/jobs", {"ep_id": "film", "acknowledge_zero_rows": True, "device": "cpu"}), "invalid-request",
    ),
    (
        "SubmitJob", {"ep_id": "empty", "kind": "JOB_KIND_CLUSTER", **CPU},
        ("POST", "/v1/jobs", {"ep_id": "empty", "kind": "cluster", "device": "cpu"}), "zero-rows",
    ),
    ("SubmitJob", {"ep_id": "film", "request_id": "a b"}, ("POST", "/v1/jobs", {"ep_id": 5}), "invalid-request"),
]  # fmt: skip


@pytest.fixture
async def rpcs(both: Served, parts: Parts) -> Rpcs:
    """Of a system with an episode without results, one at work, one that is empty and an imported one."""
    await put_all(both.http)
    await parts.upload("film")
    await parts.upload("empty", VIDEO + b"e")
    nothing = {"counts": {"detections": 0, "faces": 0, "identities": 0}}
    for kind in (JobKind.DETECT_TRACK, JobKind.FACES_EMBED):
        await parts.finish(
            await parts.submit(kind, "empty", acknowledge_zero_rows=kind is JobKind.FACES_EMBED), **nothing
        )
    await parts.upload("live", VIDEO + b"l")
    return Rpcs(both.grpc)


async def test_the_same_bad_input_has_the_mapped_code_over_both_transports(
    both: Served, rpcs: Rpcs, parts: Parts
) -> None:
    live = await parts.submit(ep_id="live")
    for name, fields, (verb, path, body), code in CASES:
        what = (name, fields)
        asked = {key: live if value == "LIVE" else value for key, value in fields.items()}
        answer = await both.http.request(verb, path.replace("LIVE", live), json=body)
        problem = answer.json()
        status, reason, metadata = await fault_of(rpcs(name, **asked))
        assert (reason, problem["code"]) == (code, code), (what, problem)
        assert status == error_class(code).grpc_status, what
        assert metadata.get("hint", "") == problem["hint"], what
        assert metadata.get("job_id") == problem.get("job_id"), what


async def test_bytes_that_are_no_message_are_bad_input_to_every_call(rpcs: Rpcs) -> None:
    for name in METHODS:
        if METHODS[name].input_type.fields:
            assert (await fault_of(rpcs.raw(name, b"\x0a\xff\xff\xff")))[1] == "invalid-request", name
            assert (await fault_of(rpcs.raw(name, b"\x0a\x02\xff\xfe")))[1] == "invalid-request", name


async def test_a_name_without_end_is_not_repeated_whole(rpcs: Rpcs) -> None:
    assert (await fault_of(rpcs("GetEpisode", ep_id=LONG)))[:2] == ("NOT_FOUND", "not-found")
    assert (await fault_of(rpcs("SubmitJob", ep_id="film", overrides={LONG: 1}, **CPU)))[1] == "invalid-request"


async def test_a_message_over_the_limit_is_refused(rpcs: Rpcs) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rpcs("GetEpisode", ep_id="x" * (5 << 20))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_failure_that_nobody_foresaw_is_logged_and_tells_nothing(
    rpcs: Rpcs, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    await parts.finished(ep_id="film")
    (row,) = await parts.rows(
        "SELECT uri FROM artifacts WHERE kind = 'identities' AND uri NOT LIKE %s", "%empty%"
    )
    parts.store.put_bytes(row["uri"], b"no json")
    with caplog.at_level(logging.ERROR):
        status, reason, metadata = await fault_of(rpcs("GetIdentities", ep_id="film"))
    assert (status, reason, metadata) == ("INTERNAL", "internal", {})
    assert "JSONDecodeError" in caplog.text


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "insufficient-disk"), (errno.EMFILE, "system-unavailable")]
)
async def test_what_the_machine_refuses_is_nobodys_fault_over_both_transports(
    both: Served, rpcs: Rpcs, parts: Parts, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    await parts.finished(ep_id="film")

    def refused(**_: Any) -> None:
        raise OSError(number, os.strerror(number), "/secret/place")

    monkeypatch.setattr(downloads, "TemporaryDirectory", refused)
    answer = await both.http.get("/v1/episodes/film/exports/tracks.jsonl")
    status, reason, metadata = await fault_of(rpcs("GetExport", ep_id="film", name="tracks.jsonl"))
    assert (answer.status_code, answer.json()["code"]) == (error_class(code).http_status, code)
    assert (status, reason) == (error_class(code).grpc_status, code)
    assert "secret" not in answer.text + str(metadata)


async def test_an_unknown_call_is_unimplemented(both: Served) -> None:
    call = both.grpc.unary_unary("/screenalytics.v1.Jobs/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(api_pb2.GetJobRequest().SerializeToString())
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
