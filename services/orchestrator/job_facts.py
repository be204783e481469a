"""What the question why a job is as it is depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.orchestrator.lifecycle import State


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker of the route in question; `reason` is that of one that refused to start."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """The newest attempt at an open task; `silent_s` since its worker was heard, None for one never heard."""

    state: str
    generation: int
    worker_id: str
    silent_s: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """An open task. `unsent_s`: how long it has waited to be sent to the broker; None once it is sent."""

    kind: str
    ordinal: int
    attempts: int = 0
    max_attempts: int = 1
    unsent_s: float | None = None
    attempt: AttemptFacts | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """`stage` and what follows it is of the run that decides: the one at work or next to be, the one that
    failed or was cancelled first, the last one of a job that succeeded."""

    job_id: str
    ep_id: str
    state: State
    stage: str = ""
    provider: str = ""
    error_code: str = ""
    error: str = ""
    reused: bool = False
    empty_stage: str = ""
    runtime_s: float | None = None
    tasks_done: int = 0
    tasks_total: int = 0
    open_tasks: Sequence[TaskFacts] = ()
    ahead: int = 0  # tasks of other jobs that have waited longer for the same workers
    workers: Sequence[WorkerFacts] = ()
    queue_timeout_s: float = 0.0
    progress: dict[str, Any] | None = None
