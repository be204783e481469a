"""What the commonest calls of the REST API cost, with much in PostgreSQL: requests a second, latency, queries.

Tracks and faces stand in Parquet artifacts and not in PostgreSQL; what does stand there is filled up instead:
runs, tasks, attempts, artifacts and events. Queries are counted by PostgreSQL's own log, on the
connections of the API alone. A bare FastAPI echo is asked beside, by the same client over the same server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from services.kit.inference.catalog import Catalog
from services.kit.object_store import ObjectStore
from services.kit.settings import StoreSettings
from services.local.ports import LOOPBACK, choose_ports
from services.local.postgres import EmbeddedPostgres
from services.orchestrator.app import core_of
from services.orchestrator.core import Core
from services.orchestrator.database import Database
from services.orchestrator.feed import JobFeed
from services.orchestrator.http_api import app
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.settings import OrchestratorSettings, PostgresSettings

_BAR_QUERIES = 3
_STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)")
_BESIDE = ("BEGIN", "COMMIT", "ROLLBACK", "")
_CALLS = {
    "get_job": "/v1/jobs/{job}",
    "list_jobs": "/v1/jobs?page_size=20",
    "list_jobs of an episode": "/v1/jobs?ep_id={episode}",
    "list_jobs active": "/v1/jobs?active=true&page_size=20",
    "get_episode": "/v1/episodes/{episode}",
    "list_episodes": "/v1/episodes?page_size=50",
    "list_artifacts": "/v1/episodes/{episode}/artifacts",
    "list_logs": "/v1/jobs/{job}/logs?limit=100",
    "explain_job": "/v1/jobs/{job}/why",
    "list_workers": "/v1/workers",
}
_FILL = (
    "INSERT INTO episodes (episode_uid, ep_id, filename, media_uri, sha256, size_bytes, container) "
    "SELECT 'u'||e, 'e'||lpad(e::text, 6, '0'), 'a.mp4', 'x', md5(e::text), 1, 'mov' "
    "FROM generate_series(1, {episodes}) e",
    "INSERT INTO jobs (job_id, episode_uid, kind, state, profile, requested_device, allow_cpu_fallback, "
    "submitted_by, seq, created_at, started_at, finished_at) SELECT 'j'||lpad(e::text, 6, '0'), 'u'||e, "
    "'pipeline', "
    "'succeeded', 'balanced', 'cpu', false, 'bench', {events}, now() - e * interval '1 minute', now(), now() "
    "FROM generate_series(1, {episodes}) e",
    "INSERT INTO stage_runs (run_id, job_id, episode_uid, stage, position, state, provider, config, models, "
    "algorithm_version, queued_at, started_at, finished_at, marker_written_at) SELECT 'r'||e||'-'||s.n, "
    "'j'||lpad(e::text, 6, '0'), 'u'||e, s.stage, s.n, 'succeeded', 'cpu', '{{}}', '[]', 1, now(), now(), "
    "now(), now() "
    "FROM generate_series(1, {episodes}) e, "
    "(VALUES (0, 'detect_track'), (1, 'faces_embed'), (2, 'cluster')) s (n, stage)",
    "INSERT INTO tasks (task_id, run_id, job_id, kind, ordinal, state, message, max_attempts) "
    "SELECT r.run_id||'-'||o, r.run_id, r.job_id, 'segment', o, 'done', '{{}}', 4 "
    "FROM stage_runs r, generate_series(0, {tasks} - 1) o WHERE r.stage = 'detect_track'",
    "INSERT INTO attempts (attempt_id, task_id, job_id, generation, worker_id, state, closed_at, collected_at) "
    "SELECT 'a'||task_id, task_id, job_id, 1, 'w', 'succeeded', now(), now() FROM tasks",
    "INSERT INTO artifacts (run_id, task_id, attempt_id, kind, uri, sha256, size_bytes, rows) "
    "SELECT run_id, task_id, 'a'||task_id, CASE ordinal WHEN 0 THEN 'tracks' ELSE 'segment_chips' END, 'x', "
    "'x', 1, 1 "
    "FROM tasks",
    "INSERT INTO job_events (job_id, seq, type, stage, payload) SELECT j.job_id, n, 'log', 'detect_track', "
    '\'{{"level": "info", "message": "a line", "is_noisy": false}}\' '
    "FROM jobs j, generate_series(1, {events}) n",
)
_COUNTED = ("episodes", "jobs", "stage_runs", "tasks", "attempts", "artifacts", "job_events")


def fill(dsn: str, episodes: int, rows: int) -> int:
    """Rows in all, by then: three tasks' worth of rows a task, and events for the rest."""
    tasks = max(1, rows // episodes // 10)
    events = max(1, rows // episodes - 3 * tasks - 5)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement.format(episodes=episodes, tasks=tasks, events=events).encode())
        connection.execute("ANALYZE")
        counted = [connection.execute(f"SELECT count(*) FROM {t}".encode()).fetchone() for t in _COUNTED]
    return sum(row[0] for row in counted if row)


def read_core(database: Database, folder: Path) -> Core:
    """What reads ask; nobody works here, so there is no broker."""
    store_url = (folder / "store").as_uri()
    settings = OrchestratorSettings(
        postgres=PostgresSettings(dsn=database.dsn), store=StoreSettings(url=store_url)
    )
    absent = cast(Any, None)
    return core_of(
        settings,
        database,
        ObjectStore(store_url),
        Catalog.load(None),
        erasures=absent,
        feed=JobFeed(database.dsn, on_outbox=lambda: None),
        registry=WorkerRegistry(absent, database),
        readiness=absent,
    )


def echo() -> FastAPI:
    api = FastAPI()

    @api.get("/echo/{text}")
    async def say(text: str) -> dict[str, str]:
        return {"text": text}

    return api


@asynccontextmanager
async def served(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    (port,) = choose_ports(1)
    config = uvicorn.Config(api, host=LOOPBACK, port=port, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no signal for it
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=60, trust_env=False) as client:
        yield client
    server.should_exit = True
    await serving


async def timed(client: httpx.AsyncClient, path: str, count: int, at_once: int) -> dict[str, float]:
    waits: list[float] = []

    async def one_after_another(number: int) -> None:
        for _ in range(number):
            began = time.perf_counter()
            (await client.get(path)).raise_for_status()
            waits.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another(count // at_once) for _ in range(at_once)))
    took_s = time.perf_counter() - began
    waits.sort()
    return {
        "requests_per_s": round(len(waits) / took_s, 1),
        "p50_ms": round(waits[len(waits) // 2], 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)], 2),
    }


async def queries_of(client: httpx.AsyncClient, path: str, log: Path) -> int:
    before = len(await asyncio.to_thread(log.read_bytes))
    (await client.get(path)).raise_for_status()
    said = _STATEMENT.findall((await asyncio.to_thread(log.read_bytes))[before:].decode(errors="replace"))
    return len([text for text in said if text.strip() not in _BESIDE])


async def measure(options: argparse.Namespace, server: EmbeddedPostgres, folder: Path) -> dict[str, Any]:
    database = Database(server.dsn, pool_size=8)
    await database.open()
    rows = await asyncio.to_thread(fill, server.dsn, options.episodes, options.rows)
    logged = Database(server.dsn + "?options=-c%20log_statement%3Dall", pool_size=1)
    await logged.open()
    names = {"job": f"j{options.episodes // 2:06}", "episode": f"e{options.episodes // 2:06}"}
    paths = {name: path.format(**names) for name, path in _CALLS.items()}
    calls: dict[str, Any] = {}
    async with served(echo()) as client:
        bare = await timed(client, "/echo/hello", options.requests, options.at_once)
    async with served(app.build(read_core(database, folder))) as client:
        for name, path in paths.items():
            calls[name] = await timed(client, path, options.requests, options.at_once)
    async with served(app.build(read_core(logged, folder))) as client:
        for name, path in paths.items():
            calls[name]["queries"] = await queries_of(client, path, server.home / "server.log")
    await logged.close()
    await database.close()
    return {
        "episodes": options.episodes,
        "rows": rows,
        "at_once": options.at_once,
        "echo": bare,
        "calls": calls,
        "most_queries": max(call["queries"] for call in calls.values()),
        "bars": {"queries": _BAR_QUERIES},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=400, help="of each call")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="one line (it is always one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenalytics-api-") as name:
        folder = Path(name)
        with EmbeddedPostgres.running(folder / "postgres") as server:
            figures = asyncio.run(measure(options, server, folder))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
