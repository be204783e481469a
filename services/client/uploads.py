"""Sending a video in parts, by tus 1.0.0: a broken connection costs one part at most."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from services.client.errors import ApiError, UnexpectedAnswer
from services.client.transport import Answer, Call, OnSent, Transport

_TUS = {"Tus-Resumable": "1.0.0"}
_PART_BYTES = 8 << 20
_TRIES_WITHOUT_PROGRESS = 10
_WAIT_S = 20
_OUT_OF_STEP = frozenset({409, 460})  # another offset than ours; a part that was damaged on its way


class ResumableUpload:
    """One video. Raises `ApiError`, `ApiUnavailable`, `UnexpectedAnswer`, and `OSError` of the file."""

    def __init__(self, transport: Transport, *, ready_within_s: float, on_sent: OnSent | None = None) -> None:
        self._transport = transport
        self._ready_within_s = ready_within_s
        self._on_sent = on_sent

    def send(self, video: Path, metadata: Mapping[str, str]) -> str:
        """The `ep_id` that the video was registered under."""
        with video.open("rb") as file:
            size_bytes = video.stat().st_size
            where = self._create(size_bytes, metadata)
            self._send_parts(file, where, size_bytes)
        return self._registered(where)

    def _create(self, size_bytes: int, metadata: Mapping[str, str]) -> str:
        pairs = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = _TUS | {"Upload-Length": str(size_bytes), "Upload-Metadata": pairs}
        answer = self._transport.call(Call("POST", "/v1/uploads", headers=headers))
        answer.require_success()
        return str(answer.response.headers["Location"])

    def _send_parts(self, file: BinaryIO, where: str, size_bytes: int) -> None:
        offset, tries_left = 0, _TRIES_WITHOUT_PROGRESS
        while offset < size_bytes:
            file.seek(offset)
            part = file.read(_PART_BYTES)
            if not part:
                raise OSError(f"the file ends at {offset} of {size_bytes} bytes: it was cut while it was sent")
            answer = self._send_part(where, offset, part)
            is_in_step = answer.response.status_code not in _OUT_OF_STEP
            if is_in_step or tries_left == 0:
                answer.require_success()
            reached = _offset(answer if is_in_step else self._transport.call(Call("HEAD", where, headers=_TUS)))
            tries_left = _TRIES_WITHOUT_PROGRESS if reached > offset else tries_left - 1
            offset = reached
            if self._on_sent is not None:
                self._on_sent(offset, size_bytes)

    def _send_part(self, where: str, offset: int, part: bytes) -> Answer:
        """Sent again after a lost answer, a part that was kept is out of step, and not kept twice."""
        headers = _TUS | {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Upload-Checksum": f"sha256 {b64encode(hashlib.sha256(part).digest()).decode()}",
        }
        return self._transport.call(Call("PATCH", where, content=part, headers=headers))

    def _registered(self, where: str) -> str:
        deadline = time.monotonic() + self._ready_within_s
        while True:
            params = {"wait_s": str(_WAIT_S)}
            upload = self._transport.call(
                Call("GET", where, params=params, answer_within_s=_WAIT_S + 10)
            ).json()
            match upload:
                case {"state": "registered", "ep_id": str(ep_id)}:
                    return ep_id
                case {"state": "refused", "error": dict(error)}:
                    raise _refusal(error)
            if time.monotonic() > deadline:
                raise UnexpectedAnswer(f"the upload was not registered within {self._ready_within_s:.0f} s")


def _offset(answer: Answer) -> int:
    answer.require_success()
    text = answer.response.headers.get("Upload-Offset", "")
    if not text.isdecimal():
        raise UnexpectedAnswer(f"{answer.response.request.url} does not say how far the upload has come")
    return int(text)


def _refusal(error: Mapping[str, Any]) -> ApiError:
    detail = str(error.get("message", ""))
    return ApiError(str(error.get("code", "")), title="", detail=detail, hint="", status=422, extras={})
