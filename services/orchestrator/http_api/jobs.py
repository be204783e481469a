"""Jobs: submit, look, cancel, and watch by server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from services.kit.inference.placement import Provider
from services.kit.stages import Stage
from services.orchestrator.access.principal import Principal
from services.orchestrator.database import Row
from services.orchestrator.feed import JobFeed
from services.orchestrator.idempotency import Origin, checked_key
from services.orchestrator.inquiry import Inquiry
from services.orchestrator.jobs import ExecutionMode, ExecutionPlace, JobKind, JobRequest, Jobs
from services.orchestrator.lifecycle import TERMINAL
from services.orchestrator.profiles import DEFAULT_PROFILE, Profile
from services.orchestrator.records import Records
from services.orchestrator.successors import Successors

_KEEP_ALIVE_S = 10.0
MAX_SEQ = 2**63 - 1
_PROGRESS_FIELDS = ("phase", "done", "total", "unit", "fraction", "rate", "fps", "eta_s", "at")


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
        self.key = checked_key(idempotency_key)


Asked = Annotated[Asker, Depends()]


def routes(jobs: Jobs, successors: Successors, records: Records, inquiry: Inquiry, feed: JobFeed) -> APIRouter:
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post("", status_code=202)
    async def submit_job(body: Submit, response: Response, asked: Asked) -> dict[str, Any]:
        job_id = await jobs.submit(body.request(), submitted_by=asked.name, origin=Origin(asked.key))
        return await accepted(job_id, response)

    async def accepted(job_id: str, response: Response) -> dict[str, Any]:
        response.headers["Location"] = f"/v1/jobs/{job_id}"
        return await records.job(job_id)

    @router.get("")
    async def list_jobs(
        ep_id: str | None = None,
        stage: Stage | None = None,
        active: bool = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        return {"jobs": await records.jobs(ep_id=ep_id, stage=stage, active=active, limit=limit)}

    @router.get("/{job_id}")
    async def get_job(job_id: str) -> dict[str, Any]:
        return await records.job(job_id)

    @router.get("/{job_id}/dead-letters")
    async def list_dead_letters(job_id: str) -> dict[str, Any]:
        """Tasks that get no further attempt, each with the reason and the last lines of its log."""
        return {"dead_letters": await records.dead_letters(job_id)}

    @router.post("/{job_id}:cancel")
    async def cancel_job(job_id: str) -> dict[str, Any]:
        await jobs.cancel(job_id)
        return await records.job(job_id)

    @router.post("/{job_id}:retry", status_code=202)
    async def retry_job(job_id: str, response: Response, asked: Asked) -> dict[str, Any]:
        """A new job with the same request, which begins its unfinished stages anew."""
        new_id = await successors.retry(job_id, submitted_by=asked.name, idempotency_key=asked.key)
        return await accepted(new_id, response)

    @router.post("/{job_id}:resume", status_code=202)
    async def resume_job(job_id: str, response: Response, asked: Asked) -> dict[str, Any]:
        """A new job with the same request, which goes on from the finished tasks."""
        new_id = await successors.resume(job_id, submitted_by=asked.name, idempotency_key=asked.key)
        return await accepted(new_id, response)

    @router.get("/{job_id}/why")
    async def explain_job(job_id: str) -> dict[str, Any]:
        """What the job waits for, or why it ended, in one sentence, and the next step."""
        return {"job_id": job_id, **asdict(await inquiry.why(job_id))}

    @router.get("/{job_id}/logs")
    async def list_logs(
        job_id: str,
        quiet: bool = True,
        after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    ) -> dict[str, Any]:
        """Lines with a `seq` above `after`; quietly, without the noisy ones."""
        rows = await records.logs(job_id, after=after, quiet=quiet, limit=limit)
        return {"lines": [event_shown(row) for row in rows], "next_after": rows[-1]["seq"] if rows else after}

    @router.get("/{job_id}/events")
    async def watch_job(job_id: str, last_event_id: Annotated[int, Header(ge=0)] = 0) -> StreamingResponse:
        """State changes and log lines by their `seq`; progress as snapshots without an id; `end` at the end."""
        await records.job(job_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = _events(job_id, min(last_event_id, MAX_SEQ), records, feed)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")

    return router


def event_shown(row: Row) -> dict[str, Any]:
    return {"seq": row["seq"], "at": row["at"].isoformat(), "stage": row["stage"], **row["payload"]}


async def _events(job_id: str, after: int, records: Records, feed: JobFeed) -> AsyncIterator[str]:
    shown: dict[str, Any] = {}
    with feed.watching(job_id) as woken:
        while True:
            woken.clear()
            # The job is read before its events: once it has ended, no event can follow those read now.
            job = await records.job(job_id)
            rows = await records.events(job_id, after=after)
            for row in rows:
                after = row["seq"]
                yield _sse(row["type"], event_shown(row), event_id=after)
            for data in _fresh_progress(job, shown):
                yield _sse("progress", data)
            if job["state"] in TERMINAL and not rows:
                yield _sse("end", {"state": job["state"]})
                return
            if not rows:
                yield await _pause(woken)


def _fresh_progress(job: dict[str, Any], shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Snapshots that differ from those already sent; `shown` is brought up to date."""
    fresh = []
    for run in job["stages"]:
        snapshot = run["progress"]
        if snapshot is not None and shown.get(run["run_id"]) != snapshot and run["state"] == "running":
            shown[run["run_id"]] = snapshot
            fresh.append({"stage": run["stage"], **{k: snapshot[k] for k in _PROGRESS_FIELDS}})
    return fresh


async def _pause(woken: asyncio.Event) -> str:
    with suppress(TimeoutError):
        async with asyncio.timeout(_KEEP_ALIVE_S):
            await woken.wait()
            return ": news\n\n"
    return ": keep-alive\n\n"


def _sse(event: str, data: dict[str, Any], *, event_id: int | None = None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n"
