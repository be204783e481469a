"""The OpenAPI description: FastAPI's own, with errors as the problem documents they are, and with links."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from services.orchestrator.answers import Problem
from services.orchestrator.http_api import security
from services.orchestrator.http_api.links import LINKS
from services.orchestrator.watch import EventKind

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_ERROR = {
    "description": "A problem, RFC 9457. `code` is stable: docs/api.md lists the codes.",
    "content": {"application/problem+json": {"schema": _PROBLEM}},
    "headers": {
        "Retry-After": {
            "description": "Seconds after which to try again; where waiting helps.",
            "schema": {"type": "integer"},
        }
    },
}
# FastAPI describes an answer that it gives to bad input by default; this API never gives it.
_NEVER_GIVEN = ("HTTPValidationError", "ValidationError")

Described = dict[int | str, dict[str, Any]]


def header(text: str, **schema: Any) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"} | schema}


LOCATION = {"Location": header("Where the job is to be looked at.", format="uri-reference")}


def bytes_of(media_type: str, text: str, **more: Any) -> Described:
    """A 200 whose body is streamed in that form."""
    return {200: {"description": text, "content": {media_type: {"schema": {"type": "string"}}}, **more}}


EVENTS: Described = {
    200: {
        "description": "Server-sent events until the job has ended; `data` is JSON, `id` the `seq`.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["event", "data"],
                    "properties": {
                        "id": {"type": "string"},
                        "event": {"enum": [kind.value for kind in EventKind]},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    }
}


def takes_bytes(text: str) -> dict[str, Any]:
    """A request body that is taken as it comes; for `openapi_extra`."""
    content: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"description": text, "required": True, "content": content}}


def install(api: FastAPI) -> None:
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _completed(made())
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _completed(described: dict[str, Any]) -> dict[str, Any]:
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in _NEVER_GIVEN:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for calls in described["paths"].values():
        for call in calls.values():
            call["responses"].pop("422", None)
            if call["operationId"] in LINKS:
                for answer in call["responses"].values():
                    answer["links"] = LINKS[call["operationId"]]
            call["responses"]["default"] = _ERROR
    return security.describe(described)
