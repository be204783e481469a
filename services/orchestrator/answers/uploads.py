"""Uploads that come in parts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from services.orchestrator.answers.shared import Time


class UploadError(BaseModel):
    code: str
    message: str


class Upload(BaseModel):
    """`ep_id` and `episode_uid` are of the episode once it is `registered`; `error` says why it was not."""

    upload_id: str
    state: Literal["receiving", "complete", "registered", "refused"]
    size_bytes: int
    offset_bytes: int
    filename: str
    ep_id: str | None
    episode_uid: str | None
    error: UploadError | None
    created_at: Time
    expires_at: Time
