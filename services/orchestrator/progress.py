"""Progress of tasks: snapshots from workers, smoothed into a rate and an ETA. The arithmetic is pure."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from services.kit import bus
from services.kit.codec import decode
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.messages import Progress
from services.kit.stages import TaskKind
from services.orchestrator.database import Database, Row
from services.orchestrator.feed import JobFeed
from services.orchestrator.taskgraph import run_fraction

log = logging.getLogger(__name__)

_SMOOTHING_S = 5.0  # time constant of the moving average of the rate
_WRITE_INTERVAL_S = 0.5
_REMEMBERED_TASKS = 10_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`rate` in units per second, `eta_s` for the task's current phase; None while unknown."""

    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float | None
    eta_s: float | None
    at: str


def snapshot(progress: Progress, before: Snapshot | None) -> Snapshot:
    """The next snapshot of the same attempt; `done` never falls within a phase."""
    same = before if before is not None and before.phase == progress.phase else None
    done = max(progress.done, same.done if same else 0.0)
    fraction = max(done / progress.total if progress.total > 0 else 0.0, before.fraction if before else 0.0)
    rate = _smoothed_rate(same, done, progress.at)
    left = max(progress.total - done, 0.0)
    return Snapshot(
        phase=progress.phase,
        done=done,
        total=progress.total,
        unit=progress.unit,
        fraction=min(fraction, 1.0),
        rate=rate,
        eta_s=left / rate if rate else None,
        at=progress.at,
    )


def _smoothed_rate(before: Snapshot | None, done: float, at: str) -> float | None:
    if before is None:
        return None
    seconds = (datetime.fromisoformat(at) - datetime.fromisoformat(before.at)).total_seconds()
    if seconds <= 0:
        return before.rate
    rate = (done - before.done) / seconds
    weight = min(1.0, seconds / _SMOOTHING_S)
    return rate if before.rate is None else before.rate + weight * (rate - before.rate)


def run_progress(tasks: list[Row]) -> dict[str, Any] | None:
    """A stage run's progress from its tasks' rows; the phase shown is that of the task in work."""
    moving = [t for t in tasks if t["progress"] is not None]
    if not moving:
        return None
    facts = [(TaskKind(t["kind"]), t["state"] == "done", _fraction(t)) for t in tasks]
    current = next((t for t in moving if t["state"] == "live"), moving[-1])
    return {**current["progress"], "fraction": run_fraction(facts)}


def _fraction(task: Row) -> float:
    return float(task["progress"]["fraction"]) if task["progress"] else 0.0


class ProgressBoard:
    """Keeps the newest snapshot of each task in Postgres, so that a reload loses nothing."""

    def __init__(self, nc: Client, database: Database, feed: JobFeed) -> None:
        self._nc = nc
        self._database = database
        self._feed = feed
        self._newest: dict[str, tuple[str, Snapshot, float]] = {}  # task -> (attempt, snapshot, written at)

    async def start(self) -> None:
        await self._nc.subscribe(bus.ALL_PROGRESS, cb=self._on_progress)

    async def _on_progress(self, message: Msg) -> None:
        try:
            await self.record(decode(Progress, message.data))
        except (InvalidRequest, SystemUnavailable) as error:
            log.debug("progress lost: %s", error)

    async def record(self, progress: Progress) -> None:
        attempt_id, before, written_at = self._newest.get(progress.task_id, ("", None, 0.0))
        before = before if attempt_id == progress.attempt_id else None
        new = snapshot(progress, before)
        is_turn = before is None or before.phase != new.phase or new.done >= new.total
        due = is_turn or monotonic() - written_at >= _WRITE_INTERVAL_S
        self._newest.pop(progress.task_id, None)
        self._newest[progress.task_id] = (progress.attempt_id, new, monotonic() if due else written_at)
        if len(self._newest) > _REMEMBERED_TASKS:
            del self._newest[next(iter(self._newest))]  # the one that was silent for longest
        if due:
            await self._write(progress, new)
            self._feed.notify(progress.job_id)

    async def _write(self, progress: Progress, new: Snapshot) -> None:
        async with self._database.transaction() as tx:
            await tx.run(
                "set_progress",
                task_id=progress.task_id,
                generation=progress.generation,
                progress=asdict(new),
                fraction=new.fraction,
            )
