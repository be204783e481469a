"""The states of jobs and stage runs, and every move between them.

The same table stands in Postgres (`lifecycle_moves`), where a trigger refuses any other move; drawn in
docs/state-machine.md. A job never takes the state `skipped`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    WAITING = "waiting"  # an earlier stage of the job is not done
    QUEUED = "queued"  # its first task is in the queue
    RUNNING = "running"  # a worker has claimed a task
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # nothing to work on


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SKIPPED})
ACTIVE = frozenset(State) - TERMINAL

MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.WAITING, State.QUEUED),
        (State.WAITING, State.SUCCEEDED),  # an equal result was there already
        (State.WAITING, State.SKIPPED),
        (State.WAITING, State.FAILED),
        (State.WAITING, State.CANCELLED),
        (State.QUEUED, State.RUNNING),
        (State.QUEUED, State.FAILED),
        (State.QUEUED, State.CANCELLED),
        (State.RUNNING, State.SUCCEEDED),
        (State.RUNNING, State.FAILED),
        (State.RUNNING, State.CANCELLED),
    }
)

# Who makes each move, and when.
MOVED_BY: Mapping[tuple[State, State], str] = {
    (State.WAITING, State.QUEUED): "`Pipeline`: the stage's inputs are there; its first task is in the outbox",
    (State.WAITING, State.SUCCEEDED): "`Pipeline`: an equal result is there and is reused",
    (State.WAITING, State.SKIPPED): "`Pipeline`: an earlier stage found nothing (`zero_rows`); runs only",
    (State.WAITING, State.FAILED): "`fail_job`: the run cannot be started",
    (State.WAITING, State.CANCELLED): "`Jobs.cancel`; `fail_job`, when the run waited for one that failed",
    (State.QUEUED, State.RUNNING): "`ClaimDesk`: a worker claimed a task",
    (State.QUEUED, State.FAILED): "`Reaper`: no worker served its route in time",
    (State.QUEUED, State.CANCELLED): "`Jobs.cancel`",
    (State.RUNNING, State.SUCCEEDED): "`Pipeline`: the last task's result was accepted",
    (State.RUNNING, State.FAILED): "rejected, attempts used up (`bury_task`), or past its time (`Reaper`)",
    (State.RUNNING, State.CANCELLED): "`Jobs.cancel`",
}
