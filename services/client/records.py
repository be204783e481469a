"""What the API answers with, as frozen dataclasses.

Members that a newer server adds are ignored, and states are plain text, so that an older client keeps working.
Times are aware UTC.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from pydantic.dataclasses import dataclass


class JobState(StrEnum):
    """States of jobs; a stage run can be `skipped` as well."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


_ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.SKIPPED})


@dataclass(frozen=True)
class MediaInfo:
    width: int
    height: int
    fps: float
    duration_s: float
    codec: str


@dataclass(frozen=True)
class Episode:
    """`media_info` is known once the detector has planned the video; an imported episode may have no video."""

    ep_id: str
    episode_uid: str
    filename: str
    sha256: str | None
    size_bytes: int | None
    container: str | None
    created_at: datetime
    media_info: MediaInfo | None = None
    title: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True)
class TrashedEpisode:
    """`purge_at`: when it is erased unless it is restored before; None: when somebody erases it."""

    ep_id: str
    episode_uid: str
    trashed_at: datetime | None
    purge_at: datetime | None = None


@dataclass(frozen=True)
class Erasure:
    """A receipt. `state` is `pending` while files or messages of the episode may still turn up, then `done`."""

    erasure_id: str
    state: str
    ep_id_hash: str
    requested_at: datetime
    reason: str = "requested"
    counts: dict[str, int] = field(default_factory=dict)
    open_attempts: int = 0
    unemptied_streams: tuple[str, ...] = ()
    settled_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True)
class RunError:
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Progress:
    """`fraction` is 0..1 of the whole stage; `rate` is in `unit` per second, `fps` the same for frames."""

    phase: str
    done: float
    total: float
    unit: str
    fraction: float
    rate: float | None = None
    fps: float | None = None
    eta_s: float | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class StageRun:
    """`reused`: the result is that of `reused_run_id`, which worked from the same facts."""

    run_id: str
    stage: str
    state: str
    provider: str | None = None
    requested_device: str | None = None
    resolved_device: str | None = None
    waiting_for: str | None = None
    skip_reason: str | None = None
    zero_rows: bool | None = None
    counts: dict[str, int] = field(default_factory=dict)
    error: RunError | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    runtime_s: float | None = None
    reused: bool = False
    reused_run_id: str | None = None
    tasks_done: int = 0
    tasks_total: int = 0
    progress: Progress | None = None


@dataclass(frozen=True)
class Job:
    """`reused`: nothing was worked on, since equal results were there."""

    job_id: str
    ep_id: str
    episode_uid: str
    kind: str
    state: str
    profile: str | None = None
    requested_device: str | None = None
    allow_cpu_fallback: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    submitted_by: str | None = None
    force: bool = False
    reused: bool = False
    retry_of: str | None = None
    resume_of: str | None = None
    execution_mode: str | None = None
    execution_place: str | None = None
    warnings: tuple[str, ...] = ()
    error: RunError | None = None
    stages: tuple[StageRun, ...] = ()
    etag: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDED


@dataclass(frozen=True)
class Why:
    """What a job waits for, or why it ended. `case` is stable; the rest is for people."""

    job_id: str
    case: str
    sentence: str
    next_step: str


@dataclass(frozen=True)
class PhaseStatus:
    phase: str
    status: str
    source: str | None = None
    zero_rows: bool | None = None
    manifest_exists: bool | None = None
    last_run_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    runtime_s: float | None = None
    requested_device: str | None = None
    resolved_device: str | None = None
    stale_reason: str | None = None


@dataclass(frozen=True)
class EpisodeStatus:
    """`execution_mode` and `execution_place` are those of the newest job whose submitter told them."""

    ep_id: str
    episode_uid: str
    phases: dict[str, PhaseStatus]
    faces_stale: bool = False
    cluster_stale: bool = False
    tracks_only_fallback: bool = False
    execution_mode: str | None = None
    execution_place: str | None = None


@dataclass(frozen=True)
class ImportedFile:
    """A file of the older system; `run_id` is empty in its flat layout. `outcome`: of the call that sent it."""

    name: str
    run_id: str
    sha256: str
    size_bytes: int
    modified_at: datetime
    stage: str | None = None
    rows: int | None = None
    imported_at: datetime | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class Identity:
    """Times are seconds of the video; `bridged_s` is time between sightings, not counted as screen time."""

    identity_id: str
    label: str | None
    track_ids: tuple[int | str, ...]
    size: int = 0
    cohesion: float | None = None
    first_ts: float | None = None
    last_ts: float | None = None
    screen_time_s: float = 0.0
    bridged_s: float = 0.0


@dataclass(frozen=True)
class Artifact:
    """`location` is a local path or a store URL; `source` is `run`, or `imported` from the older system."""

    kind: str
    stage: str
    uri: str
    sha256: str
    size_bytes: int
    rows: int | None = None
    run_id: str | None = None
    created_at: datetime | None = None
    location: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class WorkerModel:
    """Where one model was asked to execute and where it really does."""

    model: str
    requested: str
    effective: str
    sha256: str = ""
    runtime: str = ""
    device: str = ""
    nodes: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Worker:
    worker_id: str
    stage: str
    state: str
    requested_provider: str | None = None
    effective_provider: str | None = None
    reason: str | None = None
    models: tuple[WorkerModel, ...] = ()
    thread_cap: int | None = None
    threads: int | None = None
    cpu_seconds: float | None = None
    pid: int | None = None
    host: str | None = None
    health_port: int | None = None
    version: str | None = None
    last_seen_at: datetime | None = None
