"""Whatever happens in whatever order, the engine on real Postgres does what the model of a job says."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.kit.bus_connection import connect
from services.kit.errors import Conflict
from services.kit.messages import Task, TaskOutcome
from services.local.nats import EmbeddedNats
from services.orchestrator.database import Database
from services.orchestrator.job_request import JobKind
from services.orchestrator.settings import JobsSettings
from tests.integration.orchestrator.job_model import ACTIVE, MAX_ATTEMPTS, NEEDS, STAGES, ModelJob
from tests.integration.parts import Parts, success_of
from tests.sizes import sized

pytestmark = pytest.mark.timeout(sized(300, 3_600))

T = TypeVar("T")

_EPISODES = itertools.count()
_PICK = st.integers(min_value=0, max_value=10_000)
_ROWS = """
SELECT t.message ->> 'stage' AS stage, t.kind, t.ordinal, t.state, t.attempts, t.generation,
       (SELECT count(*) FROM outbox o WHERE split_part(o.subject, '.', 6) = t.task_id) AS published
FROM tasks t WHERE t.job_id = %s
"""


class JobMachine(RuleBasedStateMachine):
    """The engine beside the model; every rule does the same to both and compares what they answer."""

    parts: Parts
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.ep_id = f"show-{next(_EPISODES)}"
        self.jobs: dict[str, ModelJob] = {}
        self.done: set[str] = set()
        self.names = itertools.count()
        self.tasks: list[tuple[str, Task]] = []
        self._do(self.parts.upload(self.ep_id))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(kind=st.sampled_from(list(JobKind)))
    def submit(self, kind: JobKind) -> None:
        stages = STAGES if kind is JobKind.PIPELINE else (str(kind),)
        holders = {
            job_id
            for job_id, job in self.jobs.items()
            if any(job.runs.get(stage) in ACTIVE for stage in stages)
        }
        may_run = not holders and self.done >= set(NEEDS[stages[0]])
        answer = self._do(self._submitted(kind))
        assert isinstance(answer, str) == may_run
        if isinstance(answer, str):
            self.jobs[answer] = ModelJob(stages)
        elif self.done >= set(NEEDS[stages[0]]):
            assert answer.extras["job_id"] in holders

    async def _submitted(self, kind: JobKind) -> str | Conflict:
        try:
            return await self.parts.submit(kind, self.ep_id, force=True)
        except Conflict as refusal:
            return refusal

    @precondition(lambda self: self.tasks)
    @rule(pick=_PICK)
    def claim(self, pick: int) -> None:
        job_id, task = self.tasks[-1 - pick % len(self.tasks)]
        self._claim(job_id, task, f"{self.ep_id}-{next(self.names)}")

    def _claim(self, job_id: str, task: Task, attempt: str) -> None:
        expected = self.jobs[job_id].claim((task.stage, task.kind, task.ordinal), attempt)
        _, reply = self._do(self.parts.claim(task, attempt))
        assert (reply.decision, reply.generation) == expected

    def _attempt(self, pick: int) -> tuple[str, str, Task]:
        """Most often a recent one."""
        known = [(job_id, attempt) for job_id, job in self.jobs.items() for attempt in job.attempts]
        job_id, attempt = known[-1 - pick % len(known)]
        name = self.jobs[job_id].attempts[attempt][0]
        (task,) = [t for j, t in self.tasks if j == job_id and (t.stage, t.kind, t.ordinal) == name]
        return job_id, attempt, task

    @precondition(lambda self: any(job.attempts for job in self.jobs.values()))
    @rule(pick=_PICK)
    def claim_again(self, pick: int) -> None:
        job_id, attempt, task = self._attempt(pick)
        self._claim(job_id, task, attempt)

    @precondition(lambda self: any(job.attempts for job in self.jobs.values()))
    @rule(pick=_PICK, outcome=st.sampled_from([TaskOutcome.SUCCEEDED] * 5 + list(TaskOutcome)))
    def report(self, pick: int, outcome: TaskOutcome) -> None:
        job_id, attempt, task = self._attempt(pick)
        fields: dict[str, Any] = {"error_code": "stage-failed", "error_message": "it broke"}
        if outcome is TaskOutcome.SUCCEEDED:
            fields = success_of(task)
        expected = self.jobs[job_id].result(attempt, outcome)
        assert self._do(self.parts.report(task, attempt, outcome, **fields)) == expected

    @precondition(lambda self: any(job.state in ACTIVE for job in self.jobs.values()))
    @rule(pick=_PICK)
    def go_on(self, pick: int) -> None:
        """One live task is done, so that long jobs come to their later stages too."""
        live = [
            (job_id, task)
            for job_id, task in self.tasks
            if self.jobs[job_id].tasks[task.stage, task.kind, task.ordinal].state == "live"
        ]
        job_id, task = live[pick % len(live)]
        attempt = f"{self.ep_id}-{next(self.names)}"
        self._claim(job_id, task, attempt)
        if attempt in self.jobs[job_id].attempts:
            expected = self.jobs[job_id].result(attempt, "succeeded")
            verdict = self._do(self.parts.report(task, attempt, TaskOutcome.SUCCEEDED, **success_of(task)))
            assert verdict == expected

    @precondition(lambda self: self.jobs)
    @rule(pick=_PICK)
    def cancel(self, pick: int) -> None:
        if pick % 5:
            return  # now and then is enough
        job_id = list(self.jobs)[-1 - pick % len(self.jobs)]
        self.jobs[job_id].cancel()
        self._do(self.parts.jobs.cancel(job_id))

    @rule(pick=_PICK)
    def reap(self, pick: int) -> None:
        if pick % 5 == 0:
            self._do(self.parts.reaper.reap())

    @invariant()
    def the_engine_is_as_the_model_says(self) -> None:
        self.tasks = []
        for job_id, model in self.jobs.items():
            assert self._do(self._shown(job_id)) == model.shown()
            self.done |= {stage for stage, state in model.runs.items() if state == "succeeded"}
            for state in ("live", "done", "dead", "cancelled"):
                self.tasks += [(job_id, task) for task in self._do(self.parts.tasks(job_id, state))]

    async def _shown(self, job_id: str) -> Any:
        job = await self.parts.records.job(job_id)
        rows = await self.parts.rows(_ROWS, job_id)
        states = await self.parts.rows("SELECT state FROM attempts WHERE job_id = %s", job_id)
        tasks = {
            (r["stage"], r["kind"], r["ordinal"]): (r["state"], r["attempts"], r["generation"], r["published"])
            for r in rows
        }
        runs = {run["stage"]: run["state"] for run in job["stages"]}
        return job["state"], runs, tasks, Counter(row["state"] for row in states)


def test_the_engine_does_what_the_model_of_a_job_says(
    dsn: str, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    async def opened() -> tuple[Database, Any, Parts]:
        database, nc = Database(dsn, pool_size=4), await connect(nats_server.url, name="test")
        await database.open()
        parts = Parts.of(database, nc, tmp_path / "store", jobs=JobsSettings(max_attempts=MAX_ATTEMPTS))
        for stream in await nc.jetstream().streams_info():
            await nc.jetstream().delete_stream(str(stream.config.name))
        await parts.reaper.ensure_streams()
        return database, nc, parts

    with asyncio.Runner() as runner:
        database, nc, parts = runner.run(opened())
        machine = type("RealJobMachine", (JobMachine,), {"parts": parts, "loop": runner.get_loop()})
        chosen = settings(
            max_examples=sized(6, 300),
            stateful_step_count=sized(25, 40),
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(machine, settings=chosen)
        finally:
            runner.run(database.close())
            runner.run(nc.close())
