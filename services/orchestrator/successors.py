"""New jobs in place of ended ones: the same request again, from the start (`retry`) or going on (`resume`)."""

from __future__ import annotations

from dataclasses import replace

from services.kit.codec import from_dict
from services.kit.errors import Conflict, NotFound
from services.orchestrator.database import Database, Row
from services.orchestrator.idempotency import Origin
from services.orchestrator.job_request import JobRequest
from services.orchestrator.jobs import Jobs
from services.orchestrator.lifecycle import ACTIVE, State


class Successors:
    """A job that has ended stays as it is; what is asked for again is judged as any submit.

    Both raise `NotFound`, `Conflict` when there is nothing to do again, and whatever `Jobs.submit` raises.
    """

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    async def retry(self, job_id: str, *, submitted_by: str, idempotency_key: str | None = None) -> str:
        """The id of a job that begins every unfinished stage anew."""
        ended = await self._ended(job_id)
        origin = Origin(idempotency_key, retry_of=job_id)
        return await self._jobs.submit(_request(ended), submitted_by=submitted_by, origin=origin)

    async def resume(self, job_id: str, *, submitted_by: str, idempotency_key: str | None = None) -> str:
        """The id of a job that goes on from the finished tasks of this one."""
        ended = await self._ended(job_id)
        request = replace(_request(ended), force=False)
        origin = Origin(idempotency_key, resume_of=job_id)
        return await self._jobs.submit(request, submitted_by=submitted_by, origin=origin)

    async def _ended(self, job_id: str) -> Row:
        async with self._database.transaction() as tx:
            job = await tx.one("get_job", job_id=job_id)
            if job is None:
                raise NotFound(f"no job {job_id!r}")
            current = await tx.one("current_episode", ep_id=job["ep_id"])
        if job["state"] in ACTIVE:
            raise _still_active(job)
        if job["state"] == State.SUCCEEDED:
            raise Conflict(
                f"job {job_id} has succeeded: there is nothing to do again",
                hint="submit it with force to work anew",
            )
        if current is None or current["episode_uid"] != job["episode_uid"]:
            raise Conflict(
                f"the video of episode {job['ep_id']} was replaced since job {job_id}",
                hint="submit a new job",
            )
        return job


def _still_active(job: Row) -> Conflict:
    error = Conflict(f"job {job['job_id']} is {job['state']}", hint="wait for its end, or cancel it first")
    error.extras["job_id"] = job["job_id"]
    return error


def _request(job: Row) -> JobRequest:
    if job["request"] is None:
        raise Conflict(f"the request of job {job['job_id']} was not kept", hint="submit a new job")
    return from_dict(JobRequest, job["request"])
