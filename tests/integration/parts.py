"""The orchestrator's real parts, wired as its composition root does, and a worker moved by hand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from nats.aio.client import Client
from psycopg.rows import dict_row
from ulid import ULID

from services.kit.artifacts import ArtifactKind, file_name
from services.kit.codec import from_dict
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.messages import ArtifactRef, ClaimReply, ClaimRequest, Segment, Task, TaskOutcome, TaskResult
from services.kit.object_store import ObjectStore
from services.kit.settings import StoreSettings
from services.kit.stages import STAGES, Stage
from services.orchestrator.claims import ClaimDesk
from services.orchestrator.database import Database
from services.orchestrator.episodes import Episodes
from services.orchestrator.eraser import Eraser
from services.orchestrator.erasures import Erasures
from services.orchestrator.job_request import JobKind, JobRequest
from services.orchestrator.jobs import Jobs
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.logbook import Logbook
from services.orchestrator.markers import MarkerWriter
from services.orchestrator.outbox import OutboxRelay
from services.orchestrator.reaper import Reaper, Silencer
from services.orchestrator.records import Records
from services.orchestrator.results import ResultConsumer, Verdict
from services.orchestrator.settings import OrchestratorSettings, PostgresSettings, RoutesSettings
from services.orchestrator.successors import Successors

# The first bytes of an MP4 are all that the orchestrator ever looks at.
VIDEO = b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 40
SEGMENTS = (Segment(0, None, 100), Segment(1, 100, 200), Segment(2, 200, None))
COUNTS = {"detections": 1, "faces": 1, "identities": 1}
ROUTES = tuple(f"{stage}/cpu" for stage in STAGES)

Rows = list[dict[str, Any]]


async def until(
    condition: Callable[[], Awaitable[Any]], *, within_s: float = 20.0, every_s: float = 0.02
) -> Any:
    """The first true value of `condition`; fails past the deadline."""
    async with asyncio.timeout(within_s):
        while not (value := await condition()):  # noqa: ASYNC110 - it lives in other processes
            await asyncio.sleep(every_s)
    return value


def settings_for(dsn: str, store: Path, **groups: Any) -> OrchestratorSettings:
    plain: dict[str, Any] = {
        "postgres": PostgresSettings(dsn=dsn),
        "store": StoreSettings(url=store.as_uri()),
        "routes": RoutesSettings(declared=ROUTES, grace_s=0),
    }
    return OrchestratorSettings(**(plain | groups))


@dataclass(frozen=True)
class Parts:
    nc: Client
    database: Database
    store: ObjectStore
    settings: OrchestratorSettings
    jobs: Jobs
    successors: Successors
    desk: ClaimDesk
    results: ResultConsumer
    relay: OutboxRelay
    reaper: Reaper
    silencer: Silencer
    records: Records
    episodes: Episodes
    logbook: Logbook
    markers: MarkerWriter
    erasures: Erasures
    eraser: Eraser

    @classmethod
    def of(cls, database: Database, nc: Client, store_dir: Path, **groups: Any) -> Parts:
        settings = settings_for(database.dsn, store_dir, **groups)
        store = ObjectStore(settings.store.url)
        return cls(
            nc=nc,
            database=database,
            store=store,
            settings=settings,
            jobs=(jobs := Jobs(database, Catalog.load(None), settings, store)),
            successors=Successors(database, jobs),
            desk=ClaimDesk(nc, database),
            results=ResultConsumer(nc, database, settings.jobs, store),
            relay=OutboxRelay(nc, database),
            reaper=Reaper(nc, database, settings.jobs),
            silencer=Silencer(nc, database),
            records=Records(database, store, Catalog.load(None)),
            episodes=Episodes(database, store, settings.media, settings.disk),
            logbook=Logbook(nc, database),
            markers=MarkerWriter(database, store),
            erasures=Erasures(
                database, KeyedHash(database, "erasures", settings.erasure.hash_key), settings.retention
            ),
            eraser=Eraser(nc, database, store, settings.erasure),
        )

    def limited(self, **groups: Any) -> Parts:
        """The same parts under other settings."""
        assert self.store.local_path("") is not None
        return Parts.of(self.database, self.nc, Path(str(self.store.local_path(""))), **groups)

    # -- what stands in Postgres ----------------------------------------------------------------

    async def rows(self, sql: str, *parameters: Any) -> Rows:
        async with await psycopg.AsyncConnection.connect(
            self.database.dsn, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(sql.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def states(self, job_id: str) -> tuple[str, list[str]]:
        """(state of the job, states of its stage runs in order)."""
        job = await self.records.job(job_id)
        return job["state"], [run["state"] for run in job["stages"]]

    async def tasks(self, job_id: str, state: str = "live") -> list[Task]:
        rows = await self.rows(
            "SELECT message FROM tasks WHERE job_id = %s AND state = %s ORDER BY kind, ordinal", job_id, state
        )
        return [from_dict(Task, row["message"]) for row in rows]

    async def task(self, job_id: str) -> Task:
        (only,) = await self.tasks(job_id)
        return only

    # -- a user ---------------------------------------------------------------------------------

    async def upload(self, ep_id: str = "show", content: bytes = VIDEO, *, replace: bool = False) -> str:
        """The new upload's `episode_uid`."""
        done = await self.episodes.register(_pieces(content), filename="show.mp4", ep_id=ep_id, replace=replace)
        return str(done.episode["episode_uid"])

    async def submit(self, kind: JobKind = JobKind.PIPELINE, ep_id: str = "show", **fields: Any) -> str:
        request = JobRequest(ep_id=ep_id, kind=kind, device=Provider.CPU)
        return await self.jobs.submit(replace(request, **fields), submitted_by="a test")

    async def submitted(self, kind: JobKind = JobKind.PIPELINE, **fields: Any) -> str:
        """A job on a new episode."""
        await self.upload()
        return await self.submit(kind, **fields)

    # -- a worker, moved by hand ----------------------------------------------------------------

    async def claim(self, task: Task, attempt_id: str | None = None) -> tuple[str, ClaimReply]:
        attempt_id = attempt_id or str(ULID())
        return attempt_id, await self.desk.claim(ClaimRequest(task.task_id, attempt_id, "a worker"))

    async def report(self, task: Task, attempt_id: str, outcome: TaskOutcome, **fields: Any) -> Verdict:
        return await self.results.apply(result_of(task, attempt_id, outcome, **fields))

    async def do(self, task: Task, **fields: Any) -> Verdict:
        """One attempt that succeeds."""
        attempt_id, _ = await self.claim(task)
        return await self.report(task, attempt_id, TaskOutcome.SUCCEEDED, **(success_of(task) | fields))

    async def finish(self, job_id: str, **fields: Any) -> None:
        """Works on every live task until there is none."""
        while tasks := await self.tasks(job_id):
            for task in tasks:
                await self.do(task, **fields)

    async def store_files(self) -> None:
        """Puts a file of the recorded size behind every artifact's row."""
        for row in await self.rows("SELECT uri, size_bytes FROM artifacts"):
            self.store.put_bytes(row["uri"], bytes(row["size_bytes"]))

    async def finished(
        self, kind: JobKind = JobKind.PIPELINE, *, result: dict[str, Any] | None = None, **fields: Any
    ) -> str:
        """A job that has ended on an episode that is there, with files behind its rows."""
        job_id = await self.submit(kind, **fields)
        await self.finish(job_id, **(result or {}))
        await self.store_files()
        return job_id


def result_of(task: Task, attempt_id: str, outcome: TaskOutcome, **fields: Any) -> TaskResult:
    return TaskResult(task.job_id, task.run_id, task.task_id, attempt_id, "a worker", outcome, **fields)


def success_of(task: Task) -> dict[str, Any]:
    """What a worker leaves that has found one of everything."""
    if task.kind == "plan":
        return {"segments": SEGMENTS}
    if task.kind == "segment":
        return {"outputs": refs(task, [ArtifactKind.SEGMENT_DETECTIONS])}
    return {"outputs": refs(task, STAGES[Stage(task.stage)].outputs), "counts": COUNTS}


def refs(task: Task, kinds: Sequence[ArtifactKind]) -> tuple[ArtifactRef, ...]:
    """Digests follow from the task, so that another run's artifacts differ."""
    return tuple(
        ArtifactRef(
            kind,
            f"{task.episode_uid}/{task.task_id}/{file_name(kind)}",
            hashlib.sha256(f"{task.task_id}{kind}".encode()).hexdigest(),
            10,
            1,
        )
        for kind in kinds
    )


async def _pieces(content: bytes) -> Any:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]
