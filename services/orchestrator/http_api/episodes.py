"""Episodes, their status, artifacts, identities and exports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from services.kit.artifacts import ArtifactKind
from services.kit.errors import InvalidRequest
from services.kit.stages import Stage
from services.orchestrator import exports
from services.orchestrator.database import Row, as_json
from services.orchestrator.episodes import Episodes, Registration
from services.orchestrator.markers import marker_key
from services.orchestrator.records import Records

_EPISODE_FIELDS = (
    "media_removed_at",
    "ep_id",
    "episode_uid",
    "filename",
    "sha256",
    "size_bytes",
    "container",
    "created_at",
    "trashed_at",
    "purge_at",
)


class LocalPath(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: Path
    ep_id: str | None = None
    replace: bool = False


def episode_shown(row: Row) -> dict[str, Any]:
    info = row["media_info"]
    if info is not None:
        info = {**info, "fps": info["fps_num"] / info["fps_den"]}
    return {**{name: as_json(row[name]) for name in _EPISODE_FIELDS}, "media_info": info}


def routes(episodes: Episodes, records: Records) -> APIRouter:
    router = APIRouter(prefix="/v1/episodes", tags=["episodes"])

    @router.post("", status_code=201)
    async def register_episode(
        request: Request,
        response: Response,
        filename: str = "upload",
        ep_id: str | None = None,
        replace: bool = False,
    ) -> dict[str, Any]:
        """The video as the request's body; or, where allowed, JSON that names a path on the server."""
        if request.headers.get("content-type", "").startswith("application/json"):
            done = await _register_path(episodes, await request.body())
        else:
            done = await episodes.register(
                request.stream(),
                filename=Path(filename).name,
                ep_id=ep_id,
                replace=replace,
                size_bytes=_announced_size(request),
            )
        response.status_code = 201 if done.is_new else 200
        return episode_shown(done.episode)

    @router.get("")
    async def list_episodes(
        page_token: str = "",
        page_size: Annotated[int, Query(ge=1, le=500)] = 100,
        show_deleted: bool = False,
    ) -> dict[str, Any]:
        rows = await episodes.list(after=page_token, limit=page_size, show_deleted=show_deleted)
        token = rows[-1]["ep_id"] if len(rows) == page_size else ""
        return {"episodes": [episode_shown(row) for row in rows], "next_page_token": token}

    @router.get("/{ep_id}")
    async def get_episode(ep_id: str, show_deleted: bool = False) -> dict[str, Any]:
        """`show_deleted`: also while it is in the trash."""
        return episode_shown(await episodes.get(ep_id, show_deleted=show_deleted))

    @router.get("/{ep_id}/status")
    async def get_episode_status(ep_id: str) -> dict[str, Any]:
        return await records.status(await episodes.get(ep_id))

    @router.get("/{ep_id}/identities")
    async def get_identities(ep_id: str) -> dict[str, Any]:
        return await records.identities(await episodes.get(ep_id))

    @router.get("/{ep_id}/artifacts")
    async def list_artifacts(ep_id: str) -> dict[str, Any]:
        return {"artifacts": await records.artifacts(await episodes.get(ep_id))}

    @router.get("/{ep_id}/artifacts/{kind}")
    async def get_artifact(ep_id: str, kind: ArtifactKind) -> Response:
        row = await records.file_of(await episodes.get(ep_id), kind)
        headers = {"Content-Length": str(row["size_bytes"]), "ETag": f'"{row["sha256"]}"'}
        content = await records.content(row)
        return StreamingResponse(content, headers=headers, media_type="application/octet-stream")

    @router.get("/{ep_id}/exports")
    async def list_exports(
        ep_id: str, export_format: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl"
    ) -> dict[str, Any]:
        """The files that can be made now; a stage that has not run yet leaves its own out."""
        return {"files": await _export_names(records, await episodes.get(ep_id), export_format)}

    @router.get("/{ep_id}/exports/runs/{stage}.json")
    async def get_marker(ep_id: str, stage: Stage) -> Response:
        episode = await episodes.get(ep_id)
        imported = await records.imported_file(episode, f"{stage}.json")
        if imported is not None:
            return StreamingResponse(await records.content(imported), media_type="application/json")
        return StreamingResponse(
            await records.marker(episode, marker_key(episode["episode_uid"], stage)),
            media_type="application/json",
        )

    @router.get("/{ep_id}/exports/{name}")
    async def get_export(ep_id: str, name: str) -> Response:
        episode = await episodes.get(ep_id)
        imported = await records.imported_file(episode, exports.imported_name(name) or "")
        if imported is not None:
            return await _imported_export(records, imported, name)
        if name in exports.JSON_FILES:
            row = await records.artifact(episode, exports.JSON_FILES[name])
            return StreamingResponse(await records.content(row), media_type="application/json")
        return await _export(records, episode, name)

    return router


