"""Watching a job to its end, whatever happens to the system meanwhile."""

from __future__ import annotations

from services.cli.progress import ProgressView
from services.cli.session import Session
from services.client import Client, Job, StageProgress


def follow(session: Session, job_id: str, view: ProgressView) -> Job:
    """The job when it has ended. Raises `ApiUnavailable` when the system cannot be brought back."""
    follower = _Follower(job_id, view)
    session.steadily(follower.watch)
    return session.steadily(lambda client: client.job(job_id))


class _Follower:
    """Remembers how far it has seen, so that the next watch goes on from there."""

    def __init__(self, job_id: str, view: ProgressView) -> None:
        self._job_id = job_id
        self._view = view
        self._seq = 0

    def watch(self, client: Client) -> None:
        for event in client.watch(self._job_id, after_seq=self._seq):
            if not isinstance(event, StageProgress):
                self._seq = event.seq
            self._view.show(event)
