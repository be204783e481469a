"""A typed, synchronous client of the Screenalytics REST API."""

from services.client.client import Client
from services.client.errors import (
    ApiError,
    ApiUnavailable,
    ClientError,
    InvalidAddress,
    InvalidCredentials,
    UnexpectedAnswer,
)
from services.client.events import JobEvent, LogLine, StageProgress, StateChange
from services.client.keys import ApiKey, ApiKeys, IssuedApiKey
from services.client.overrides import Overrides
from services.client.records import (
    Artifact,
    Episode,
    EpisodeStatus,
    Erasure,
    Identity,
    ImportedFile,
    Job,
    JobState,
    MediaInfo,
    PhaseStatus,
    Progress,
    RunError,
    StageRun,
    TrashedEpisode,
    Why,
    Worker,
    WorkerModel,
)
from services.client.settings import ClientSettings

__all__ = [
    "ApiError",
    "ApiKey",
    "ApiKeys",
    "ApiUnavailable",
    "Artifact",
    "Client",
    "ClientError",
    "ClientSettings",
    "Episode",
    "EpisodeStatus",
    "Erasure",
    "Identity",
    "ImportedFile",
    "InvalidAddress",
    "InvalidCredentials",
    "IssuedApiKey",
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
    "TrashedEpisode",
    "UnexpectedAnswer",
    "Why",
    "Worker",
    "WorkerModel",
]
