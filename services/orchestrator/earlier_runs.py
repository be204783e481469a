"""What earlier runs of an episode have left that a new run may use: an equal result, or part of the work.

Equal fingerprints mean equal results, so both are found by fingerprint alone; and a row is no file, so both
count only while the files are in the store at their size. A store that does not answer has nothing to offer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ulid import ULID

from services.kit.codec import from_dict
from services.kit.errors import SystemUnavailable
from services.kit.messages import Segment
from services.kit.object_store import ObjectStore
from services.kit.stages import STAGES, Stage, TaskKind
from services.orchestrator.database import Row, Transaction

log = logging.getLogger(__name__)

# The newest equal run nearly always has its files; a few more are worth a look, all of them are not.
_LOOKED_AT = 3


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run that ended early: which of its tasks are done, and the segments that are not."""

    run: Row
    done: tuple[str, ...]
    open_segments: tuple[Segment, ...]


class EarlierRuns:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def equal_result(self, tx: Transaction, run: Row) -> Row | None:
        """The newest finished run with the fingerprint of `run` whose files are all there."""
        rows = await tx.all(
            "equal_runs",
            episode_uid=run["episode_uid"],
            stage=run["stage"],
            fingerprint=run["fingerprint"],
            limit=_LOOKED_AT,
        )
        for row in rows:
            files = [f for f in await tx.all("artifacts_of_run", run_id=row["run_id"]) if _is_final(f)]
            is_whole = {f["kind"] for f in files} >= set(STAGES[Stage(run["stage"])].outputs)
            if is_whole and await self._are_there(files):
                return row
        return None

    async def begun(self, tx: Transaction, run: Row, job_id: str) -> BegunRun | None:
        """What the run of `job_id` with the fingerprint of `run` has done of its segments."""
        source = await tx.one(
            "run_by_fingerprint", job_id=job_id, stage=run["stage"], fingerprint=run["fingerprint"]
        )
        if source is None:
            return None
        tasks = await tx.all("tasks_of_run", run_id=source["run_id"])
        files = await tx.all("artifacts_of_run", run_id=source["run_id"])
        plan = [t for t in tasks if t["kind"] == TaskKind.PLAN and t["state"] == "done"]
        done, open_segments = [t["task_id"] for t in plan], []
        for task in tasks:
            if task["kind"] != TaskKind.SEGMENT:
                continue
            left = [f for f in files if f["task_id"] == task["task_id"]]
            if task["state"] == "done" and left and await self._are_there(left):
                done.append(task["task_id"])
            else:
                open_segments.append(from_dict(Segment, task["message"]["segment"]))
        return BegunRun(source, tuple(done), tuple(open_segments)) if plan and len(done) > 1 else None

    async def _are_there(self, files: Sequence[Row]) -> bool:
        def look() -> bool:
            return all(self._store.size_bytes(file["uri"]) == file["size_bytes"] for file in files)

        try:
            return await asyncio.to_thread(look)
        except SystemUnavailable as error:
            log.warning("nothing is reused: %s", error)
            return False


async def take_over_result(tx: Transaction, run: Row, source: Row) -> None:
    """The finished run's last task, artifacts and facts, as those of `run`."""
    tasks = await tx.all("tasks_of_run", run_id=source["run_id"])
    await _adopt(tx, run, [t["task_id"] for t in tasks if _is_final(t)])
    await tx.run("take_over_outcome", run_id=run["run_id"], source_run_id=source["run_id"])


async def take_over_tasks(tx: Transaction, run: Row, begun: BegunRun) -> None:
    """The done tasks, as those of `run`, with where and how they ran."""
    await _adopt(tx, run, begun.done)
    await tx.run("take_over_executions", run_id=run["run_id"], source_run_id=begun.run["run_id"])


async def _adopt(tx: Transaction, run: Row, task_ids: Sequence[str]) -> None:
    pairs = {
        "source_task_ids": list(task_ids),
        "task_ids": [str(ULID()) for _ in task_ids],
        "run_id": run["run_id"],
    }
    await tx.run("adopt_tasks", job_id=run["job_id"], **pairs)
    await tx.run("adopt_artifacts", **pairs)


def _is_final(row: Row) -> bool:
    """Whether a task, or an artifact's task, is the one that makes a run's results."""
    return row.get("task_kind", row["kind"]) in {TaskKind.STITCH, TaskKind.WHOLE}
