"""Jobs: submit, look, cancel, and watch by server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from services.kit.inference.placement import Provider
from services.kit.stages import Stage
from services.orchestrator import answers
from services.orchestrator.access.principal import Principal
from services.orchestrator.http_api.conditions import NOT_MODIFIED, TAGGED, IfNoneMatch, Unchanged, tagged
from services.orchestrator.http_api.description import EVENTS, LOCATION
from services.orchestrator.http_api.pages import Pages
from services.orchestrator.http_api.retirement import ANNOUNCED, JOBS_LIMIT
from services.orchestrator.idempotency import Origin, key_of
from services.orchestrator.inquiry import Inquiry
from services.orchestrator.job_request import ExecutionMode, ExecutionPlace, JobKind, JobRequest
from services.orchestrator.job_view import JobFilter
from services.orchestrator.jobs import Jobs
from services.orchestrator.profiles import DEFAULT_PROFILE, Profile
from services.orchestrator.records import Records
from services.orchestrator.successors import Successors
from services.orchestrator.watch import DEFAULT_WAIT_S, MAX_SEQ, JobEvent, JobWatch, event_shown

_KEEP_ALIVE = ": keep-alive\n\n"


class Submit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ep_id: str
    kind: JobKind = JobKind.PIPELINE
    profile: Profile | None = None
    device: Provider | None = None
    allow_cpu_fallback: bool = False
    acknowledge_zero_rows: bool = False
    force: bool = False
    overrides: dict[str, Any] = {}
    execution_mode: ExecutionMode | None = None
    execution_place: ExecutionPlace | None = None

    def request(self) -> JobRequest:
        return JobRequest(
            ep_id=self.ep_id,
            kind=self.kind,
            profile=self.profile or DEFAULT_PROFILE,
            device=self.device or Provider.CUDA,
            allow_cpu_fallback=self.allow_cpu_fallback,
            acknowledge_zero_rows=self.acknowledge_zero_rows,
            force=self.force,
            overrides=self.overrides,
            execution_mode=self.execution_mode,
            execution_place=self.execution_place,
        )


class Asker:
    """Who asks, and by which key, from the headers of the request."""

    def __init__(
        self,
        request: Request,
        user_agent: Annotated[str, Header()] = "unknown",
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> None:
        caller: Principal = request.state.caller
        self.name = caller.name or user_agent[:200]
        self.key = key_of(caller, idempotency_key)


Asked = Annotated[Asker, Depends()]


def routes(
    jobs: Jobs, successors: Successors, records: Records, inquiry: Inquiry, watch: JobWatch
) -> APIRouter:
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    accepts: Any = {
        "status_code": 202,
        "response_model": answers.Job,
        "responses": {202: {"headers": LOCATION | TAGGED, "description": "The job, which goes on by itself."}},
    }

    @router.post("", **accepts)
    async def submit_job(body: Submit, response: Response, asked: Asked) -> dict[str, Any]:
        """One stage of an episode, or all of them; one `Idempotency-Key` is one job, however often sent."""
        job_id = await jobs.submit(body.request(), submitted_by=asked.name, origin=Origin(asked.key))
        return await accepted(job_id, response)

    async def accepted(job_id: str, response: Response) -> dict[str, Any]:
        response.headers["Location"] = f"/v1/jobs/{job_id}"
        return tagged(await records.job(job_id), response)

    @router.get("", response_model=answers.JobList, responses={200: {"headers": ANNOUNCED}})
    async def list_jobs(
        response: Response,
        page: Pages,
        ep_id: str | None = None,
        stage: Stage | None = None,
        active: bool = False,
        limit: Annotated[int | None, Query(ge=1, le=500, deprecated=True)] = None,
    ) -> dict[str, Any]:
        """The newest first, page by page."""
        if limit is not None:
            JOBS_LIMIT.announce(response)
            page = replace(page, size=page.size or limit)
        found = await records.job_page(JobFilter(ep_id, stage, active), page)
        return {"jobs": found.items, "next_page_token": found.next_page_token}

    @router.get("/{job_id}", response_model=answers.Job, responses=NOT_MODIFIED)
    async def get_job(job_id: str, response: Response, seen: IfNoneMatch) -> Any:
        return seen.answer(await records.job(job_id), response)

    @router.post("/{job_id}:wait", response_model=answers.Job, responses={200: {"headers": TAGGED}})
    async def wait_job(
        job_id: str,
        response: Response,
        timeout_s: Annotated[float, Query(ge=0, allow_inf_nan=False)] = DEFAULT_WAIT_S,
    ) -> dict[str, Any]:
        """The job once it has ended; or as it is after `timeout_s`, a minute at most."""
        return tagged(await watch.wait(job_id, timeout_s), response)

    @router.get("/{job_id}/dead-letters", response_model=answers.DeadLetterList)
    async def list_dead_letters(job_id: str) -> dict[str, Any]:
        """Tasks that get no further attempt, each with the reason and the last lines of its log."""
        return {"dead_letters": await records.dead_letters(job_id)}

    @router.post("/{job_id}:cancel", response_model=answers.Job, responses={200: {"headers": TAGGED}})
    async def cancel_job(job_id: str, response: Response, if_match: Unchanged) -> dict[str, Any]:
        """The job, cancelled; one that has ended stays as it is. 412 past `If-Match`."""
        await jobs.cancel(job_id, if_match=if_match)
        return tagged(await records.job(job_id), response)

    @router.post("/{job_id}:retry", **accepts)
    async def retry_job(job_id: str, response: Response, asked: Asked) -> dict[str, Any]:
        """A new job with the same request, which begins its unfinished stages anew."""
        new_id = await successors.retry(job_id, submitted_by=asked.name, idempotency_key=asked.key)
        return await accepted(new_id, response)

    @router.post("/{job_id}:resume", **accepts)
    async def resume_job(job_id: str, response: Response, asked: Asked) -> dict[str, Any]:
        """A new job with the same request, which goes on from the finished tasks."""
        new_id = await successors.resume(job_id, submitted_by=asked.name, idempotency_key=asked.key)
        return await accepted(new_id, response)

    @router.get("/{job_id}/why", response_model=answers.JobWhy)
    async def explain_job(job_id: str) -> dict[str, Any]:
        """What the job waits for, or why it ended, in one sentence, and the next step."""
        return {"job_id": job_id, **asdict(await inquiry.why(job_id))}

    @router.get("/{job_id}/logs", response_model=answers.LogPage)
    async def list_logs(
        job_id: str,
        quiet: bool = True,
        after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    ) -> dict[str, Any]:
        """Lines with a `seq` above `after`; quietly, without the noisy ones."""
        rows = await records.logs(job_id, after=after, quiet=quiet, limit=limit)
        return {"lines": [event_shown(row) for row in rows], "next_after": rows[-1]["seq"] if rows else after}

    @router.get(
        "/{job_id}/events",
        response_class=Response,
        responses=EVENTS,
    )
    async def watch_job(job_id: str, last_event_id: Annotated[int, Header(ge=0)] = 0) -> StreamingResponse:
        """State changes and log lines by their `seq`; progress as snapshots without an id; `end` at the end."""
        await records.job(job_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        events = watch.events(job_id, after=min(last_event_id, MAX_SEQ))
        return StreamingResponse(_streamed(events), headers=headers, media_type="text/event-stream")

    return router


async def _streamed(events: AsyncIterator[JobEvent | None]) -> AsyncIterator[str]:
    async for event in events:
        yield _KEEP_ALIVE if event is None else _sse(event.kind, event.data, event_id=event.seq)


def _sse(event: str, data: dict[str, Any], *, event_id: int | None = None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n"
