"""Progress of tasks: snapshots from workers, smoothed into a rate and an ETA. The arithmetic is pure.

What is kept is enough to go on from, so that a restart takes nothing back and knows the rate at once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic

from nats.aio.client import Client
from nats.aio.msg import Msg

from services.kit import bus
from services.kit.codec import decode
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.messages import Progress
from services.orchestrator.database import Database
from services.orchestrator.feed import JobFeed

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


@dataclass(frozen=True, slots=True)
class _Known:
    generation: int
    snapshot: Snapshot | None
    written_at: float = float("-inf")  # by the monotonic clock of this process


class ProgressBoard:
    """Keeps the newest snapshot of each task in Postgres, so that a reload loses nothing."""

    def __init__(self, nc: Client, database: Database, feed: JobFeed) -> None:
        self._nc = nc
        self._database = database
        self._feed = feed
        self._known: dict[str, _Known] = {}  # by task, the one that was silent for longest first
        self._unwritten: dict[str, tuple[Progress, Snapshot]] = {}

    async def run(self) -> None:
        """Writes the last snapshot of those who then fall silent."""
        while True:
            await asyncio.sleep(_WRITE_INTERVAL_S)
            for task_id in [*self._unwritten]:
                try:
                    await self._write(task_id)
                except SystemUnavailable as error:
                    log.debug("progress waits: %s", error)
                    break
                except InvalidRequest as error:
                    log.debug("progress lost: %s", error)

    async def start(self) -> None:
        await self._nc.subscribe(bus.ALL_PROGRESS, cb=self._on_progress)

    async def _on_progress(self, message: Msg) -> None:
        try:
            await self.record(decode(Progress, message.data))
        except (InvalidRequest, SystemUnavailable) as error:
            log.debug("progress lost: %s", error)

    async def record(self, progress: Progress) -> None:
        known = self._known.get(progress.task_id)
        if known is None or known.generation < progress.generation:
            known = await self._stored(progress)
        if known.generation > progress.generation:
            return
        new = snapshot(progress, known.snapshot)
        is_turn = known.snapshot is None or known.snapshot.phase != new.phase or new.done >= new.total
        is_due = is_turn or monotonic() - known.written_at >= _WRITE_INTERVAL_S
        written_at = monotonic() if is_due else known.written_at
        self._remember(progress.task_id, _Known(progress.generation, new, written_at))
        self._unwritten[progress.task_id] = (progress, new)
        if is_due:
            await self._write(progress.task_id)

    def _remember(self, task_id: str, known: _Known) -> None:
        self._known.pop(task_id, None)
        self._known[task_id] = known
        if len(self._known) > _REMEMBERED_TASKS:
            del self._known[next(iter(self._known))]

    async def _stored(self, progress: Progress) -> _Known:
        """What another replica, or this one before a restart, has kept of the same generation."""
        for row in await self._database.read("get_progress", task_id=progress.task_id):
            if row["generation"] > progress.generation:
                return _Known(row["generation"], None)
            if row["generation"] == progress.generation and row["progress"] is not None:
                return _Known(row["generation"], Snapshot(**row["progress"]))
        return _Known(progress.generation, None)

    async def _write(self, task_id: str) -> None:
        unwritten = self._unwritten.pop(task_id, None)
        if unwritten is None:
            return
        progress, new = unwritten
        try:
            async with self._database.transaction() as tx:
                await tx.run(
                    "set_progress",
                    task_id=task_id,
                    generation=progress.generation,
                    progress=asdict(new),
                    fraction=new.fraction,
                )
        except SystemUnavailable:
            self._unwritten.setdefault(task_id, unwritten)
            raise
        self._feed.notify(progress.job_id)
