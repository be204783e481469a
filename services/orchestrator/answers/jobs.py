"""Jobs, their stage runs, and what became of them."""

from __future__ import annotations

from pydantic import BaseModel

from services.kit.inference.placement import Provider
from services.kit.stages import Stage, TaskKind
from services.orchestrator.answers.shared import NextPageToken, Tag, Time
from services.orchestrator.job_request import ExecutionMode, ExecutionPlace, JobKind
from services.orchestrator.lifecycle import State
from services.orchestrator.profiles import Profile


class RunError(BaseModel):
    code: str
    message: str


class Progress(BaseModel):
    """`fraction` is 0..1 of the whole stage; `rate` is in `unit` per second, `fps` the same for frames."""

    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float | None
    fps: float | None
    eta_s: float | None
    at: Time


class StageRun(BaseModel):
    """`reused`: the result is that of `reused_run_id`, which worked from the same facts."""

    run_id: str
    stage: Stage
    state: State
    provider: Provider
    requested_device: Provider
    resolved_device: str | None
    waiting_for: str | None
    skip_reason: str | None
    zero_rows: bool
    counts: dict[str, int]
    warnings: list[str]
    fingerprint: str | None
    error: RunError | None
    queued_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    runtime_s: float | None
    reused: bool
    reused_run_id: str | None
    tasks_done: int
    tasks_total: int
    progress: Progress | None


class Job(BaseModel):
    """`reused`: nothing was worked on, since equal results were there."""

    job_id: str
    ep_id: str
    episode_uid: str
    kind: JobKind
    state: State
    profile: Profile
    requested_device: Provider
    allow_cpu_fallback: bool
    force: bool
    reused: bool
    retry_of: str | None
    resume_of: str | None
    submitted_by: str
    execution_mode: ExecutionMode | None
    execution_place: ExecutionPlace | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    cancel_requested_at: Time | None
    warnings: list[str]
    error: RunError | None
    stages: list[StageRun]
    etag: Tag


class JobList(BaseModel):
    jobs: list[Job]
    next_page_token: NextPageToken


class DeadLetter(BaseModel):
    """A task that gets no further attempt, with the reason and the last lines of its log."""

    task_id: str
    job_id: str
    stage: Stage
    kind: TaskKind
    ordinal: int
    attempts: int
    worker_id: str | None
    reason: str
    log_tail: list[str]
    created_at: Time


class DeadLetterList(BaseModel):
    dead_letters: list[DeadLetter]


class JobWhy(BaseModel):
    """`case` is stable, for programs; the rest is for people."""

    job_id: str
    case: str
    sentence: str
    next_step: str


class LogLine(BaseModel):
    """A line of the orchestrator's own has no `attempt_id`, `line` and `logged_at`."""

    seq: int
    at: Time
    stage: Stage | None
    level: str = "info"
    message: str = ""
    is_noisy: bool = False
    noise_rule: str | None = None
    attempt_id: str | None = None
    line: int | None = None
    logged_at: Time | None = None


class LogPage(BaseModel):
    lines: list[LogLine]
    next_after: int
