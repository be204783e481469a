"""Writes `runs/<stage>.json` beside the artifacts of each finished stage run.

A marker is derived from Postgres alone, so one that could not be written is written later.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from services.kit.errors import SystemUnavailable
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database, Row, as_json
from services.orchestrator.older_names import phase_status

log = logging.getLogger(__name__)

_POLL_S = 0.5
_RETRY_S = 2.0
MARKER_VERSION = 2


def marker_key(episode_uid: str, stage: str) -> str:
    return f"{episode_uid}/runs/{stage}.json"


def marker(run: Row) -> dict[str, Any]:
    """The marker's fields; see section "Marker" of docs/artifacts.md.

    `made_from` and `made_until` are the times of the work itself, also where a later run reused its result.
    """
    executions = run["executions"]
    return {
        "phase": run["stage"],
        "status": phase_status(run["state"]),
        "version": MARKER_VERSION,
        "run_id": run["run_id"],
        "job_id": run["job_id"],
        "ep_id": run["ep_id"],
        "episode_uid": run["episode_uid"],
        "requested_device": run["requested_device"],
        "resolved_device": run["resolved_device"],
        "execution_mode": run["execution_mode"],
        "execution_place": run["execution_place"],
        "started_at": as_json(run["made_from"]),
        "finished_at": as_json(run["made_until"]),
        "reused": run["reused_run_id"] is not None,
        "reused_run_id": run["reused_run_id"],
        "zero_rows": run["zero_rows"],
        **run["counts"],
        "config": run["config"],
        "models": run["models"],
        "algorithm_version": run["algorithm_version"],
        "fingerprint": run["fingerprint"],
        "placement": _placements(executions),
        "thread_cap": max((e.get("thread_cap", 0) for e in executions), default=0),
        "threads": max((e.get("threads", 0) for e in executions), default=0),
        "cpu_seconds": round(sum(e.get("cpu_seconds", 0.0) for e in executions), 3),
        "warnings": run["warnings"],
    }


def _placements(executions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every distinct placement over the run's tasks."""
    found: list[dict[str, Any]] = []
    for execution in executions:
        found += [m for m in execution.get("models", []) if m not in found]
    return found


class MarkerWriter:
    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def run(self) -> None:
        while True:
            try:
                await self.write_missing()
            except SystemUnavailable as error:
                log.warning("markers wait: %s", error)
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(_POLL_S)

    async def write_missing(self) -> None:
        for run in await self._database.read("runs_without_marker"):
            data = json.dumps(marker(run), indent=2).encode()
            await asyncio.to_thread(self._store.put_bytes, marker_key(run["episode_uid"], run["stage"]), data)
            async with self._database.transaction() as tx:
                await tx.run("marker_written", run_id=run["run_id"])
