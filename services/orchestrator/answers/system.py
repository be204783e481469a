"""Workers and profiles."""

from __future__ import annotations

from pydantic import BaseModel

from services.kit.messages import WorkerState
from services.kit.stage_configs import ClusterConfig, DetectTrackConfig, FacesEmbedConfig
from services.orchestrator.answers.shared import Time
from services.orchestrator.profiles import Profile


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
