"""What a system has to show for itself once all is quiet: nothing lost, nothing twice, nothing left over."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chaos.handler import COUNT, TASKS_OF_STAGE
from services.kit.object_store import ObjectStore
from services.orchestrator.collector import ArtifactCollector
from services.orchestrator.database import Database
from services.orchestrator.settings import JobsSettings

Rows = list[dict[str, Any]]

# Each query names effects that happened more than once.
_DUPLICATES = {
    "accepted twice": """
        SELECT task_id FROM attempts WHERE state = 'succeeded' GROUP BY task_id HAVING count(*) > 1""",
    "task made twice": """
        SELECT run_id FROM tasks GROUP BY run_id, kind, ordinal HAVING count(*) > 1""",
    "artifact of another attempt than the accepted one": """
        SELECT f.task_id FROM artifacts f JOIN attempts a USING (attempt_id) WHERE a.state <> 'succeeded'""",
    "ended twice": """
        SELECT job_id FROM job_events
        WHERE type = 'state' AND payload ->> 'state' IN ('succeeded', 'failed', 'cancelled')
        GROUP BY job_id, coalesce(stage, '') HAVING count(*) > 1""",
    "began twice": """
        SELECT job_id FROM job_events WHERE type = 'state' AND payload ->> 'state' = 'queued'
        GROUP BY job_id, coalesce(stage, '') HAVING count(*) > 1""",
    "log line kept twice": """
        SELECT job_id || ' ' || jsonb_agg(payload)::text FROM job_events WHERE type = 'log'
        GROUP BY job_id, payload ->> 'logged_at', payload ->> 'message' HAVING count(*) > 1""",
}


async def rows(dsn: str, query: str, *parameters: Any) -> Rows:
    """Asked until Postgres answers: it may be on its way back."""
    give_up_at = time.monotonic() + 60
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=dict_row
            ) as connection:
                cursor = await connection.execute(query.encode(), parameters or None)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.1)


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float = 0.2) -> bool:
    give_up_at = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(every_s)
    return True


async def unfinished_jobs(dsn: str) -> int:
    found = await rows(dsn, "SELECT count(*) AS n FROM jobs WHERE state IN ('waiting', 'queued', 'running')")
    return int(found[0]["n"])


async def lost_jobs(dsn: str, expected: int) -> list[str]:
    """Jobs that did not succeed with every task taken in exactly once, those that are not there at all too."""
    found = await rows(
        dsn,
        f"""SELECT j.job_id, j.state, j.error_message, sum((r.counts ->> '{COUNT}')::int) AS tasks,
                   bool_and(r.state = 'succeeded') AS is_whole
            FROM jobs j JOIN stage_runs r USING (job_id) GROUP BY j.job_id""",
    )
    whole = sum(TASKS_OF_STAGE.values())
    bad = [
        f"{r['job_id']}: {r['state']}, {r['tasks']} tasks, {r['error_message']}"
        for r in found
        if r["state"] != "succeeded" or not r["is_whole"] or r["tasks"] != whole
    ]
    return bad + ["never made"] * (expected - len(found))


async def duplicates(dsn: str) -> list[str]:
    found = []
    for name, query in _DUPLICATES.items():
        found += [f"{name}: {next(iter(row.values()))}" for row in await rows(dsn, query)]
    return found


async def unsent_outbox(dsn: str) -> int:
    return int((await rows(dsn, "SELECT count(*) AS n FROM outbox WHERE sent_at IS NULL"))[0]["n"])


async def fenced(dsn: str) -> int:
    return int((await rows(dsn, "SELECT count(*) AS n FROM attempts WHERE state = 'fenced'"))[0]["n"])


async def orphan_files(dsn: str, store_dir: Path) -> list[str]:
    """Files of attempts that no artifact row names, once the collector has been at it without an age."""
    database = Database(dsn, pool_size=2)
    await database.open()
    try:
        collector = ArtifactCollector(
            database, ObjectStore(store_dir.as_uri()), JobsSettings(collect_after_s=0)
        )
        while await collector.collect():
            pass
    finally:
        await database.close()
    attempts = {row["attempt_id"] for row in await rows(dsn, "SELECT attempt_id FROM attempts")}
    named = {row["uri"] for row in await rows(dsn, "SELECT uri FROM artifacts")}
    return [key for key in _files(store_dir) if key not in named and key.split("/")[1] in attempts]


def _files(folder: Path) -> list[str]:
    """By their path below `folder`, half-written ones too."""
    return [path.relative_to(folder).as_posix() for path in folder.glob("*/**/*") if path.is_file()]


@dataclass(frozen=True)
class Execution:
    at: float
    pid: int
    event: str
    ep_id: str
    task_id: str
    attempt_id: str


def executions(journal: Path) -> list[Execution]:
    if not journal.exists():
        return []
    return [Execution(**json.loads(line)) for line in journal.read_text().splitlines()]


async def recoveries(dsn: str, journal: Path, kills: list[tuple[float, int]]) -> list[float]:
    """For each worker killed at (time, pid) in the middle of a task: seconds until its task ran on."""
    starts = [e for e in executions(journal) if e.event == "start"]
    attempts = await rows(
        dsn,
        """SELECT a.attempt_id, a.task_id, a.state, extract(epoch FROM a.created_at)::float AS at,
                  extract(epoch FROM t.finished_at)::float AS done_at
           FROM attempts a JOIN tasks t USING (task_id) ORDER BY a.generation""",
    )
    by_id = {a["attempt_id"]: a for a in attempts}
    found = []
    for killed_at, pid in kills:
        before = [e for e in starts if e.pid == pid and e.at < killed_at]
        attempt = by_id.get(before[-1].attempt_id) if before else None
        if attempt is None or (attempt["done_at"] or killed_at) < killed_at:
            continue
        again = [a["at"] for a in attempts if a["task_id"] == attempt["task_id"] and a["at"] > killed_at]
        found.append(min([*again, attempt["done_at"] or float("inf")]) - killed_at)
    return sorted(found)


def percentile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
