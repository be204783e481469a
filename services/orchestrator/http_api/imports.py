"""Files of the older system, one call each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from services.orchestrator import answers
from services.orchestrator.episode_view import import_shown
from services.orchestrator.episodes import Episodes
from services.orchestrator.http_api.description import takes_bytes
from services.orchestrator.imports import ImportOutcome, Imports


def routes(episodes: Episodes, imports: Imports) -> APIRouter:
    router = APIRouter(prefix="/v1/episodes/{ep_id}/imports", tags=["imports"])

    @router.get("", response_model=answers.ImportedFileList)
    async def list_imports(ep_id: str) -> dict[str, Any]:
        return {"files": [import_shown(row) for row in await imports.list(await episodes.get(ep_id))]}

    @router.put(
        "/{name}",
        response_model=answers.ImportDone,
        responses={201: {"model": answers.ImportDone, "description": "The file was not there before."}},
        openapi_extra=takes_bytes("The file, as it is."),
    )
    async def put_import(
        ep_id: str, name: str, request: Request, response: Response, modified_at: datetime, run_id: str = ""
    ) -> dict[str, Any]:
        """The file as the request's body. The same file again changes nothing."""
        done = await imports.put(
            request.stream(), ep_id=ep_id, name=name, run_key=run_id, modified_at=modified_at
        )
        response.status_code = 201 if done.outcome is ImportOutcome.IMPORTED else 200
        return {**import_shown(done.row), "outcome": done.outcome}

    return router
