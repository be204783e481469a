"""Between messages and plain values: nothing is lost on the way, and what does not fit ends no call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import InvalidRequest
from services.kit.inference.placement import Provider
from services.orchestrator.converters import (
    chunk_messages,
    count,
    job_request,
    message_of,
    position,
    required,
    seconds,
    values_of,
)
from services.orchestrator.downloads import Download
from services.orchestrator.job_request import JobKind, JobRequest
from services.orchestrator.profiles import Profile
from services.pb.screenalytics.v1 import api_pb2

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(categories=["Lu", "Cs"]))
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
IDENTITY = [field.name for field in api_pb2.Identity.DESCRIPTOR.fields]


def test_words_become_enums_and_nulls_are_absent() -> None:
    job = message_of(
        api_pb2.Job,
        {
            "job_id": "j1",
            "kind": "pipeline",
            "state": "running",
            "retry_of": None,
            "created_at": "2026-01-02T03:04:05.678+00:00",
            "stages": [{"stage": "cluster", "counts": {"identities": 3}, "progress": None}],
            "warnings": ["warm"],
        },
    )
    assert (job.kind, job.state) == (api_pb2.JOB_KIND_PIPELINE, api_pb2.STATE_RUNNING)
    assert not job.HasField("retry_of")
    assert job.created_at.ToJsonString() == "2026-01-02T03:04:05.678Z"
    assert (job.stages[0].stage, dict(job.stages[0].counts)) == (api_pb2.STAGE_CLUSTER, {"identities": 3})
    assert not job.stages[0].HasField("progress")
    assert list(job.warnings) == ["warm"]


def test_a_word_and_a_member_of_a_newer_release_are_left_out() -> None:
    job = message_of(api_pb2.Job, {"job_id": "j1", "state": "dreaming", "mood": "good"})
    assert (job.job_id, job.state) == ("j1", api_pb2.STATE_UNSPECIFIED)


@given(st.dictionaries(st.sampled_from([*IDENTITY, "other"]), JSON), JSON)
def test_what_an_imported_file_holds_ends_no_call(identity: dict[str, Any], stats: Any) -> None:
    shown = {"ep_id": "show", "identities": [{"identity_id": "i1"}, identity], "stats": stats}
    made = message_of(api_pb2.IdentityList, shown)
    assert (made.ep_id, made.identities[0].identity_id) == ("show", "i1")
    assert made.SerializeToString()


def test_a_request_is_read_as_rest_reads_it() -> None:
    request = api_pb2.SubmitJobRequest(
        ep_id="show",
        kind=api_pb2.JOB_KIND_CLUSTER,
        device=api_pb2.DEVICE_CPU,
        overrides={
            "stride": 4,
            "track_threshold": 0.5,
            "save_frames": True,
            "detector": None,
            "deep": [1, {"a": 2}],
        },
        request_id="k1",
    )
    given_overrides = {
        "stride": 4, "track_threshold": 0.5, "save_frames": True, "detector": None, "deep": [1, {"a": 2}],
    }  # fmt: skip
    asked = job_request(request)
    assert asked == JobRequest("show", JobKind.CLUSTER, device=Provider.CPU, overrides=given_overrides)
    assert isinstance(asked.overrides["stride"], int)
    assert job_request(api_pb2.SubmitJobRequest(ep_id="show")) == JobRequest("show", profile=Profile.BALANCED)


def test_what_is_not_given_is_none_and_false_is_given() -> None:
    values = values_of(api_pb2.ListLogsRequest(quiet=False))
    assert (values["quiet"], values["job_id"]) == (False, None)
    assert values_of(api_pb2.ListLogsRequest())["quiet"] is None


@pytest.mark.parametrize(
    "read",
    [
        lambda: values_of(api_pb2.ListJobsRequest(stage=77)),  # type: ignore[arg-type]
        lambda: required(api_pb2.GetMarkerRequest(), "stage"),
        lambda: count(api_pb2.ListLogsRequest(limit=-1), "limit", most=10, default=5),
        lambda: count(api_pb2.ListLogsRequest(limit=11), "limit", most=10, default=5),
        lambda: position(api_pb2.WatchJobRequest(after_seq=-1), "after_seq"),
        lambda: seconds(api_pb2.WaitJobRequest(timeout_s=float("nan")), "timeout_s", default=1),
        lambda: seconds(api_pb2.WaitJobRequest(timeout_s=float("inf")), "timeout_s", default=1),
    ],
)
def test_what_does_not_fit_a_request_is_the_callers_fault(read: Any) -> None:
    with pytest.raises(InvalidRequest):
        read()


@given(st.lists(st.binary(max_size=300_000), max_size=4))
async def test_chunks_hold_every_byte_in_order_whatever_pieces_they_came_in(pieces: list[bytes]) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    chunks = [chunk async for chunk in chunk_messages(Download(stream(), "text/csv", 7, "abc"))]
    assert b"".join(chunk.data for chunk in chunks) == b"".join(pieces)
    assert [chunk.HasField("head") for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    assert (chunks[0].head.media_type, chunks[0].head.size_bytes) == ("text/csv", 7)
