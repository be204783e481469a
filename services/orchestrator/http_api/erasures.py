"""Erasing episodes, and the trash."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from services.orchestrator.erasures import Erasures
from services.orchestrator.http_api.episodes import episode_shown


class ErasureReceipt(BaseModel):
    """`ep_id_hash`: HMAC-SHA256 of the episode's name, which itself is not kept.

    `counts`: what went, by kind of data. `open_attempts`: of workers that have not let go yet.
    `unemptied_streams`: where the broker's files may still hold bytes of messages acknowledged before.
    """

    erasure_id: str
    state: str
    reason: str
    ep_id_hash: str
    counts: dict[str, int]
    open_attempts: int
    unemptied_streams: list[str]
    requested_at: datetime
    settled_at: datetime | None
    done_at: datetime | None


class TrashedEpisode(BaseModel):
    """`purge_at`: when it is erased unless it is restored before; null: when somebody erases it."""

    ep_id: str
    episode_uid: str
    trashed_at: datetime | None
    purge_at: datetime | None


def routes(erasures: Erasures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["erasures"])

    @router.delete("/episodes/{ep_id}", status_code=202, response_model=ErasureReceipt)
    async def erase_episode(ep_id: str, response: Response) -> dict[str, Any]:
        """Everything of the episode goes: for readers at once, from files and streams as the receipt says."""
        receipt = await erasures.erase(ep_id)
        response.headers["Location"] = f"/v1/erasures/{receipt['erasure_id']}"
        return receipt

    @router.get("/erasures/{erasure_id}", response_model=ErasureReceipt)
    async def get_erasure(erasure_id: str) -> dict[str, Any]:
        return await erasures.get(erasure_id)

    @router.post("/episodes/{ep_id}:trash", response_model=TrashedEpisode)
    async def trash_episode(ep_id: str) -> dict[str, Any]:
        """Hides the episode and cancels its jobs. In the trash already: unchanged."""
        return await erasures.trash(ep_id)

    @router.post("/episodes/{ep_id}:restore")
    async def restore_episode(ep_id: str) -> dict[str, Any]:
        return episode_shown(await erasures.restore(ep_id))

    return router
