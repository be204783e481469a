"""Between the messages of `screenalytics.v1` and the plain values that the core takes and answers.

Words of closed sets are enums there: "detect_track" is `STAGE_DETECT_TRACK`. Names of fields are equal.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from services.kit.codec import from_dict
from services.kit.errors import InvalidRequest
from services.orchestrator.downloads import Download
from services.orchestrator.episode_edit import EpisodeEdit
from services.orchestrator.job_request import JobRequest
from services.orchestrator.preconditions import IfMatch
from services.orchestrator.watch import JobEvent
from services.pb.screenalytics.v1 import api_pb2

M = TypeVar("M", bound=Message)
Field = Any  # descriptors are of one of two libraries, which the stubs tell apart

_CHUNK_BYTES = 128 << 10  # far below what clients take as one message by default


# -- answers -------------------------------------------------------------------------------------


def message_of(cls: type[M], shown: Mapping[str, Any]) -> M:
    """What REST would show, as a message. Members that it has no field for, or that do not fit, are left out:
    files of the older system may hold anything."""
    message = cls()
    _fill(message, shown)
    return message


def event_message(event: JobEvent) -> api_pb2.JobEvent:
    return message_of(api_pb2.JobEvent, {event.kind: event.data})


async def chunk_messages(download: Download) -> AsyncIterator[api_pb2.FileChunk]:
    head = {
        "media_type": download.media_type,
        "size_bytes": download.size_bytes,
        "sha256": download.sha256,
    }
    chunk = message_of(api_pb2.FileChunk, {"head": head})
    pending = bytearray()
    async for piece in download.chunks:
        pending += piece
        while len(pending) >= _CHUNK_BYTES:
            chunk.data = bytes(pending[:_CHUNK_BYTES])
            del pending[:_CHUNK_BYTES]
            yield chunk
            chunk = api_pb2.FileChunk()
    if pending or chunk.HasField("head"):
        chunk.data = bytes(pending)
        yield chunk


def _fill(message: Message, shown: Any) -> None:
    for name, value in _mapping(shown).items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is not None and value is not None:
            with suppress(TypeError, ValueError):
                _set(message, field, value)


def _set(message: Message, field: Field, value: Any) -> None:
    target = getattr(message, field.name)
    if _is_map(field):
        of_value = field.message_type.fields_by_name["value"]
        for key, item in _mapping(value).items():
            if of_value.message_type is None:
                target[key] = _scalar(of_value, item)
            else:
                _fill(target[key], item)
    elif field.is_repeated and field.message_type is not None:
        for item in value:
            _fill(target.add(), item)
    elif field.is_repeated:
        target.extend(_scalar(field, item) for item in value)
    elif field.message_type is not None:
        _set_message(target, value)
    else:
        setattr(message, field.name, _scalar(field, value))


def _set_message(target: Message, value: Any) -> None:
    if isinstance(target, Timestamp):
        target.FromJsonString(value)
    elif isinstance(target, Struct):
        target.update(_encodable(_mapping(value)))
    else:
        target.SetInParent()
        _fill(target, value)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("no object")
    return value


def _scalar(field: Field, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_name.get(_prefix(field.enum_type) + str(value).upper())
        return known.number if known is not None else 0
    return _encodable(str(value)) if field.type == FieldDescriptor.TYPE_STRING else value


def _encodable(value: Any) -> Any:
    """The same without halves of surrogate pairs, which JSON can carry and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


# -- requests ------------------------------------------------------------------------------------


def values_of(request: Message) -> dict[str, Any]:
    """Fields by name, None for what is not given. Raises `InvalidRequest` for a number that is no enum's."""
    return {field.name: _value(request, field) for field in request.DESCRIPTOR.fields}


def required(request: Message, name: str) -> Any:
    """Raises `InvalidRequest` when the field is not given."""
    value = values_of(request)[name]
    if value is None:
        raise InvalidRequest(f"{name} is not given")
    return value


def count(request: Message, name: str, *, most: int, default: int) -> int:
    """A number of things to answer with; 0 is not given. Raises `InvalidRequest`."""
    number = int(getattr(request, name)) or default
    if not 1 <= number <= most:
        raise InvalidRequest(f"{name}: {number} is not within 1 to {most}")
    return number


def position(request: Message, name: str) -> int:
    """A `seq` to go on after. Raises `InvalidRequest`."""
    number = int(getattr(request, name))
    if number < 0:
        raise InvalidRequest(f"{name}: {number} is negative")
    return number


def job_request(request: api_pb2.SubmitJobRequest) -> JobRequest:
    """Raises `InvalidRequest`."""
    given = {name: value for name, value in values_of(request).items() if value is not None}
    given.pop("request_id", None)
    return from_dict(JobRequest, {"ep_id": "", **given})


def episode_edit(request: api_pb2.UpdateEpisodeRequest) -> tuple[EpisodeEdit, str]:
    """What is said, and the mask as REST has it. Raises `InvalidRequest`."""
    given = {"title": request.title} if request.HasField("title") else {}
    labels = {"labels": dict(request.labels)} if request.labels else {}
    return EpisodeEdit.of(given | labels), ",".join(request.update_mask.paths)


def if_match(etag: str) -> IfMatch:
    return None if etag in ("", "*") else [etag]


def seconds(request: Message, name: str, *, default: float) -> float:
    """Raises `InvalidRequest`."""
    number = float(getattr(request, name)) if request.HasField(name) else default
    if not 0 <= number < math.inf:
        raise InvalidRequest(f"{name}: {number} is no time to wait")
    return number


def _value(request: Message, field: Field) -> Any:
    value = getattr(request, field.name)
    if field.enum_type is not None:
        return _word(field, value)
    if isinstance(value, Struct):
        return {key: _plain(item) for key, item in _items(value)} if request.HasField(field.name) else None
    if field.has_presence:
        return value if request.HasField(field.name) else None
    return None if value == "" else value


def _word(field: Field, number: int) -> str | None:
    known = field.enum_type.values_by_number.get(number)
    if known is None:
        raise InvalidRequest(f"{field.name}: {number} is no {field.enum_type.name}")
    return str(known.name).removeprefix(_prefix(field.enum_type)).lower() if number else None


def _items(struct: Struct) -> Iterable[tuple[str, Any]]:
    return ((key, struct[key]) for key in struct)


def _plain(value: Any) -> Any:
    """Numbers of a Struct are doubles; a whole one is what JSON writes without a point."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Struct):
        return {key: _plain(item) for key, item in _items(value)}
    if isinstance(value, str | bool) or value is None:
        return value
    return [_plain(item) for item in value]


def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _prefix(enum: Any) -> str:
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")
