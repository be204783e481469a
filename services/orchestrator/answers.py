"""What the API answers, field by field: REST is described by these, and the protos use the same names.

A field without a default is always there; None stands for what is not known. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.kit.artifacts import ArtifactKind
from services.kit.inference.placement import Provider
from services.kit.media_types import ContainerFormat
from services.kit.messages import WorkerState
from services.kit.stage_configs import ClusterConfig, DetectTrackConfig, FacesEmbedConfig
from services.kit.stages import Stage, TaskKind
from services.orchestrator.imports import ImportOutcome
from services.orchestrator.jobs import ExecutionMode, ExecutionPlace, JobKind
from services.orchestrator.lifecycle import State
from services.orchestrator.profiles import Profile
from services.orchestrator.staleness import StaleReason
from services.orchestrator.status import Source

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Problem(BaseModel):
    """RFC 9457. `code` is stable, and the last part of `type`; some codes bring members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str


# -- episodes ------------------------------------------------------------------------------------


class MediaInfo(BaseModel):
    """What the detector has read from the container; `fps` is `fps_num / fps_den`."""

    width: int
    height: int
    fps: float
    fps_num: int
    fps_den: int
    duration_s: float
    codec: str
    first_pts: int | None = None
    time_base_num: int
    time_base_den: int
    frames: int


class Episode(BaseModel):
    """`media_info` is known once the detector has planned the video; an imported episode may have no video."""

    ep_id: str
    episode_uid: str
    filename: str
    sha256: str | None
    size_bytes: int | None
    container: ContainerFormat | None
    created_at: Time
    media_info: MediaInfo | None


class EpisodeList(BaseModel):
    episodes: list[Episode]
    next_page_token: str = Field(description="empty on the last page")


class PhaseStatus(BaseModel):
    phase: Stage
    status: Literal["missing", "queued", "running", "success", "partial", "stale", "failed", "cancelled"]
    source: Source
    zero_rows: bool
    manifest_exists: bool
    last_run_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    runtime_s: float | None
    requested_device: str | None
    resolved_device: str | None
    stale_reason: StaleReason | None


class EpisodeStatus(BaseModel):
    """`execution_mode` and `execution_place` are those of the newest job whose submitter told them."""

    ep_id: str
    episode_uid: str
    phases: dict[Stage, PhaseStatus]
    faces_stale: bool
    cluster_stale: bool
    tracks_only_fallback: bool
    execution_mode: ExecutionMode | None
    execution_place: ExecutionPlace | None


class Identity(BaseModel):
    """Times are seconds of the video. Imported identities have what the older system wrote."""

    model_config = ConfigDict(extra="allow")

    identity_id: str
    label: str | None = None
    track_ids: list[int | str] = []
    size: int = 0
    cohesion: float | None = None
    rep_thumb_rel_path: str | None = None
    first_ts: float | None = None
    last_ts: float | None = None
    screen_time_s: float | None = None
    bridged_s: float | None = None


class IdentityList(BaseModel):
    ep_id: str
    identities: list[Identity]
    stats: dict[str, Any]


class Artifact(BaseModel):
    """`location` is a local path or a store URL; `source` says whether a run made it or it was imported."""

    kind: ArtifactKind
    stage: Stage
    uri: str
    sha256: str
    size_bytes: int
    rows: int | None
    run_id: str | None
    created_at: Time
    source: Literal["run", "imported"]
    location: str


class ArtifactList(BaseModel):
    artifacts: list[Artifact]


class ExportList(BaseModel):
    files: list[str]


class Marker(BaseModel):
    """The record that a finished stage leaves: docs/artifacts.md has its fields."""

    model_config = ConfigDict(extra="allow")


class ImportedFile(BaseModel):
    """`run_id` names the folder below `runs/`; empty in the flat layout."""

    name: str
    run_id: str
    stage: Stage | None
    sha256: str
    size_bytes: int
    rows: int | None
    modified_at: Time
    imported_at: Time


class ImportedFileList(BaseModel):
    files: list[ImportedFile]


class ImportDone(ImportedFile):
    outcome: ImportOutcome


# -- jobs ----------------------------------------------------------------------------------------


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


class JobList(BaseModel):
    jobs: list[Job]


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


# -- the system ----------------------------------------------------------------------------------


class WorkerModel(BaseModel):
    """Where one model was asked to execute and where it does; `nodes` counts graph nodes by provider."""

    model: str
    sha256: str
    requested: str
    effective: str
    runtime: str
    device: str
    nodes: dict[str, int] = {}
    reason: str = ""
    licence: str = ""


class Worker(BaseModel):
    """`reason` and `reason_code` are those of one that refused to start."""

    worker_id: str
    stage: str
    state: WorkerState
    requested_provider: str
    effective_provider: str
    at: Time
    last_seen_at: Time
    reason: str = ""
    reason_code: str = ""
    models: list[WorkerModel] = []
    thread_cap: int = 0
    threads: int = 0
    cpu_seconds: float = 0.0
    version: str = ""
    host: str = ""
    pid: int = 0
    health_port: int = 0
    task_id: str = ""


class WorkerList(BaseModel):
    workers: list[Worker]


class ProfileConfigs(BaseModel):
    """What a job of the profile does in each stage, without overrides."""

    detect_track: DetectTrackConfig
    faces_embed: FacesEmbedConfig
    cluster: ClusterConfig


class ProfileList(BaseModel):
    default: Profile
    profiles: dict[Profile, ProfileConfigs]
