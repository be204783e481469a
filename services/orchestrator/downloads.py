"""Files to send: artifacts as they stand in the store, exports made when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.kit.artifacts import ArtifactKind
from services.kit.stages import Stage
from services.orchestrator import exports
from services.orchestrator.database import Row
from services.orchestrator.markers import marker_key
from services.orchestrator.records import Records

_JSON, _JSON_LINES, _CSV, _BYTES = (
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/octet-stream",
)


@dataclass(frozen=True, slots=True)
class Download:
    """`size_bytes` and `sha256` are those of the whole file, where it stands in the store as it is sent."""

    chunks: AsyncIterator[bytes]
    media_type: str
    size_bytes: int | None = None
    sha256: str | None = None


class Downloads:
    """What raises `NotFound` does so before the first byte."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def artifact(self, episode: Row, kind: ArtifactKind) -> Download:
        return await self._stored(await self._records.file_of(episode, kind), _BYTES)

    async def marker(self, episode: Row, stage: Stage) -> Download:
        imported = await self._records.imported_file(episode, f"{stage}.json")
        if imported is not None:
            return await self._stored(imported, _JSON)
        chunks = await self._records.marker(episode, marker_key(episode["episode_uid"], stage))
        return Download(chunks, _JSON)

    async def export_names(self, episode: Row, export_format: str) -> list[str]:
        """The files that can be made now; a stage that has not run yet leaves its own out."""
        shown = await self._records.artifacts(episode)
        ours = [row for row in shown if row["source"] == "run"]
        kinds, stages = {row["kind"] for row in ours}, {row["stage"] for row in ours}
        imported = {row["name"] for row in await self._records.imported_files(episode)}
        names = [
            name
            for name in exports.names(export_format)
            if _needs(name) <= kinds or exports.imported_name(name) in imported
        ]
        return names + [f"runs/{s}.json" for s in Stage if s in stages or f"{s}.json" in imported]

    async def export(self, episode: Row, name: str) -> Download:
        imported = await self._records.imported_file(episode, exports.imported_name(name) or "")
        if imported is not None:
            return await self._imported(imported, name)
        if name in exports.JSON_FILES:
            return await self._stored(await self._records.artifact(episode, exports.JSON_FILES[name]), _JSON)
        return await self._made(episode, name)

    async def _stored(self, row: Row, media_type: str) -> Download:
        content = await self._records.content(row)
        return Download(content, media_type, size_bytes=row["size_bytes"], sha256=row["sha256"])

    async def _imported(self, row: Row, name: str) -> Download:
        """The file as it was imported; as a table where that is asked for."""
        if name == row["name"]:
            return await self._stored(row, _JSON if name.endswith(".json") else _JSON_LINES)
        exports.export(name)
        folder = TemporaryDirectory(prefix="screenalytics-export-")
        path = Path(folder.name) / "imported"
        try:
            await asyncio.to_thread(self._records.fetch, row, path)
        except BaseException:
            folder.cleanup()
            raise
        return Download(_rendered(folder, lambda: exports.render_imported_csv(name, path)), _CSV)

    async def _made(self, episode: Row, name: str) -> Download:
        """Fetches what the export needs into a folder."""
        needs = exports.export(name).needs
        rows = {kind: await self._records.artifact(episode, kind) for kind in needs}
        folder = TemporaryDirectory(prefix="screenalytics-export-")
        paths = {kind: Path(folder.name) / f"{kind}" for kind in rows}
        try:
            for kind, row in rows.items():
                await asyncio.to_thread(self._records.fetch, row, paths[kind])
            models = await self._records.model_names(episode)
        except BaseException:
            folder.cleanup()
            raise
        source = exports.ExportSource(
            episode["ep_id"], paths, models.get("detector", ""), models.get("embedder", "")
        )
        media_type = _CSV if name.endswith(".csv") else _JSON_LINES
        return Download(_rendered(folder, lambda: exports.render(name, source)), media_type)


def _needs(name: str) -> set[str]:
    if name in exports.JSON_FILES:
        return {exports.JSON_FILES[name]}
    return set(exports.export(name).needs)


async def _rendered(
    folder: TemporaryDirectory[str], render: Callable[[], Iterator[bytes]]
) -> AsyncIterator[bytes]:
    """`folder` lives as long as the answer."""
    with folder:
        pieces = render()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
