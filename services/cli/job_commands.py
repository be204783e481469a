"""`screenalytics cancel`, `retry` and `resume`: what is done with a job that is there."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from uuid import uuid4

import typer

from services.cli.followed_job import FollowedJob
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import open_session, require_episodes
from services.client import Client, Job


class Again(StrEnum):
    RETRY = "retry"
    RESUME = "resume"


def cancel_job(job_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        require_episodes(options)
        with open_session(options, screen, workers=False) as session:
            job = session.steadily(lambda client: client.cancel(job_id))
        screen.result(f"job {job.job_id} of episode {job.ep_id}: {job.state}")
        screen.json_line(asdict(job))


def do_again(job_id: str, how: Again, options: SystemOptions, *, as_json: bool) -> None:
    """Follows the new job to its end. Raises `typer.Exit` with the exit status of the command."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        require_episodes(options)
        with open_session(options, screen) as session:
            key = uuid4().hex
            job = session.steadily(lambda client: _ask(client, job_id, how, key))
            status = FollowedJob(screen, session).to_its_end(job, list(job.warnings))
    raise typer.Exit(status)


def _ask(client: Client, job_id: str, how: Again, key: str) -> Job:
    if how is Again.RETRY:
        return client.retry(job_id, idempotency_key=key)
    return client.resume(job_id, idempotency_key=key)
