"""Jobs: asking for work, following it, and ending it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from services.client.calls import Calls, flag, if_match_header
from services.client.events import JobEvent, LogLine
from services.client.overrides import Overrides
from services.client.parsing import parse, parse_each
from services.client.records import Job, Why
from services.client.transport import Call
from services.client.watch import JobWatch

_WAIT_S = 20.0  # of one call; well within what proxies allow


class JobCalls(Calls):
    def submit(
        self,
        ep_id: str,
        *,
        kind: str = "pipeline",
        profile: str | None = None,
        device: str | None = None,
        allow_cpu_fallback: bool = False,
        acknowledge_zero_rows: bool = False,
        force: bool = False,
        overrides: Overrides | None = None,
        execution_mode: str | None = None,
        execution_place: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Ask for one stage of an episode, or for a pipeline of all; `force` works again on equal facts.

        `acknowledge_zero_rows` runs a stage although the one before it found nothing.
        `execution_mode` and `execution_place` are recorded with the job.

        However often it is said, one `idempotency_key` is one job; without it each call is a job of its own,
        and still one job where the answer to a try was lost.
        """
        body = {
            "ep_id": ep_id,
            "kind": kind,
            "profile": profile,
            "device": device,
            "allow_cpu_fallback": allow_cpu_fallback,
            "acknowledge_zero_rows": acknowledge_zero_rows,
            "force": force,
            "execution_mode": execution_mode,
            "execution_place": execution_place,
            "overrides": overrides.given() if overrides else {},
        }
        return self._ask("/v1/jobs", idempotency_key, body)

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job with the request of one that failed or was cancelled; unfinished stages begin anew."""
        return self._ask(f"{_path(job_id)}:retry", idempotency_key)

    def resume(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job with the request of one that failed or was cancelled; it goes on from what is done."""
        return self._ask(f"{_path(job_id)}:resume", idempotency_key)

    def job(self, job_id: str) -> Job:
        return parse(Job, self._get(_path(job_id)))

    def jobs(
        self, *, ep_id: str | None = None, stage: str | None = None, active: bool = False
    ) -> Iterator[Job]:
        """The newest first."""
        params = {"ep_id": ep_id, "stage": stage, "active": flag(active) if active else None}
        given = {name: value for name, value in params.items() if value is not None}
        return self._pages(Job, "/v1/jobs", "jobs", given)

    def wait(self, job_id: str, *, timeout_s: float = math.inf) -> Job:
        """The job once it has ended, or as it is after `timeout_s`."""
        give_up_at = monotonic() + timeout_s
        while True:
            left_s = min(max(give_up_at - monotonic(), 0.0), _WAIT_S)
            call = Call(
                "POST", f"{_path(job_id)}:wait", params={"timeout_s": str(left_s)}, answer_within_s=2 * _WAIT_S
            )
            job = parse(Job, self._transport.call(call).json())
            if job.has_ended or monotonic() >= give_up_at:
                return job

    def why(self, job_id: str) -> Why:
        """What a job waits for, or why it ended, and the next step."""
        return parse(Why, self._get(f"{_path(job_id)}/why"))

    def cancel(self, job_id: str, *, if_match: str | None = None) -> Job:
        """The job, cancelled or about to be; one that has ended stays as it is. `if_match`: as it was seen."""
        call = Call("POST", f"{_path(job_id)}:cancel", headers=if_match_header(if_match))
        return parse(Job, self._transport.call(call).json())

    def logs(self, job_id: str, *, after_seq: int = 0, quiet: bool = True) -> Iterator[LogLine]:
        """The lines that a job has so far, in order; quietly, without the noisy ones."""
        while True:
            params = {"quiet": flag(quiet), "after": str(after_seq)}
            lines = parse_each(LogLine, self._get(f"{_path(job_id)}/logs", params), "lines")
            yield from lines
            if not lines:
                return
            after_seq = lines[-1].seq

    def watch(self, job_id: str, *, after_seq: int = 0) -> Iterator[JobEvent]:
        """Events of a job until it has ended, through restarts of the server.

        State changes and log lines come once each, in order of `seq`, those up to `after_seq` left out.
        """
        path = f"{_path(job_id)}/events"
        return iter(JobWatch(self._transport, path, after_seq, lambda: self.job(job_id)))

    def _ask(self, path: str, key: str | None, body: Mapping[str, Any] | None = None) -> Job:
        headers = {"Idempotency-Key": key or uuid4().hex}
        return parse(Job, self._transport.call(Call("POST", path, json=body, headers=headers)).json())


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
