"""A job's way through its stages: what is reused, what is gone on with, what is begun, and when it ends.

The caller holds the locks: job first, then run.
"""

from __future__ import annotations

from services.kit.codec import from_dict
from services.kit.messages import ArtifactRef, ModelRef
from services.kit.stages import STAGES, Stage, TaskKind
from services.orchestrator.database import Row, Transaction
from services.orchestrator.earlier_runs import BegunRun, EarlierRuns, take_over_result, take_over_tasks
from services.orchestrator.fingerprint import Ingredients
from services.orchestrator.lifecycle import State
from services.orchestrator.profiles import affecting_output
from services.orchestrator.settings import JobsSettings
from services.orchestrator.taskgraph import NewTask, first_task
from services.orchestrator.throughput import count_work
from services.orchestrator.transitions import add_tasks, artifact_ref, inputs_for, move_job, move_run


class Pipeline:
    def __init__(self, limits: JobsSettings, earlier: EarlierRuns) -> None:
        self._limits = limits
        self._earlier = earlier

    async def start(self, tx: Transaction, job: Row, run: Row, episode: Row) -> None:
        """waiting -> queued with a first task in the outbox, or -> succeeded where an equal result is there."""
        stage = Stage(run["stage"])
        inputs, _ = await inputs_for(tx, run["episode_uid"], stage)
        run = {**run, "fingerprint": _ingredients(stage, run, episode, inputs).fingerprint()}
        await tx.run("set_fingerprint", run_id=run["run_id"], fingerprint=run["fingerprint"])
        if not job["force"] and (equal := await self._earlier.equal_result(tx, run)):
            await self._reuse(tx, job, run, episode, equal)
            return
        begun = job["resume_of"] and await self._earlier.begun(tx, run, job["resume_of"])
        reason = f"goes on from {len(begun.done)} finished tasks of job {job['resume_of']}" if begun else ""
        await move_run(tx, run, State.QUEUED, reason=reason)
        if job["state"] == State.WAITING:
            await move_job(tx, job["job_id"], State.QUEUED)
        tasks = await _rest_of(tx, run, begun) if begun else [first_task(stage, inputs)]
        await add_tasks(tx, job, run, episode, tasks, self._limits)

    async def complete(self, tx: Transaction, job: Row, run: Row, episode: Row, counts: dict[str, int]) -> None:
        """The run's last task is done: the next run starts, or the job ends."""
        is_empty = counts.get(STAGES[Stage(run["stage"])].zero_rows_count, 0) == 0
        await tx.run("record_run_outcome", run_id=run["run_id"], counts=counts, zero_rows=is_empty)
        await move_run(tx, run, State.SUCCEEDED)
        count_work(tx, Stage(run["stage"]), episode, counts)
        await self._after(tx, job, run, episode, is_empty=is_empty)

    async def _reuse(self, tx: Transaction, job: Row, run: Row, episode: Row, equal: Row) -> None:
        await take_over_result(tx, run, equal)
        await move_run(tx, run, State.SUCCEEDED, reason=f"reused the result of run {equal['run_id']}")
        await self._after(tx, job, run, episode, is_empty=equal["zero_rows"])

    async def _after(self, tx: Transaction, job: Row, run: Row, episode: Row, *, is_empty: bool) -> None:
        runs = await tx.all("runs_of_job", job_id=job["job_id"])
        later = [r for r in runs if r["position"] > run["position"] and r["state"] == State.WAITING]
        if later and not is_empty:
            await self.start(tx, job, later[0], episode)
            return
        for other in later:
            await move_run(tx, other, State.SKIPPED, skip_reason="zero_rows")
        await move_job(tx, job["job_id"], State.SUCCEEDED)


def _ingredients(stage: Stage, run: Row, episode: Row, inputs: list[ArtifactRef]) -> Ingredients:
    return Ingredients(
        media_sha256=episode["sha256"],
        inputs=inputs,
        config=affecting_output(stage, run["config"]),
        models=[from_dict(ModelRef, m) for m in run["models"]],
        algorithm_version=run["algorithm_version"],
    )


async def _rest_of(tx: Transaction, run: Row, begun: BegunRun) -> list[NewTask]:
    """What is left to do once the done tasks are this run's own."""
    await take_over_tasks(tx, run, begun)
    if begun.open_segments:
        return [NewTask(TaskKind.SEGMENT, s.ordinal, segment=s) for s in begun.open_segments]
    files = await tx.all("artifacts_of_run", run_id=run["run_id"])
    return [NewTask(TaskKind.STITCH, 0, tuple(artifact_ref(file) for file in files))]
