"""Reads the facts of jobs and episodes, and shapes them as the API shows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from services.kit import bus
from services.kit.artifacts import ArtifactKind
from services.kit.codec import from_dict
from services.kit.errors import NotFound
from services.kit.messages import ModelRef
from services.kit.object_store import ObjectStore
from services.kit.stages import STAGE_ORDER, STAGES, Stage
from services.orchestrator.database import Database, Row, Transaction, as_json
from services.orchestrator.fingerprint import fingerprint
from services.orchestrator.job_view import job_shown
from services.orchestrator.profiles import affecting_output
from services.orchestrator.status import PhaseFacts, episode_status
from services.orchestrator.transitions import inputs_for

_SEGMENT_KINDS = frozenset(
    {ArtifactKind.SEGMENT_FRAMES, ArtifactKind.SEGMENT_DETECTIONS, ArtifactKind.SEGMENT_CHIPS}
)


class Records:
    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    # -- jobs -----------------------------------------------------------------------------------

    async def job(self, job_id: str) -> dict[str, Any]:
        """Raises `NotFound`."""
        found = await self._jobs(job_id=job_id, ep_id=None, stage=None, active=False, limit=1)
        if not found:
            raise NotFound(f"no job {job_id!r}")
        return found[0]

    async def jobs(
        self, *, ep_id: str | None, stage: str | None, active: bool, limit: int
    ) -> list[dict[str, Any]]:
        return await self._jobs(job_id=None, ep_id=ep_id, stage=stage, active=active, limit=limit)

    async def _jobs(
        self, *, job_id: str | None, ep_id: str | None, stage: str | None, active: bool, limit: int
    ) -> list[dict[str, Any]]:
        rows = await self._database.read(
            "jobs_with_runs",
            job_id=job_id,
            ep_id=ep_id,
            stage=stage,
            active=active,
            limit=limit,
            worker_expiry_s=bus.WORKER_EXPIRY_S,
        )
        return [job_shown(row) for row in rows]

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
        uid = episode["episode_uid"]
        async with self._database.transaction() as tx:
            latest = {r["stage"]: r for r in await tx.all("latest_runs", episode_uid=uid)}
            current = {r["stage"]: r for r in await tx.all("current_runs", episode_uid=uid)}
            phases = {
                stage: PhaseFacts(
                    latest.get(stage),
                    current.get(stage),
                    await _expected(tx, episode, stage, current.get(stage)),
                )
                for stage in STAGE_ORDER
            }
            job_ids = {r["job_id"] for r in latest.values()}
            jobs = [await tx.one("get_job", job_id=job_id) for job_id in job_ids]
        return episode_status(episode, phases, {j["job_id"]: j["requested_device"] for j in jobs if j})

    async def artifacts(self, episode: Row) -> list[dict[str, Any]]:
        """What the newest successful run of each stage has left."""
        return [self._artifact_shown(row) for row in await self._current_artifacts(episode)]

    async def artifact(self, episode: Row, kind: ArtifactKind) -> Row:
        """Raises `NotFound`."""
        for row in await self._current_artifacts(episode):
            if row["kind"] == kind:
                return row
        raise NotFound(f"episode {episode['ep_id']} has no {kind} yet")

    async def identities(self, episode: Row) -> dict[str, Any]:
        """Raises `NotFound` while no clustering has succeeded."""
        row = await self.artifact(episode, ArtifactKind.IDENTITIES)
        data = json.loads(await asyncio.to_thread(self._store.get_bytes, row["uri"]))
        return {"ep_id": episode["ep_id"], "identities": data["identities"], "stats": data["stats"]}

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
        return [row for row in rows if row["kind"] not in _SEGMENT_KINDS]

    def _artifact_shown(self, row: Row) -> dict[str, Any]:
        path = self._store.local_path(row["uri"])
        shown = ("kind", "stage", "uri", "sha256", "size_bytes", "rows", "run_id", "created_at")
        location = str(path) if path else f"{self._store.url.rstrip('/')}/{row['uri']}"
        return {**{name: as_json(row[name]) for name in shown}, "location": location}


async def _expected(tx: Transaction, episode: Row, stage: Stage, run: Row | None) -> str | None:
    """The fingerprint that `run` would have, were it made from what is current."""
    if run is None:
        return None
    inputs, _ = await inputs_for(tx, episode["episode_uid"], stage)
    return fingerprint(
        media_sha256=episode["sha256"],
        inputs=inputs,
        config=affecting_output(stage, run["config"]),
        models=[from_dict(ModelRef, m) for m in run["models"]],
        algorithm_version=STAGES[stage].algorithm_version,
    )
