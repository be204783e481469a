"""Episodes, their status, artifacts, identities and exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.kit.artifacts import ArtifactKind
from services.kit.stages import Stage
from services.orchestrator import answers
from services.orchestrator.downloads import Download, Downloads
from services.orchestrator.episode_edit import EpisodeEdit
from services.orchestrator.episode_view import episode_shown
from services.orchestrator.episodes import Episodes
from services.orchestrator.http_api.conditions import (
    NOT_MODIFIED,
    TAGGED,
    IfNoneMatch,
    Seen,
    Unchanged,
    quoted,
    tagged,
)
from services.orchestrator.http_api.description import bytes_of, header
from services.orchestrator.http_api.pages import Pages
from services.orchestrator.http_api.registration import REGISTRATION_BODY, registered
from services.orchestrator.records import Records
from services.orchestrator.sources import Sources

_TEXT = {"schema": {"type": "string"}}
_DIGEST = {"ETag": header("The file's sha256, in quotes.")}
_ARTIFACT = {
    **bytes_of("application/octet-stream", "The file, as it stands in the store.", headers=_DIGEST),
    304: {"description": "What the caller has is this file.", "headers": _DIGEST},
}
_EXPORT_FORMS = {"application/x-ndjson": _TEXT, "text/csv": _TEXT, "application/json": {"schema": {}}}


def routes(episodes: Episodes, sources: Sources, records: Records, downloads: Downloads) -> APIRouter:
    router = APIRouter(prefix="/v1/episodes", tags=["episodes"])

    @router.post(
        "",
        status_code=201,
        response_model=answers.Episode,
        responses={200: {"model": answers.Episode, "description": "The same content was there already."}},
        openapi_extra=REGISTRATION_BODY,
    )
    async def register_episode(
        request: Request,
        response: Response,
        filename: str = "upload",
        ep_id: str | None = None,
        replace: bool = False,
    ) -> dict[str, Any]:
        """The video as the body or in a form; or JSON that says where it is: a source, or a path on the server.

        `Content-Digest` and `Repr-Digest` (RFC 9530, sha-256) are checked where they are sent.
        """
        done = await registered(request, episodes, sources, filename=filename, ep_id=ep_id, replace=replace)
        response.status_code = 201 if done.is_new else 200
        return episode_shown(done.episode)

    @router.get("", response_model=answers.EpisodeList)
    async def list_episodes(page: Pages, show_deleted: bool = False) -> dict[str, Any]:
        """By name, page by page; `show_deleted`: those in the trash too."""
        found = await episodes.page(page, show_deleted=show_deleted)
        return {
            "episodes": [episode_shown(row) for row in found.items],
            "next_page_token": found.next_page_token,
        }

    @router.get("/{ep_id}", response_model=answers.Episode, responses=NOT_MODIFIED)
    async def get_episode(ep_id: str, response: Response, seen: IfNoneMatch, show_deleted: bool = False) -> Any:
        """`show_deleted`: also while it is in the trash."""
        return seen.answer(episode_shown(await episodes.get(ep_id, show_deleted=show_deleted)), response)

    @router.patch("/{ep_id}", response_model=answers.Episode, responses={200: {"headers": TAGGED}})
    async def update_episode(
        ep_id: str, edit: EpisodeEdit, response: Response, if_match: Unchanged, update_mask: str = ""
    ) -> dict[str, Any]:
        """Fields in `update_mask`, a comma list; without it those that the body has. 412 past `If-Match`."""
        row = await episodes.edit(ep_id, edit, update_mask=update_mask, if_match=if_match)
        return tagged(episode_shown(row), response)

    @router.get("/{ep_id}/status", response_model=answers.EpisodeStatus)
    async def get_episode_status(ep_id: str) -> dict[str, Any]:
        return await records.status(await episodes.get(ep_id))

    @router.get("/{ep_id}/identities", response_model=answers.IdentityList, response_model_exclude_unset=True)
    async def get_identities(ep_id: str) -> dict[str, Any]:
        return await records.identities(await episodes.get(ep_id))

    @router.get("/{ep_id}/artifacts", response_model=answers.ArtifactList)
    async def list_artifacts(ep_id: str) -> dict[str, Any]:
        return {"artifacts": await records.artifacts(await episodes.get(ep_id))}

    @router.get(
        "/{ep_id}/artifacts/{kind}",
        response_class=Response,
        responses=_ARTIFACT,
    )
    async def get_artifact(ep_id: str, kind: ArtifactKind, seen: IfNoneMatch) -> Response:
        return _sent(await downloads.artifact(await episodes.get(ep_id), kind), seen)

    @router.get("/{ep_id}/exports", response_model=answers.ExportList)
    async def list_exports(
        ep_id: str, export_format: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl"
    ) -> dict[str, Any]:
        """The files that can be made now; a stage that has not run yet leaves its own out."""
        return {"files": await downloads.export_names(await episodes.get(ep_id), export_format)}

    @router.get("/{ep_id}/exports/runs/{stage}.json", responses={200: {"model": answers.Marker}})
    async def get_marker(ep_id: str, stage: Stage) -> Response:
        """The marker of a finished stage."""
        return _sent(await downloads.marker(await episodes.get(ep_id), stage))

    @router.get(
        "/{ep_id}/exports/{name}",
        response_class=Response,
        responses={200: {"description": "The file.", "content": _EXPORT_FORMS}},
    )
    async def get_export(ep_id: str, name: str) -> Response:
        return _sent(await downloads.export(await episodes.get(ep_id), name))

    return router


def _sent(download: Download, seen: Seen | None = None) -> Response:
    headers = {} if download.sha256 is None else {"ETag": quoted(download.sha256)}
    if seen is not None and download.sha256 is not None and seen.has(download.sha256):
        return Response(status_code=304, headers=headers)
    headers |= {} if download.size_bytes is None else {"Content-Length": str(download.size_bytes)}
    return StreamingResponse(download.chunks, headers=headers, media_type=download.media_type)
