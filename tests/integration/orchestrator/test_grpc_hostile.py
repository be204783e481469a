"""Requests that nobody would write: whatever bytes or fields come, the answer blames them or is an answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.errors import Conflict, NotFound
from services.pb.screenalytics.v1 import api_pb2
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import METHODS, Rpcs
from tests.integration.parts import Parts

ANSWERED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED,
}  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(["show", "cluster", "", "\0", "../x", "a" * 10_000]))
NUMBERS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([0, 1, 500]))
VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: NUMBERS,
    FieldDescriptor.TYPE_INT64: st.one_of(NUMBERS, st.integers(-(2**63), 2**63 - 1)),
    FieldDescriptor.TYPE_DOUBLE: st.one_of(st.floats(-1, 0.1), st.sampled_from([float("nan"), -float("inf")])),
    FieldDescriptor.TYPE_ENUM: st.integers(-3, 20),
}
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
OVERRIDES = st.dictionaries(
    st.one_of(st.text(max_size=20), st.sampled_from(["stride", "detector", "embedder", "track_threshold"])),
    JSON,
    max_size=4,
)
COMMON = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A call, and a request of its own message."""
    name = draw(st.sampled_from(sorted(METHODS)))
    message: Message = getattr(api_pb2, METHODS[name].input_type.name)()
    for field in METHODS[name].input_type.fields:
        if not draw(st.booleans()):
            continue
        if field.name == "overrides":
            message.overrides.update(draw(OVERRIDES))  # type: ignore[attr-defined]
        elif field.name == "labels":
            message.labels.update(draw(st.dictionaries(TEXTS, TEXTS, max_size=3)))  # type: ignore[attr-defined]
        elif field.name == "update_mask":
            message.update_mask.paths.extend(draw(st.lists(TEXTS, max_size=3)))  # type: ignore[attr-defined]
        else:
            setattr(message, field.name, draw(VALUES[field.type]))
    return name, message.SerializeToString()


async def _code(rpcs: Rpcs, name: str, request: bytes) -> grpc.StatusCode:
    """Of a call that is left after its first answer."""
    call = rpcs.raw(name, request)
    try:
        if METHODS[name].server_streaming:
            await anext(aiter(call))
            call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@COMMON
@given(asked=requests())
async def test_no_field_of_any_request_is_the_servers_fault(both: Served, parts: Parts, asked: Any) -> None:
    with suppress(Conflict, NotFound):  # it was not put into the trash by the last request
        await parts.erasures.restore("show")
    await parts.upload()
    assert await _code(Rpcs(both.grpc), *asked) in ANSWERED, asked


@COMMON
@given(name=st.sampled_from(sorted(METHODS)), request_bytes=st.binary(max_size=200))
async def test_no_bytes_of_any_request_are_the_servers_fault(
    both: Served, parts: Parts, name: str, request_bytes: bytes
) -> None:
    assert parts
    assert await _code(Rpcs(both.grpc, timeout=90), name, request_bytes) in ANSWERED, (name, request_bytes)
