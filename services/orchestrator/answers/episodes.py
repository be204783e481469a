"""Episodes, what is known of them, and their files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.kit.artifacts import ArtifactKind
from services.kit.media_types import ContainerFormat
from services.kit.stages import Stage
from services.orchestrator.answers.shared import NextPageToken, Tag, Time
from services.orchestrator.imports import ImportOutcome
from services.orchestrator.job_request import ExecutionMode, ExecutionPlace
from services.orchestrator.staleness import StaleReason
from services.orchestrator.status import Source


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
    """`media_info` is known once the detector has planned the video; an imported episode may have no video.

    `purge_at`: when an episode in the trash is erased. `media_removed_at`: since when its video is not kept.
    """

    ep_id: str
    episode_uid: str
    title: str
    labels: dict[str, str]
    filename: str
    sha256: str | None
    size_bytes: int | None
    container: ContainerFormat | None
    created_at: Time
    trashed_at: Time | None
    purge_at: Time | None
    media_removed_at: Time | None
    media_info: MediaInfo | None
    etag: Tag


class EpisodeList(BaseModel):
    episodes: list[Episode]
    next_page_token: NextPageToken


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
