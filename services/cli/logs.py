"""`screenalytics logs`: what a job's workers have said, so far or until its end."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from services.cli.execution import open_kept
from services.cli.follow import follow
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.progress import state_words
from services.cli.screen import Screen
from services.client import JobEvent, LogLine, StateChange


def show_logs(job_id: str, options: SystemOptions, *, noisy: bool, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            lines = session.steadily(lambda client: list(client.logs(job_id, quiet=not noisy)))
        for line in lines:
            screen.result(line_words(line))
        screen.json_line({"job_id": job_id, "lines": [asdict(line) for line in lines]})


def follow_logs(job_id: str, options: SystemOptions, *, noisy: bool) -> None:
    """Until the job has ended. Raises `typer.Exit` when it fails."""
    screen = Screen()
    with reported(screen), open_kept(options, screen) as session:
        with _LogView(screen, noisy=noisy) as view:
            job = follow(session, job_id, view)
        screen.say(f"the job has {job.state}" if job.state != "cancelled" else "the job was cancelled")


class _LogView:
    """Lines on stdout, changes of state on stderr."""

    def __init__(self, screen: Screen, *, noisy: bool) -> None:
        self._screen = screen
        self._noisy = noisy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def show(self, event: JobEvent) -> None:
        match event:
            case LogLine() if self._noisy or not event.is_noisy:
                self._screen.result(line_words(event))
            case StateChange():
                self._screen.say(f"{event.stage or 'job'}: {state_words(event)}")
            case _:
                pass


def line_words(line: LogLine) -> str:
    at = line.logged_at or line.at
    clock = at.astimezone().strftime("%H:%M:%S") if at else "--:--:--"
    return f"{clock} {line.stage or 'job'} {line.level}: {line.message}"
