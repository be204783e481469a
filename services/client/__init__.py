"""A typed, synchronous client of the Screenalytics REST API."""

from services.client.client import Client, Overrides
from services.client.errors import ApiError, ApiUnavailable, ClientError, InvalidAddress, UnexpectedAnswer
from services.client.events import JobEvent, LogLine, StageProgress, StateChange
from services.client.records import (
    Artifact,
    Episode,
    EpisodeStatus,
    Identity,
    ImportedFile,
    Job,
    JobState,
    MediaInfo,
    PhaseStatus,
    Progress,
    RunError,
    StageRun,
    Why,
    Worker,
    WorkerModel,
)

__all__ = [
    "ApiError",
    "ApiUnavailable",
    "Artifact",
    "Client",
    "ClientError",
    "Episode",
    "EpisodeStatus",
    "Identity",
    "ImportedFile",
    "InvalidAddress",
    "Job",
    "JobEvent",
    "JobState",
    "LogLine",
    "MediaInfo",
    "Overrides",
    "PhaseStatus",
    "Progress",
    "RunError",
    "StageProgress",
    "StageRun",
    "StateChange",
    "UnexpectedAnswer",
    "Why",
    "Worker",
    "WorkerModel",
]
