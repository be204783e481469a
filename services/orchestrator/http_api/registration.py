"""How a video is registered: by its bytes, by a form that holds them, or by JSON that says where they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from services.kit.errors import InvalidRequest, TooLarge
from services.orchestrator.content_length import announced_bytes
from services.orchestrator.digests import sha256_from_fields, sha256_from_hex, with_digest
from services.orchestrator.episodes import Episodes, Registration
from services.orchestrator.http_api.forms import FILE_PART, UploadForm
from services.orchestrator.sources import Place, Sources

_FORM_FIELDS = frozenset({"ep_id", "replace", "sha256"})
_FORM_SCHEMA = {
    "type": "object",
    "required": [FILE_PART],
    "properties": {
        "ep_id": {"type": "string"},
        "replace": {"type": "boolean"},
        "sha256": {"type": "string"},
        FILE_PART: {"type": "string", "format": "binary", "description": "the last part"},
    },
}
_MAX_JSON_BYTES = 64 << 10
_DIGEST_FIELDS = ("content-digest", "repr-digest")


REGISTRATION_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "The video, as it is or as a form; or where it is.",
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {"schema": _FORM_SCHEMA},
            "application/json": {"schema": Place.model_json_schema()},
        },
    }
}


async def registered(
    request: Request, episodes: Episodes, sources: Sources, *, filename: str, ep_id: str | None, replace: bool
) -> Registration:
    """By the request's content type. A digest that comes with it is that of its body."""
    content_type = request.headers.get("content-type", "")
    sent = [value for name in _DIGEST_FIELDS for value in request.headers.getlist(name)]
    body = with_digest(request.stream(), sha256_from_fields(sent))
    if content_type.startswith("application/json"):
        return await sources.register(_place(await _short(body)), request.state.brought)
    if content_type.startswith("multipart/form-data"):
        return await _by_form(episodes, content_type, body, ep_id=ep_id, replace=replace)
    size_bytes = announced_bytes(request.headers.get("content-length", ""))
    return await episodes.register(
        body, filename=Path(filename).name, ep_id=ep_id, replace=replace, size_bytes=size_bytes
    )


async def _by_form(
    episodes: Episodes, content_type: str, body: AsyncIterator[bytes], *, ep_id: str | None, replace: bool
) -> Registration:
    form = UploadForm(content_type, body, _FORM_FIELDS)
    await form.open()
    sha256 = form.fields.get("sha256")
    return await episodes.register(
        with_digest(form.chunks(), None if sha256 is None else sha256_from_hex(sha256)),
        filename=Path(form.filename).name or "upload",
        ep_id=form.fields.get("ep_id", ep_id),
        replace=_flag(form.fields["replace"]) if "replace" in form.fields else replace,
    )


def _place(body: bytes) -> Place:
    """Raises `InvalidRequest`."""
    try:
        return Place.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InvalidRequest(f"not a request to register a video: {place} {fault['msg']}") from error


async def _short(body: AsyncIterator[bytes]) -> bytes:
    """Raises `TooLarge` for more than any request to register by place has."""
    held = b""
    async for chunk in body:
        held += chunk
        if len(held) > _MAX_JSON_BYTES:
            raise TooLarge(f"the JSON is longer than {_MAX_JSON_BYTES} bytes")
    return held


def _flag(text: str) -> bool:
    try:
        return TypeAdapter(bool).validate_python(text)
    except ValidationError as error:
        raise InvalidRequest("replace is neither true nor false") from error
