"""Erasing episodes, and the trash."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from services.orchestrator import answers
from services.orchestrator.episode_view import episode_shown
from services.orchestrator.erasures import Erasures
from services.orchestrator.http_api.conditions import TAGGED, tagged
from services.orchestrator.http_api.description import Described, header

_RECEIPT: Described = {202: {"headers": {"Location": header("Where the receipt is.", format="uri-reference")}}}


def routes(erasures: Erasures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["erasures"])

    @router.delete(
        "/episodes/{ep_id}", status_code=202, response_model=answers.ErasureReceipt, responses=_RECEIPT
    )
    async def erase_episode(ep_id: str, response: Response) -> dict[str, Any]:
        """Everything of the episode goes: for readers at once, from files and streams as the receipt says."""
        receipt = await erasures.erase(ep_id)
        response.headers["Location"] = f"/v1/erasures/{receipt['erasure_id']}"
        return receipt

    @router.get("/erasures/{erasure_id}", response_model=answers.ErasureReceipt)
    async def get_erasure(erasure_id: str) -> dict[str, Any]:
        return await erasures.get(erasure_id)

    @router.post("/episodes/{ep_id}:trash", response_model=answers.TrashedEpisode)
    async def trash_episode(ep_id: str) -> dict[str, Any]:
        """Hides the episode and cancels its jobs. In the trash already: unchanged."""
        return await erasures.trash(ep_id)

    @router.post(
        "/episodes/{ep_id}:restore", response_model=answers.Episode, responses={200: {"headers": TAGGED}}
    )
    async def restore_episode(ep_id: str, response: Response) -> dict[str, Any]:
        return tagged(episode_shown(await erasures.restore(ep_id)), response)

    return router
