"""REST and gRPC are one API: the OpenAPI description and the protos are walked together and held equal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor

from services.orchestrator.core import Core
from services.orchestrator.http_api import app
from services.orchestrator.operations import OPERATIONS
from services.pb.screenalytics.v1 import api_pb2

_UNASKED: Any = dict.fromkeys((field.name for field in fields(Core)), None)
OPENAPI = app.build(Core(**_UNASKED)).openapi()
CALLS = {
    call["operationId"]: (f"{verb.upper()} {path}", call)
    for path, calls in OPENAPI["paths"].items()
    for verb, call in calls.items()
}
METHODS: dict[str, Any] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(): method
    for service in api_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# What is a header over HTTP is a field here; who asks is told by metadata, and reads are always answered whole.
HEADERS = {
    "idempotency-key": "request_id",
    "if-match": "etag",
    "if-none-match": None,
    "last-event-id": "after_seq",
    "user-agent": None,
}
# What REST asks besides where it takes the bytes of a file, which it alone does.
OF_BYTES = {"register_episode": {"filename"}}
SCALARS = {
    "integer": {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64},
    "number": {FieldDescriptor.TYPE_DOUBLE},
    "boolean": {FieldDescriptor.TYPE_BOOL},
    "string": {FieldDescriptor.TYPE_STRING},
}
STREAMED = {"get_artifact", "get_marker", "get_export", "watch_job"}
# Objects whose members are not described here are open in both.
OPEN = "google.protobuf.Struct"


def asked(call: dict[str, Any]) -> set[str]:
    """Names of everything that a REST call takes, but for what is said of bytes."""
    names = set()
    for parameter in call.get("parameters", []):
        if parameter.get("deprecated"):
            continue
        name = parameter["name"]
        field = HEADERS[name.lower()] if parameter["in"] == "header" else name
        names |= {field} if field else set()
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names |= set(resolved(body).get("properties", {}))
    return names - OF_BYTES.get(call["operationId"], set())


def answered(call: dict[str, Any]) -> dict[str, Any]:
    """The schema of a call's successes."""
    found, *others = (
        answer["content"]["application/json"]["schema"]
        for status, answer in call["responses"].items()
        if status.startswith("2")
    )
    assert others in ([], [found])
    return resolved(found)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Without a reference, and without the choice of null."""
    if "$ref" in schema:
        return resolved(OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return resolved(options[0]) if len(options) == 1 else {"type": "string"}
    return schema


def may_be_null(schema: dict[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in schema.get("anyOf", []))


def differences(schema: dict[str, Any], message: Any, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """What a message lacks of a described object, and what it has besides."""
    if message.full_name == OPEN or message.full_name in seen:
        return
    members = resolved(schema).get("properties", {})
    for name in sorted(set(members) ^ set(message.fields_by_name)):
        yield f"{message.name}.{name} is only in {'REST' if name in members else 'the protos'}"
    for name in sorted(set(members) & set(message.fields_by_name)):
        field = message.fields_by_name[name]
        where = f"{message.name}.{name}"
        is_told_apart = field.has_presence or field.enum_type is not None
        if may_be_null(members[name]) and not is_told_apart:
            yield f"{where} may be null and has no presence"
        yield from of_value(resolved(members[name]), field, where, (*seen, message.full_name))


def of_value(member: dict[str, Any], field: Any, where: str, seen: tuple[str, ...]) -> Iterator[str]:
    if member.get("type") == "array":
        if not field.is_repeated:
            yield f"{where} is a list in REST alone"
        member = resolved(member["items"])
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = member.get("additionalProperties")
        if not isinstance(value, dict):
            yield f"{where} is a map in the protos alone"
            return
        member, field = resolved(value), field.message_type.fields_by_name["value"]
    elif field.is_repeated:
        yield f"{where} is a list in the protos alone"
    yield from of_item(member, field, where, seen)


def of_item(member: dict[str, Any], field: Any, where: str, seen: tuple[str, ...]) -> Iterator[str]:
    words = {member["const"]} if "const" in member else set(member.get("enum", ()))
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values if value.number]
        prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
        if words != {name.removeprefix(prefix).lower() for name in names}:
            yield f"{where}: the words of {field.enum_type.name} are others"
    elif member.get("format") == "date-time":
        if field.message_type is None or field.message_type.full_name != "google.protobuf.Timestamp":
            yield f"{where} is no Timestamp"
    elif field.message_type is not None:
        yield from differences(member, field.message_type, seen)
    elif field.type not in SCALARS.get(member.get("type", "string"), set()):
        yield f"{where} is another type"


def test_every_operation_has_its_rpc_and_every_rpc_its_operation() -> None:
    described = {
        (name, f"{rule.WhichOneof('pattern').upper()} {getattr(rule, rule.WhichOneof('pattern'))}")
        for name, rule in (
            (name, method.GetOptions().Extensions[annotations_pb2.http]) for name, method in METHODS.items()
        )
    }
    assert described == {(each.name, each.rest) for each in OPERATIONS if not each.rest_only}
    assert described <= {(name, rest) for name, (rest, _) in CALLS.items()}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_an_rpc_asks_what_its_rest_call_asks(name: str) -> None:
    assert set(METHODS[name].input_type.fields_by_name) == asked(CALLS[name][1])


@pytest.mark.parametrize("name", sorted(set(METHODS) - STREAMED))
def test_an_rpc_answers_what_its_rest_call_answers(name: str) -> None:
    assert list(differences(answered(CALLS[name][1]), METHODS[name].output_type)) == []


def test_what_rest_streams_is_streamed() -> None:
    assert {name for name, method in METHODS.items() if method.server_streaming} == STREAMED


def test_the_comparison_sees_what_differs() -> None:
    lacking = {"type": "object", "properties": {"code": {"type": "integer"}, "more": {"type": "string"}}}
    assert list(differences(lacking, api_pb2.RunError.DESCRIPTOR)) == [
        "RunError.message is only in the protos",
        "RunError.more is only in REST",
        "RunError.code is another type",
    ]