async def _register_path(episodes: Episodes, body: bytes) -> Registration:
    try:
        request = LocalPath.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(f"not a request to register a path: {error.errors()[0]['msg']}") from error
    return await episodes.register_path(request.path, ep_id=request.ep_id, replace=request.replace)


def _announced_size(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _needs(name: str) -> set[str]:
    if name in exports.JSON_FILES:
        return {exports.JSON_FILES[name]}
    return set(exports.export(name).needs)


async def _export_names(records: Records, episode: Row, export_format: str) -> list[str]:
    shown = await records.artifacts(episode)
    ours = [row for row in shown if row["source"] == "run"]
    kinds, stages = {row["kind"] for row in ours}, {row["stage"] for row in ours}
    imported = {row["name"] for row in await records.imported_files(episode)}
    names = [
        name
        for name in exports.names(export_format)
        if _needs(name) <= kinds or exports.imported_name(name) in imported
    ]
    return names + [f"runs/{s}.json" for s in Stage if s in stages or f"{s}.json" in imported]


async def _imported_export(records: Records, row: Row, name: str) -> Response:
    """The file as it was imported; as a table where that is asked for."""
    if name == row["name"]:
        media_type = "application/json" if name.endswith(".json") else "application/x-ndjson"
        return StreamingResponse(await records.content(row), media_type=media_type)
    exports.export(name)
    folder = TemporaryDirectory(prefix="screenalytics-export-")
    path = Path(folder.name) / "imported"
    try:
        await run_in_threadpool(records.fetch, row, path)
    except BaseException:
        folder.cleanup()
        raise
    return _rendered(folder, lambda: exports.render_imported_csv(name, path), "text/csv")


def _rendered(
    folder: TemporaryDirectory[str], render: Callable[[], Iterator[bytes]], media_type: str
) -> Response:
    """`folder` lives as long as the answer."""

    async def body() -> AsyncIterator[bytes]:
        with folder:
            async for piece in iterate_in_threadpool(render()):
                yield piece

    return StreamingResponse(body(), media_type=media_type)


async def _export(records: Records, episode: Row, name: str) -> Response:
    """Fetches what the export needs into a folder."""
    rows = {kind: await records.artifact(episode, kind) for kind in exports.export(name).needs}
    folder = TemporaryDirectory(prefix="screenalytics-export-")
    paths = {kind: Path(folder.name) / f"{kind}" for kind in rows}
    try:
        for kind, row in rows.items():
            await run_in_threadpool(records.fetch, row, paths[kind])
        models = await records.model_names(episode)
    except BaseException:
        folder.cleanup()
        raise
    source = exports.ExportSource(
        episode["ep_id"], paths, models.get("detector", ""), models.get("embedder", "")
    )
    media_type = "text/csv" if name.endswith(".csv") else "application/x-ndjson"
    return _rendered(folder, lambda: exports.render(name, source), media_type)
