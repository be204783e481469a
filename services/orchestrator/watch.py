"""A job's story as it unfolds, free of any transport: what server-sent events and `WatchJob` tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Any

from services.kit.errors import NotFound
from services.orchestrator.database import Row
from services.orchestrator.feed import JobFeed
from services.orchestrator.lifecycle import TERMINAL
from services.orchestrator.records import Records

MAX_SEQ = 2**63 - 1
DEFAULT_WAIT_S, MAX_WAIT_S = 30.0, 60.0
_LOOK_AGAIN_S = 0.1
_QUIET_FOR_S = 10.0
_PROGRESS_FIELDS = ("phase", "done", "total", "unit", "fraction", "rate", "fps", "eta_s", "at")


class EventKind(StrEnum):
    STATE = "state"
    LOG = "log"
    PROGRESS = "progress"  # a snapshot, without a `seq`
    END = "end"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """`seq` of state changes and log lines; nobody else has one."""

    kind: EventKind
    data: dict[str, Any]
    seq: int | None = None


class JobWatch:
    def __init__(self, records: Records, feed: JobFeed) -> None:
        self._records = records
        self._feed = feed

    async def wait(self, job_id: str, timeout_s: float) -> dict[str, Any]:
        """The job once it has ended, or as it is after `timeout_s`, at most `MAX_WAIT_S`. Raises `NotFound`."""
        give_up_at = monotonic() + min(timeout_s, MAX_WAIT_S)
        with self._feed.watching(job_id) as woken:
            while not await self._records.has_ended(job_id):
                left_s = give_up_at - monotonic()
                if left_s <= 0:
                    break
                await _pause(woken, min(left_s, _QUIET_FOR_S))
                woken.clear()
                await asyncio.sleep(min(left_s, _LOOK_AGAIN_S))  # a talkative job wakes for every line
        return await self._records.job(job_id)

    async def events(self, job_id: str, *, after: int) -> AsyncGenerator[JobEvent | None, None]:
        """Events with a `seq` above `after`, progress between them, and `end` when the job has ended.

        None now and then while there is nothing to tell. Raises `NotFound` at the first step; a job that is
        erased, or put into the trash, while it is watched ends as `gone`.
        """
        shown: dict[str, Any] = {}
        await self._records.has_ended(job_id)
        with self._feed.watching(job_id) as woken:
            while True:
                woken.clear()
                # The job is read before its events: once it has ended, no event can follow those read now.
                try:
                    job = await self._records.job(job_id)
                except NotFound:
                    yield JobEvent(EventKind.END, {"state": "gone"})
                    return
                rows = await self._records.events(job_id, after=after)
                for row in rows:
                    after = row["seq"]
                    yield JobEvent(EventKind(row["type"]), event_shown(row), after)
                for data in _fresh_progress(job, shown):
                    yield JobEvent(EventKind.PROGRESS, data)
                if job["state"] in TERMINAL and not rows:
                    yield JobEvent(EventKind.END, {"state": job["state"]})
                    return
                if not rows:
                    await _pause(woken, _QUIET_FOR_S)
                    yield None


def event_shown(row: Row) -> dict[str, Any]:
    return {"seq": row["seq"], "at": row["at"].isoformat(), "stage": row["stage"], **row["payload"]}


def _fresh_progress(job: dict[str, Any], shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Snapshots that differ from those already sent; `shown` is brought up to date."""
    fresh = []
    for run in job["stages"]:
        snapshot = run["progress"]
        if snapshot is not None and shown.get(run["run_id"]) != snapshot and run["state"] == "running":
            shown[run["run_id"]] = snapshot
            fresh.append({"stage": run["stage"], **{k: snapshot[k] for k in _PROGRESS_FIELDS}})
    return fresh


async def _pause(woken: asyncio.Event, longest_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await woken.wait()
