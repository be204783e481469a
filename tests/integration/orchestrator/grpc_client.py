"""Calls by their name, messages as the JSON that REST would show, and errors as their stable codes."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from services.pb.screenalytics.v1 import api_pb2

METHODS: dict[str, Any] = {
    method.name: method
    for service in api_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def path_of(name: str) -> str:
    return f"/{METHODS[name].containing_service.full_name}/{name}"


class Rpcs:
    def __init__(self, channel: grpc.aio.Channel, **options: Any) -> None:
        self._channel = channel
        self._options = options

    def raw(self, name: str, request: bytes) -> Any:
        """A call whose request is bytes; its answers are messages."""
        method = METHODS[name]
        answer = getattr(api_pb2, method.output_type.name)
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        return make(path_of(name), None, answer.FromString)(request, **self._options)

    def __call__(self, name: str, /, **fields: Any) -> Any:
        """`await` it, or iterate over it where it streams."""
        return self.raw(name, getattr(api_pb2, METHODS[name].input_type.name)(**fields).SerializeToString())

    async def file(self, name: str, /, **fields: Any) -> tuple[api_pb2.FileHead, bytes]:
        chunks = [chunk async for chunk in self(name, **fields)]
        assert [chunk.HasField("head") for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
        return chunks[0].head, b"".join(chunk.data for chunk in chunks)


def shown(message: Message) -> dict[str, Any]:
    """Its set fields as REST has them; what is empty there is not set here."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of_value = field.message_type.fields_by_name["value"]
        return {key: _item(of_value, item) for key, item in value.items()}
    return [_item(field, item) for item in value] if field.is_repeated else _item(field, value)


def _item(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
        return field.enum_type.values_by_number[value].name.removeprefix(prefix).lower()
    if isinstance(value, Timestamp):
        return value.ToDatetime(UTC)
    if isinstance(value, Struct):
        return json_format.MessageToDict(value)
    return shown(value) if isinstance(value, Message) else value


def filled(value: Any) -> Any:
    """JSON without what is empty, with times as times and ids of tracks as texts: what `shown` compares with."""
    if isinstance(value, dict):
        kept = {name: _ids(item) if name == "track_ids" else filled(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, "", 0, False, [], {})}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return _time(value) if isinstance(value, str) else value


def _ids(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]


def _time(text: str) -> Any:
    try:
        return datetime.fromisoformat(text) if text[:2] == "20" and "T" in text else text
    except ValueError:
        return text


async def fault_of(call: Awaitable[Any]) -> tuple[str, str, dict[str, str]]:
    """(status, reason, metadata) of a call that fails; it must fail as the API says that calls fail."""
    try:
        if hasattr(call, "read"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return told(error)
    raise AssertionError("the call has succeeded")


def told(error: grpc.aio.AioRpcError) -> tuple[str, str, dict[str, str]]:
    trailers = dict(error.trailing_metadata() or ())
    status = Status.FromString(bytes(trailers["grpc-status-details-bin"]))
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, retry = ErrorInfo(), RetryInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "screenalytics"
    assert any(detail.Unpack(retry) for detail in status.details) == (
        error.code().name == "UNAVAILABLE" or info.reason == "rate-limited"
    )
    return error.code().name, info.reason, dict(info.metadata)
