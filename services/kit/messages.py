"""The messages between orchestrator and workers, as frozen dataclasses.

Their fields are those of `protos/screenalytics/stage/v1/stage.proto` (a contract test holds them equal);
`services.kit.codec` translates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from services.kit.errors import InvalidRequest

SCHEMA_VERSION = 1

T = TypeVar("T")


class Decision(StrEnum):
    """What the orchestrator answers to a claim."""

    RUN = "run"
    DROP = "drop"  # cancelled, finished or erased: acknowledge and forget
    DEAD = "dead"  # attempts used up: acknowledge, the job has failed
    WAIT = "wait"  # not now: hand back with a delay


class TaskOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"  # another attempt would end the same way
    RETRY = "retry"  # this attempt failed, another may succeed
    HANDED_BACK = "handed_back"  # a drain: counts as no attempt


class WorkerState(StrEnum):
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    kind: str
    uri: str
    sha256: str
    size_bytes: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ModelRef:
    role: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class MediaRef:
    uri: str
    sha256: str
    size_bytes: int
    container: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames with `start_pts <= pts < end_pts`; `None` leaves a side open."""

    ordinal: int = 0
    start_pts: int | None = None
    end_pts: int | None = None
    prev_pts: int | None = None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    width: int
    height: int
    fps_num: int
    fps_den: int
    duration_s: float
    codec: str
    first_pts: int | None = field(default=None, kw_only=True)
    time_base_num: int
    time_base_den: int
    frames: int

    @property
    def fps(self) -> float:
        """Nominal frame rate in frames per second."""
        return self.fps_num / self.fps_den

    def expected_frames(self, segment: Segment) -> int:
        """How many frames decoding the segment should give, by the clock; at least one."""
        if segment.start_pts is None and segment.end_pts is None:
            return max(self.frames, 1)
        tick_s = self.time_base_num / self.time_base_den
        first_pts = self.first_pts or 0
        start_s = 0.0 if segment.start_pts is None else (segment.start_pts - first_pts) * tick_s
        end_s = self.duration_s if segment.end_pts is None else (segment.end_pts - first_pts) * tick_s
        return max(round((end_s - start_s) * self.fps), 1)


@dataclass(frozen=True, slots=True)
class Task:
    schema_version: int
    algorithm_version: int
    job_id: str
    run_id: str
    task_id: str
    stage: str
    kind: str
    ordinal: int
    provider: str
    requested_device: str
    ep_id: str
    episode_uid: str
    config_json: str
    media: MediaRef
    models: tuple[ModelRef, ...] = ()
    media_info: MediaInfo | None = None
    inputs: tuple[ArtifactRef, ...] = ()
    segment: Segment | None = None
    stall_s: float = 120.0
    max_runtime_s: float = 86_400.0
    traceparent: str = ""

    def inputs_of(self, kind: str) -> list[ArtifactRef]:
        return [ref for ref in self.inputs if ref.kind == kind]

    def input_of(self, kind: str) -> ArtifactRef:
        """The only input of that kind. Raises `InvalidRequest` when it is not there exactly once."""
        refs = self.inputs_of(kind)
        if len(refs) != 1:
            raise InvalidRequest(f"task {self.task_id} has {len(refs)} inputs of kind {kind!r}, expected one")
        return refs[0]

    def model(self, role: str) -> ModelRef:
        """The model of that role. Raises `InvalidRequest` when the task names none."""
        for ref in self.models:
            if ref.role == role:
                return ref
        raise InvalidRequest(f"task {self.task_id} names no {role} model")


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    task_id: str
    attempt_id: str
    worker_id: str


@dataclass(frozen=True, slots=True)
class ClaimReply:
    decision: Decision
    generation: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelPlacement:
    """Where one model really executes; `nodes` counts graph nodes per execution provider."""

    model: str
    sha256: str
    requested: str
    effective: str
    runtime: str
    device: str
    nodes: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    requested_device: str
    resolved_device: str
    models: tuple[ModelPlacement, ...] = ()
    thread_cap: int = 0
    threads: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskResult:
    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    worker_id: str
    outcome: TaskOutcome
    outputs: tuple[ArtifactRef, ...] = ()
    segments: tuple[Segment, ...] = ()
    media_info: MediaInfo | None = None
    counts: dict[str, int] = field(default_factory=dict)
    execution: Execution | None = None
    warnings: tuple[str, ...] = ()
    error_code: str = ""
    error_message: str = ""
    retry_after_s: float = 0.0
    log_tail: tuple[str, ...] = ()
    started_at: str = ""
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """`line` counts the lines of an attempt from 1."""

    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    stage: str
    level: str
    message: str
    is_noisy: bool
    at: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot: `done` of `total` `unit`s in `phase`, monotonic within a generation."""

    job_id: str
    run_id: str
    task_id: str
    attempt_id: str
    generation: int
    stage: str
    phase: str
    done: float
    total: float
    unit: str
    at: str


@dataclass(frozen=True, slots=True)
class Control:
    job_id: str
    action: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    worker_id: str
    stage: str
    state: WorkerState
    requested_provider: str
    effective_provider: str
    at: str
    reason: str = ""
    reason_code: str = ""
    models: tuple[ModelPlacement, ...] = ()
    thread_cap: int = 0
    threads: int = 0
    cpu_seconds: float = 0.0
    version: str = ""
    host: str = ""
    pid: int = 0
    health_port: int = 0
    task_id: str = ""


def now_at() -> str:
    """The present moment as RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
