"""Resumable uploads by the tus protocol, version 1.0.0: core, creation, expiration, termination, checksum.

`X-HTTP-Method-Override` is not taken: who may do what is decided by the method of the request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.errors import InvalidRequest, PreconditionFailed, UnsupportedMediaType
from services.orchestrator import answers
from services.orchestrator.content_length import announced_bytes
from services.orchestrator.database import Row, as_json
from services.orchestrator.http_api.description import header
from services.orchestrator.uploads import CHECKSUM_ALGORITHMS, Checksum, NewUpload, Uploads

_PREFIX = "/v1/uploads"
_VERSION = "1.0.0"
_EXTENSIONS = "creation,expiration,termination,checksum"
_PART_TYPE = "application/offset+octet-stream"
_MAX_METADATA = 4096
_LONGEST_WAIT_S = 30.0
_SHOWN = ("upload_id", "state", "size_bytes", "offset_bytes", "filename", "ep_id", "episode_uid")
_PART_BODY = {
    "requestBody": {
        "description": "The bytes from Upload-Offset on.",
        "required": True,
        "content": {_PART_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_OFFSET = {"Upload-Offset": header("How many bytes are kept.")}
Count = Annotated[int, Header(ge=0, le=2**62)]


def _speaks_tus(tus_resumable: Annotated[str, Header(description=_VERSION)] = "") -> None:
    if tus_resumable != _VERSION:
        raise PreconditionFailed(
            "the request does not speak this version of tus", hint=f"send Tus-Resumable: {_VERSION}"
        )


_TUS = [Depends(_speaks_tus)]


def routes(uploads: Uploads) -> APIRouter:
    router = APIRouter(prefix=_PREFIX, tags=["uploads"])

    @router.options("", status_code=204, response_class=Response)
    async def describe_uploads() -> Response:
        """What of tus is spoken."""
        headers = {
            "Tus-Extension": _EXTENSIONS,
            "Tus-Max-Size": str(uploads.max_bytes),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
        }
        return Response(status_code=204, headers=headers)

    @router.post(
        "",
        status_code=201,
        response_class=Response,
        dependencies=_TUS,
        responses={201: {"headers": {"Location": header("Where its bytes go.", format="uri-reference")}}},
    )
    async def create_upload(upload_length: Count, upload_metadata: Annotated[str, Header()] = "") -> Response:
        """`Upload-Metadata` may name `filename`, `ep_id`, `replace` and `sha256`."""
        row = await uploads.create(_new_upload(upload_length, upload_metadata))
        headers = {"Location": f"{_PREFIX}/{row['upload_id']}"} | _expiry(row)
        return Response(status_code=201, headers=headers)

    @router.head(
        "/{upload_id}", response_class=Response, dependencies=_TUS, responses={200: {"headers": _OFFSET}}
    )
    async def head_upload(upload_id: str) -> Response:
        """How far it has come."""
        row = await uploads.get(upload_id)
        headers = {"Upload-Length": str(row["size_bytes"]), "Cache-Control": "no-store"}
        headers |= {"Upload-Metadata": row["metadata"]} if row["metadata"] else {}
        return Response(headers=headers | _progress(row))

    @router.get("/{upload_id}", response_model=answers.Upload)
    async def get_upload(
        upload_id: str, wait_s: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)] = 0
    ) -> dict[str, Any]:
        """What has become of it; waits so long for an end, once all of it has come."""
        return _shown(await uploads.wait(upload_id, wait_s))

    @router.patch(
        "/{upload_id}",
        status_code=204,
        response_class=Response,
        dependencies=_TUS,
        openapi_extra=_PART_BODY,
        responses={204: {"headers": _OFFSET}},
    )
    async def append_upload(
        upload_id: str, request: Request, upload_offset: Count, upload_checksum: Annotated[str, Header()] = ""
    ) -> Response:
        """What has come is kept, also where the connection breaks before the end."""
        if request.headers.get("content-type", "").strip().lower() != _PART_TYPE:
            raise UnsupportedMediaType(f"a part is sent as {_PART_TYPE}")
        row = await uploads.append(
            upload_id,
            upload_offset,
            _body(request),
            size_bytes=announced_bytes(request.headers.get("content-length", "")),
            checksum=_checksum(upload_checksum) if upload_checksum else None,
        )
        return Response(status_code=204, headers=_progress(row))

    @router.delete("/{upload_id}", status_code=204, response_class=Response, dependencies=_TUS)
    async def delete_upload(upload_id: str) -> Response:
        await uploads.delete(upload_id)
        return Response(status_code=204)

    return router


class TusHeaders:
    """Every answer below the prefix says which version of the protocol it is of, errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                version = _VERSION.encode()
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"tus-resumable", version),
                    (b"tus-version", version),
                ]
            await send(message)

        await self._app(scope, receive, marked)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ConnectionResetError("the caller is gone") from error


def _new_upload(length: int, metadata: str) -> NewUpload:
    given = _metadata(metadata)
    try:
        replace = TypeAdapter(bool).validate_python(given.get("replace", "false"))
    except ValidationError as error:
        raise InvalidRequest("replace is neither true nor false") from error
    return NewUpload(
        size_bytes=length,
        metadata=metadata,
        filename=PurePath(given.get("filename", "")).name or "upload",
        ep_id=given.get("ep_id"),
        replace=replace,
        sha256=given.get("sha256"),
    )


def _metadata(text: str) -> dict[str, str]:
    """Pairs of a key and base64, parted by commas. Raises `InvalidRequest`."""
    if len(text) > _MAX_METADATA or not text.isascii() or not text.isprintable():
        raise InvalidRequest(f"Upload-Metadata is longer than {_MAX_METADATA} characters, or no plain ASCII")
    found = {}
    for pair in filter(None, text.split(",")):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidRequest(f"the value of {key[:80]!r} is no base64 of text") from error
    return found


def _checksum(text: str) -> Checksum:
    algorithm, _, value = text.partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise InvalidRequest(f"no checksum {algorithm[:40]!r}", hint=f"known: {', '.join(CHECKSUM_ALGORITHMS)}")
    try:
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except binascii.Error as error:
        raise InvalidRequest("Upload-Checksum is not base64") from error


def _progress(row: Row) -> dict[str, str]:
    return {"Upload-Offset": str(row["offset_bytes"])} | _expiry(row)


def _expiry(row: Row) -> dict[str, str]:
    expires_at: datetime = row["expires_at"]
    return {"Upload-Expires": format_datetime(expires_at.astimezone(UTC), usegmt=True)}


def _shown(row: Row) -> dict[str, Any]:
    code = row["error_code"]
    return {
        **{name: row[name] for name in _SHOWN},
        "error": None if code is None else {"code": code, "message": row["error_message"]},
        "created_at": as_json(row["created_at"]),
        "expires_at": as_json(row["expires_at"]),
    }
