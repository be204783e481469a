"""Jobs: submit, look, cancel, and watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict

from services.orchestrator.converters import (
    count,
    event_message,
    if_match,
    job_request,
    message_of,
    position,
    seconds,
    values_of,
)
from services.orchestrator.core import Core
from services.orchestrator.grpc_api.access import caller
from services.orchestrator.grpc_api.guard import Context
from services.orchestrator.idempotency import Origin, key_of
from services.orchestrator.job_view import JobFilter
from services.orchestrator.paging import PageRequest
from services.orchestrator.watch import DEFAULT_WAIT_S, event_shown
from services.pb.screenalytics.v1 import api_pb2, api_pb2_grpc


class Jobs(api_pb2_grpc.JobsServicer):
    def __init__(self, core: Core) -> None:
        self._core = core

    async def SubmitJob(self, request: api_pb2.SubmitJobRequest, context: Context) -> api_pb2.Job:
        origin = Origin(key_of(caller(), request.request_id or None))
        asker = _asker(context)
        return await self._shown(
            await self._core.jobs.submit(job_request(request), submitted_by=asker, origin=origin)
        )

    async def ListJobs(self, request: api_pb2.ListJobsRequest, _: Context) -> api_pb2.JobList:
        given = values_of(request)
        wanted = JobFilter(given["ep_id"], given["stage"], request.active)
        found = await self._core.records.job_page(wanted, PageRequest(request.page_size, request.page_token))
        shown = {"jobs": found.items, "next_page_token": found.next_page_token}
        return message_of(api_pb2.JobList, shown)

    async def GetJob(self, request: api_pb2.GetJobRequest, _: Context) -> api_pb2.Job:
        return await self._shown(request.job_id)

    async def ListDeadLetters(
        self, request: api_pb2.ListDeadLettersRequest, _: Context
    ) -> api_pb2.DeadLetterList:
        shown = {"dead_letters": await self._core.records.dead_letters(request.job_id)}
        return message_of(api_pb2.DeadLetterList, shown)

    async def WaitJob(self, request: api_pb2.WaitJobRequest, _: Context) -> api_pb2.Job:
        timeout_s = seconds(request, "timeout_s", default=DEFAULT_WAIT_S)
        return message_of(api_pb2.Job, await self._core.watch.wait(request.job_id, timeout_s))

    async def CancelJob(self, request: api_pb2.CancelJobRequest, _: Context) -> api_pb2.Job:
        await self._core.jobs.cancel(request.job_id, if_match=if_match(request.etag))
        return await self._shown(request.job_id)

    async def RetryJob(self, request: api_pb2.RetryJobRequest, context: Context) -> api_pb2.Job:
        key = key_of(caller(), request.request_id or None)
        asker = _asker(context)
        return await self._shown(
            await self._core.successors.retry(request.job_id, submitted_by=asker, idempotency_key=key)
        )

    async def ResumeJob(self, request: api_pb2.ResumeJobRequest, context: Context) -> api_pb2.Job:
        key = key_of(caller(), request.request_id or None)
        asker = _asker(context)
        return await self._shown(
            await self._core.successors.resume(request.job_id, submitted_by=asker, idempotency_key=key)
        )

    async def ExplainJob(self, request: api_pb2.ExplainJobRequest, _: Context) -> api_pb2.JobWhy:
        why = await self._core.inquiry.why(request.job_id)
        return message_of(api_pb2.JobWhy, {"job_id": request.job_id, **asdict(why)})

    async def ListLogs(self, request: api_pb2.ListLogsRequest, _: Context) -> api_pb2.LogPage:
        after = position(request, "after")
        rows = await self._core.records.logs(
            request.job_id,
            after=after,
            quiet=values_of(request)["quiet"] is not False,
            limit=count(request, "limit", most=5000, default=1000),
        )
        shown = {"lines": [event_shown(row) for row in rows], "next_after": rows[-1]["seq"] if rows else after}
        return message_of(api_pb2.LogPage, shown)

    async def WatchJob(self, request: api_pb2.WatchJobRequest, _: Context) -> AsyncIterator[api_pb2.JobEvent]:
        story = self._core.watch.events(request.job_id, after=position(request, "after_seq"))
        async with aclosing(story) as events:
            async for event in events:
                if event is not None:
                    yield event_message(event)

    async def _shown(self, job_id: str) -> api_pb2.Job:
        return message_of(api_pb2.Job, await self._core.records.job(job_id))


def _asker(context: Context) -> str:
    """Who asks, as in REST: the caller where they are known, else the user agent."""
    if caller().name:
        return caller().name
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get("user-agent", "unknown"))[:200]
