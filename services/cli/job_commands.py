"""`screenalytics jobs`, `why`, `cancel`, `retry` and `resume`: what is asked of jobs that are there."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from itertools import islice
from uuid import uuid4

import typer

from services.cli.execution import open_kept
from services.cli.followed_job import FollowedJob
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.tables import jobs_table
from services.client import Client, Job

_JOBS_SHOWN = 100


class Again(StrEnum):
    RETRY = "retry"
    RESUME = "resume"


def list_jobs(ep_id: str | None, options: SystemOptions, *, active: bool, as_json: bool) -> None:
    """Raises `typer.Exit` when they cannot be told."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen, ep_id=ep_id) as session:
            jobs = session.steadily(
                lambda client: list(islice(client.jobs(ep_id=ep_id, active=active), _JOBS_SHOWN))
            )
        screen.table(jobs_table(jobs))
        screen.json_line({"jobs": [asdict(job) for job in jobs]})


def cancel_job(job_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            job = session.steadily(lambda client: client.cancel(job_id))
        screen.result(f"job {job.job_id} of episode {job.ep_id}: {job.state}")
        screen.json_line(asdict(job))


def say_why(job_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it cannot be told."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            answer = session.steadily(lambda client: client.why(job_id))
        screen.result(answer.sentence)
        screen.result(answer.next_step)
        screen.json_line(asdict(answer))


def do_again(job_id: str, how: Again, options: SystemOptions, *, as_json: bool) -> None:
    """Follows the new job to its end. Raises `typer.Exit` with the exit status of the command."""
    screen = Screen(as_json=as_json)
    with reported(screen), open_kept(options, screen, workers=True) as session:
        key = uuid4().hex
        job = session.steadily(lambda client: _ask(client, job_id, how, key))
        status = FollowedJob(screen, session).to_its_end(job, list(job.warnings))
    raise typer.Exit(status)


def _ask(client: Client, job_id: str, how: Again, key: str) -> Job:
    if how is Again.RETRY:
        return client.retry(job_id, idempotency_key=key)
    return client.resume(job_id, idempotency_key=key)
