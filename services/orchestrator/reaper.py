"""Puts right what events alone would leave wrong: streams, lost messages, tasks and runs past their time."""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from prometheus_client import Counter

from services.kit import bus
from services.kit.codec import encode, from_dict
from services.kit.errors import SystemUnavailable
from services.kit.inference.placement import Provider
from services.kit.messages import Control, Task
from services.kit.stages import STAGES
from services.orchestrator.database import Database, Row
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.outbox import publish_once, wait_for_wake
from services.orchestrator.settings import JobsSettings
from services.orchestrator.transitions import fail_job

log = logging.getLogger(__name__)

_YOUNG_S = 5.0
_SILENCE_EVERY_S = 1.0

REPUBLISHED = Counter("screenalytics_republished_tasks", "Live tasks whose message was gone.", ["stage"])


class Reaper:
    """Every pass is idempotent, so that several replicas may reap at once."""

    def __init__(self, nc: Client, database: Database, limits: JobsSettings) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._limits = limits

    async def run(self) -> None:
        while True:
            try:
                await self.reap()
            except (SystemUnavailable, NatsError) as error:
                log.debug("reaper: %s", error)
            await asyncio.sleep(self._limits.reaper_interval_s)

    async def reap(self) -> None:
        await self.ensure_streams()
        await self._republish()
        await self._fail_overdue()
        async with self._database.transaction() as tx:
            await tx.run("prune_outbox")
            await tx.run("prune_workers")
            await tx.run("abandon_attempts", worker_expiry_s=bus.WORKER_EXPIRY_S)

    async def ensure_streams(self) -> None:
        """JetStream may have lost everything: make what is not there, keep what is."""
        for stream in bus.streams():
            try:
                await self._js.stream_info(str(stream.name))
            except NotFoundError:
                log.info("making stream %s", stream.name)
                await self._js.add_stream(stream)
        for stage in STAGES:
            for provider in Provider:
                await self._js.add_consumer(bus.TASKS_STREAM, bus.route_consumer_config(stage, provider))
        for name, stream_name, subject in (
            (bus.RESULTS_CONSUMER, bus.RESULTS_STREAM, bus.ALL_RESULTS),
            (bus.LOGS_CONSUMER, bus.LOGS_STREAM, bus.ALL_LOGS),
        ):
            await self._js.add_consumer(stream_name, bus.orchestrator_consumer_config(name, subject))

    async def _republish(self) -> None:
        """Publishes live tasks whose message is gone, as after a loss of the broker's files.

        The order of looking matters. A task that was published before the first look and has no message at
        the second was acknowledged, so its result was stored: at the third look it either waits there, or has
        been applied, and the last look finds the task no longer live, or published anew.
        """
        live = {row["task_id"]: row["job_id"] for row in await self._live_tasks(None)}
        if not live:
            return
        there = {subject.rpartition(".")[2] for subject in await self._subjects(bus.TASKS_STREAM)}
        answered = {subject.rpartition(".")[2] for subject in await self._subjects(bus.RESULTS_STREAM)}
        lost = [task for task, job in live.items() if task not in there and job not in answered]
        if not lost:
            return
        lost = [row["task_id"] for row in await self._live_tasks(lost)]
        for row in await self._database.read("task_messages", task_ids=lost):
            task = from_dict(Task, row["message"])
            if await publish_once(self._js, bus.task_subject(task), encode(task)):
                log.warning("published task %s again: its message was gone", task.task_id)
                REPUBLISHED.labels(task.stage).inc()

    async def _live_tasks(self, task_ids: list[str] | None) -> list[Row]:
        return await self._database.read("live_tasks", task_ids=task_ids, older_than_s=_YOUNG_S)

    async def _subjects(self, stream: str) -> set[str]:
        info = await self._js.stream_info(stream, subjects_filter=">")
        return set(info.state.subjects or ())

    async def _fail_overdue(self) -> None:
        overdue = await self._database.read("overdue_tasks")
        unserved = await self._database.read(
            "overdue_queued_runs",
            queue_timeout_s=self._limits.queue_timeout_s,
            worker_expiry_s=bus.WORKER_EXPIRY_S,
        )
        for row in overdue:
            reason = f"a task ran longer than {self._limits.max_runtime_s:.0f} s"
            await self._fail(row["job_id"], row["run_id"], "stage-failed", reason)
        for row in unserved:
            reason = (
                f"no worker served {row['stage']} on {row['provider']} "
                f"within {self._limits.queue_timeout_s:.0f} s"
            )
            await self._fail(row["job_id"], row["run_id"], "accelerator-unavailable", reason)

    async def _fail(self, job_id: str, run_id: str, code: str, reason: str) -> None:
        async with self._database.transaction() as tx:
            job = await tx.one("lock_job", job_id=job_id)
            run = await tx.one("lock_run", run_id=run_id)
            if job and run and State(job["state"]) not in TERMINAL and State(run["state"]) not in TERMINAL:
                await fail_job(tx, job, run, code, reason)


class Silencer:
    """Tells workers, at once and then each second until they have let go, that a job no longer counts.

    A worker that was out of reach hears it as soon as its heartbeats are heard again.
    """

    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                for row in await self._database.read("jobs_to_silence", worker_expiry_s=bus.WORKER_EXPIRY_S):
                    await self.silence(row["job_id"])
            except (SystemUnavailable, NatsError) as error:
                log.debug("silencer: %s", error)
            await wait_for_wake(self._wake, _SILENCE_EVERY_S)

    async def silence(self, job_id: str) -> None:
        await self._nc.publish(bus.control_subject(job_id), encode(Control(job_id, "cancel")))
        await self._js.purge_stream(bus.TASKS_STREAM, subject=bus.tasks_of_job(job_id))
