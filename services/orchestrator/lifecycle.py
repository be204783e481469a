"""The states of jobs and stage runs, and every move between them.

The same table stands in Postgres (`lifecycle_moves`), where a trigger refuses any other move; drawn in
docs/state-machine.md. A job never takes the state `skipped`.
"""

from __future__ import annotations

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
