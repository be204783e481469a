"""Every message survives its translation to protobuf and back, with every optional field set and unset."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit import messages
from services.kit.codec import decode, encode, from_dict, to_dict
from services.kit.errors import InvalidRequest
from services.kit.messages import (
    ArtifactRef,
    ClaimRequest,
    Decision,
    MediaInfo,
    MediaRef,
    ModelRef,
    Segment,
    Task,
    TaskResult,
    WorkerState,
    canonical_json,
    now_at,
)

MESSAGES: list[Any] = [
    cls for cls in vars(messages).values() if isinstance(cls, type) and dataclasses.is_dataclass(cls)
]
# Ranges of the proto fields: int64 for points in time of a stream, uint64 for sizes, uint32 for the rest.
_INT64 = {"start_pts", "end_pts", "prev_pts", "first_pts"}
_UINT64 = {"size_bytes", "rows", "frames"}


def _integers(name: str) -> st.SearchStrategy[int]:
    if name in _INT64:
        return st.integers(-(2**63), 2**63 - 1)
    return st.integers(0, 2**64 - 1 if name in _UINT64 else 2**32 - 1)


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if dataclasses.is_dataclass(hint):
        return instances(hint)
    if hint is int:
        return _integers(name)
    arguments = get_args(hint)
    if type(None) in arguments:
        return st.none() | _values(name, next(a for a in arguments if a is not type(None)))
    if arguments and hint.__origin__ is tuple:
        return st.lists(_values(name, arguments[0]), max_size=3).map(tuple)
    if arguments and hint.__origin__ is dict:
        return st.dictionaries(st.text(max_size=8), st.integers(0, 2**32 - 1), max_size=3)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if hint is str:
        return st.text(max_size=12)
    return st.sampled_from(list(hint)) if hint is not bool else st.booleans()


def instances(cls: Any) -> st.SearchStrategy[Any]:
    """Values of every field by its type, so that a field added later is drawn too."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: _values(f.name, hints[f.name]) for f in dataclasses.fields(cls)})


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_a_message_survives_the_wire(cls: Any) -> None:
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(instances(cls))
    def holds(message: Any) -> None:
        assert decode(cls, encode(message)) == message
        assert from_dict(cls, json.loads(json.dumps(to_dict(message)))) == message

    holds()


def test_an_open_side_of_a_segment_stays_open_and_zero_stays_zero() -> None:
    assert decode(Segment, encode(Segment(3))) == Segment(3, None, None, None)
    assert decode(Segment, encode(Segment(0, 0, 0, 0))) == Segment(0, 0, 0, 0)


def test_a_video_without_a_known_first_pts_can_be_spoken_of() -> None:
    info = MediaInfo(
        width=640, height=360, fps_num=25, fps_den=1, duration_s=1.0, codec="h264", first_pts=None,
        time_base_num=1, time_base_den=12800, frames=25,
    )  # fmt: skip
    assert decode(MediaInfo, encode(info)) == info
    assert from_dict(MediaInfo, to_dict(info)) == info


def test_equal_messages_have_equal_bytes() -> None:
    first = TaskResult("j", "r", "t", "a", "w", messages.TaskOutcome.SUCCEEDED, counts={"a": 1, "b": 2})
    second = dataclasses.replace(first, counts={"b": 2, "a": 1})
    assert encode(first) == encode(second)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"not protobuf at all", b"\x0a\xff"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(Task, data)


def test_an_empty_message_where_fields_are_required_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Task"):
        decode(Task, b"")


def test_an_unknown_decision_is_refused_and_not_guessed() -> None:
    raw = from_dict(messages.ClaimReply, {"decision": "run"})
    assert raw.decision is Decision.RUN
    with pytest.raises(InvalidRequest):
        from_dict(messages.ClaimReply, {"decision": "perhaps"})


def test_a_wrong_type_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="1 fields do not fit"):
        from_dict(ModelRef, {"role": "detector", "name": "n", "sha256": {"not": "text"}})


def test_fields_of_a_newer_release_are_ignored_on_the_wire() -> None:
    request = ClaimRequest("t", "a", "w")
    unknown_field_100 = b"\xa2\x06\x03new"
    assert decode(ClaimRequest, encode(request) + unknown_field_100) == request


def test_a_frame_rate_is_its_fraction() -> None:
    info = MediaInfo(1, 1, 30000, 1001, 1.0, "h264", 1, 1, 1)
    assert math.isclose(info.fps, 29.97002997)


def task(**fields: Any) -> Task:
    plain: dict[str, Any] = {
        "schema_version": 1, "algorithm_version": 1, "job_id": "j", "run_id": "r", "task_id": "t",
        "stage": "cluster", "kind": "whole", "ordinal": 0, "provider": "cpu", "requested_device": "cpu",
        "ep_id": "e", "episode_uid": "u", "config_json": "{}", "media": MediaRef("m", "0", 1, "mov"),
    }  # fmt: skip
    return Task(**(plain | fields))


def test_a_task_finds_its_only_input_of_a_kind_and_refuses_none_or_two() -> None:
    chips, faces = ArtifactRef("chips", "a", "0"), ArtifactRef("faces", "b", "1")
    assert task(inputs=(chips, faces)).input_of("faces") == faces
    assert task(inputs=(chips, chips)).inputs_of("chips") == [chips, chips]
    for inputs in ((), (chips, chips)):
        with pytest.raises(InvalidRequest, match="chips"):
            task(inputs=inputs).input_of("chips")


def test_a_task_finds_its_model_by_role() -> None:
    detector = ModelRef("detector", "n", "0")
    assert task(models=(detector,)).model("detector") == detector
    with pytest.raises(InvalidRequest, match="embedder"):
        task(models=(detector,)).model("embedder")


def test_canonical_json_has_one_form_for_equal_values() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


def test_times_are_aware_and_utc() -> None:
    assert now_at().endswith("+00:00")


def test_worker_states_are_the_words_of_the_heartbeat() -> None:
    assert {str(s) for s in WorkerState} == {"ready", "busy", "draining", "refused"}


@pytest.mark.parametrize(
    ("segment", "frames"),
    [
        (Segment(0), 300),
        (Segment(0, None, 50), 25),
        (Segment(1, 50, 150), 50),
        (Segment(2, 150, None), 225),
        (Segment(3, 150, 150), 1),
    ],
)
def test_the_frames_of_a_segment_are_expected_by_the_clock(segment: Segment, frames: int) -> None:
    """At 25 fps, in ticks of 1/50 s, for 12 s that begin at tick 0."""
    info = MediaInfo(640, 360, 25, 1, 12.0, "h264", 1, 50, 300, first_pts=0)
    assert info.expected_frames(segment) == frames
