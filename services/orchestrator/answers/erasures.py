"""Receipts of erasures, and episodes in the trash."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from services.orchestrator.answers.shared import Time
from services.orchestrator.erasures import ErasureReason


class ErasureReceipt(BaseModel):
    """`ep_id_hash`: HMAC-SHA256 of the episode's name, which itself is not kept.

    `counts`: what went, by kind of data. `open_attempts`: of workers that have not let go yet.
    `unemptied_streams`: where the broker's files may still hold bytes of messages acknowledged before.
    """

    erasure_id: str
    state: Literal["pending", "done"]
    reason: ErasureReason
    ep_id_hash: str
    counts: dict[str, int]
    open_attempts: int
    unemptied_streams: list[str]
    requested_at: Time
    settled_at: Time | None
    done_at: Time | None


class TrashedEpisode(BaseModel):
    """`purge_at`: when it is erased unless it is restored before; null: when somebody erases it."""

    ep_id: str
    episode_uid: str
    trashed_at: Time
    purge_at: Time | None
