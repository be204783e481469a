"""Reads the facts of jobs and episodes, and shapes them as the API shows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.kit.artifacts import ArtifactKind
from services.kit.errors import NotFound
from services.kit.inference.catalog import Catalog
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database, Row, as_json
from services.orchestrator.imported_phases import counting_files
from services.orchestrator.job_view import JobFilter, job_shown
from services.orchestrator.lifecycle import TERMINAL
from services.orchestrator.paging import Page, PageRequest, begin_after, page_of
from services.orchestrator.phases import read_phases
from services.orchestrator.status import episode_status

_SEGMENT_KINDS = frozenset(
    {ArtifactKind.SEGMENT_FRAMES, ArtifactKind.SEGMENT_DETECTIONS, ArtifactKind.SEGMENT_CHIPS}
)
_MEASURES = ("first_ts", "last_ts", "screen_time_s", "bridged_s")  # of identities, in seconds
_NO_EXECUTION = {"execution_mode": None, "execution_place": None}


class Records:
    def __init__(self, database: Database, store: ObjectStore, catalog: Catalog) -> None:
        self._database = database
        self._store = store
        self._catalog = catalog

    # -- jobs -----------------------------------------------------------------------------------

    async def job(self, job_id: str) -> dict[str, Any]:
        """Raises `NotFound`."""
        found = await self._database.read("job_with_runs", job_id=job_id)
        if not found:
            raise NotFound(f"no job {job_id!r}")
        return job_shown(found[0])

    async def job_page(self, jobs: JobFilter, page: PageRequest) -> Page[dict[str, Any]]:
        """Newest first. Raises `InvalidRequest`, `InvalidPageToken`."""
        query = {"list": "jobs", **asdict(jobs)}
        after_at, after_id = begin_after(page, query, parts=2) or (None, None)
        rows = await self._database.read(
            "jobs_with_runs", **asdict(jobs), limit=page.limit + 1, after_at=after_at, after_id=after_id
        )
        shown = [job_shown(row) for row in rows]
        return page_of(shown, page, query, lambda job: (job["created_at"], job["job_id"]))

    async def has_ended(self, job_id: str) -> bool:
        """Raises `NotFound`."""
        found = await self._database.read("job_state", job_id=job_id)
        if not found:
            raise NotFound(f"no job {job_id!r}")
        return found[0]["state"] in TERMINAL

    async def dead_letters(self, job_id: str) -> list[dict[str, Any]]:
        """Raises `NotFound`."""
        async with self._database.transaction() as tx:
            jobs, rows = await tx.together(
                ("get_job", {"job_id": job_id}), ("dead_letters_of_job", {"job_id": job_id})
            )
        if not jobs:
            raise NotFound(f"no job {job_id!r}")
        return [{name: as_json(value) for name, value in row.items()} for row in rows]

    async def events(self, job_id: str, *, after: int, limit: int = 500) -> list[Row]:
        return await self._database.read("events_after", job_id=job_id, seq=after, limit=limit)

    async def logs(self, job_id: str, *, after: int, quiet: bool, limit: int) -> list[Row]:
        """Raises `NotFound`."""
        async with self._database.transaction() as tx:
            if await tx.one("get_job", job_id=job_id) is None:
                raise NotFound(f"no job {job_id!r}")
            return await tx.all("logs_after", job_id=job_id, seq=after, quiet=quiet, limit=limit)

    # -- episodes -------------------------------------------------------------------------------

    async def status(self, episode: Row) -> dict[str, Any]:
        async with self._database.transaction() as tx:
            phases = await read_phases(tx, episode, self._catalog)
            execution = await tx.one("last_execution", episode_uid=episode["episode_uid"])
        return {**episode_status(episode, phases), **(execution or _NO_EXECUTION)}

    async def artifacts(self, episode: Row) -> list[dict[str, Any]]:
        """What the newest successful run of each stage has left; of a stage without one, what was imported."""
        ours, imported = await self._current_artifacts(episode), await self.imported_files(episode)
        return [self._artifact_shown(row) for row in [*ours, *imported] if row["kind"] is not None]

    async def artifact(self, episode: Row, kind: ArtifactKind) -> Row:
        """One of ours, in its typed form. Raises `NotFound`."""
        for row in await self._current_artifacts(episode):
            if row["kind"] == kind:
                return row
        raise NotFound(f"episode {episode['ep_id']} has no {kind} yet")

    async def file_of(self, episode: Row, kind: ArtifactKind) -> Row:
        """One of ours, else the imported file of that kind. Raises `NotFound`."""
        imported = (row for row in await self.imported_files(episode) if row["kind"] == kind)
        return next(imported, None) or await self.artifact(episode, kind)

    async def imported_files(self, episode: Row) -> list[Row]:
        """Imported outputs and markers of the stages that have no result of ours."""
        async with self._database.transaction() as tx:
            files = await tx.all("imported_files", episode_uid=episode["episode_uid"])
            runs = await tx.all("current_runs", episode_uid=episode["episode_uid"])
        ours = {run["stage"] for run in runs}
        return [
            {**row, "run_id": row["run_key"] or None, "created_at": row["imported_at"], "source": "imported"}
            for row in counting_files(files)
            if row["stage"] not in ours
        ]

    async def imported_file(self, episode: Row, name: str) -> Row | None:
        return next((row for row in await self.imported_files(episode) if row["name"] == name), None)

    async def identities(self, episode: Row) -> dict[str, Any]:
        """Raises `NotFound` while no clustering has succeeded."""
        imported = await self.imported_file(episode, "identities.json")
        row = imported or await self.artifact(episode, ArtifactKind.IDENTITIES)
        data = json.loads(await asyncio.to_thread(self._store.get_bytes, row["uri"]))
        identities = data["identities"]
        if imported is not None:
            identities = [{"label": None, **_fitting(identity)} for identity in identities]
        return {"ep_id": episode["ep_id"], "identities": identities, "stats": data.get("stats", {})}

    async def model_names(self, episode: Row) -> dict[str, str]:
        """Names of the models of the newest successful runs, by role."""
        async with self._database.transaction() as tx:
            runs = await tx.all("current_runs", episode_uid=episode["episode_uid"])
        return {model["role"]: model["name"] for run in runs for model in run["models"]}

    async def marker(self, episode: Row, key: str) -> AsyncIterator[bytes]:
        """Raises `NotFound` before the first byte."""
        if not await asyncio.to_thread(self._store.exists, key):
            raise NotFound(f"episode {episode['ep_id']} has no such marker yet")
        return self._store.stream(key)

    async def content(self, row: Row) -> AsyncIterator[bytes]:
        """An artifact's bytes. Raises `NotFound` before the first one."""
        if not await asyncio.to_thread(self._store.exists, row["uri"]):
            raise NotFound(f"the file of {row['kind']} is no longer in the store")
        return self._store.stream(row["uri"])

    def fetch(self, row: Row, target: Path) -> None:
        self._store.fetch(row["uri"], target, sha256=row["sha256"])

    async def _current_artifacts(self, episode: Row) -> list[Row]:
        async with self._database.transaction() as tx:
            runs = await tx.all("current_runs", episode_uid=episode["episode_uid"])
            rows = await tx.all("artifacts_of_runs", run_ids=[run["run_id"] for run in runs])
        kept = (row for row in rows if row["removed_at"] is None and row["kind"] not in _SEGMENT_KINDS)
        return [{**row, "source": "run"} for row in kept]

    def _artifact_shown(self, row: Row) -> dict[str, Any]:
        path = self._store.local_path(row["uri"])
        shown = ("kind", "stage", "uri", "sha256", "size_bytes", "rows", "run_id", "created_at", "source")
        location = str(path) if path else f"{self._store.url.rstrip('/')}/{row['uri']}"
        return {**{name: as_json(row[name]) for name in shown}, "location": location}


def _fitting(identity: dict[str, Any]) -> dict[str, Any]:
    """An imported identity; what the import did not look at may be named as ours and be something else."""
    misfits = {name for name in _MEASURES if not isinstance(identity.get(name), int | float)}
    if not isinstance(identity.get("rep_thumb_rel_path"), str):
        misfits.add("rep_thumb_rel_path")
    return {name: value for name, value in identity.items() if name not in misfits}
