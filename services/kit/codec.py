"""Messages to and from protobuf and plain JSON values. What cannot be read raises `InvalidRequest`."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from pydantic import TypeAdapter, ValidationError

from services.kit.errors import InvalidRequest
from services.pb.screenalytics.stage.v1 import stage_pb2

T = TypeVar("T")


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_without_none(v) for v in value]
    return value


def to_dict(message: Any) -> dict[str, Any]:
    """A message as plain JSON values, without the fields that are not set."""
    plain = _without_none(asdict(message))
    assert isinstance(plain, dict)
    return plain


def from_dict(cls: type[T], value: Any) -> T:
    """The inverse of `to_dict`. Raises `InvalidRequest` for anything that does not fit."""
    try:
        kind: Any = cls
        message: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(f"not a {cls.__name__}: {error.error_count()} fields do not fit") from error
    return message


def encode(message: Any) -> bytes:
    pb: Message = getattr(stage_pb2, type(message).__name__)()
    json_format.ParseDict(to_dict(message), pb)
    return pb.SerializeToString(deterministic=True)


def decode(cls: type[T], data: bytes) -> T:
    """Raises `InvalidRequest` when `data` is not a message of that type."""
    pb: Message = getattr(stage_pb2, cls.__name__)()
    try:
        pb.ParseFromString(data)
    except DecodeError as error:
        raise InvalidRequest(f"not a {cls.__name__}") from error
    plain = json_format.MessageToDict(
        pb, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return from_dict(cls, plain)
