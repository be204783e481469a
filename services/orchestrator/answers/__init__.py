"""What the API answers, field by field: REST is described by these, and the protos use the same names.

A field without a default is always there; None stands for what is not known. Times are RFC 3339 in UTC.
"""

from services.orchestrator.answers.access import (
    ApiKey,
    ApiKeyList,
    AuditEntry,
    AuditPage,
    IssuedApiKey,
)
from services.orchestrator.answers.episodes import (
    Artifact,
    ArtifactList,
    Episode,
    EpisodeList,
    EpisodeStatus,
    ExportList,
    Identity,
    IdentityList,
    ImportDone,
    ImportedFile,
    ImportedFileList,
    Marker,
    MediaInfo,
    PhaseStatus,
)
from services.orchestrator.answers.erasures import ErasureReceipt, TrashedEpisode
from services.orchestrator.answers.jobs import (
    DeadLetter,
    DeadLetterList,
    Job,
    JobList,
    JobWhy,
    LogLine,
    LogPage,
    Progress,
    RunError,
    StageRun,
)
from services.orchestrator.answers.shared import (
    Problem,
)
from services.orchestrator.answers.system import (
    ProfileConfigs,
    ProfileList,
    Worker,
    WorkerList,
    WorkerModel,
)
from services.orchestrator.answers.uploads import Upload, UploadError
from services.orchestrator.answers.webhooks import (
    Delivery,
    DeliveryList,
    DeliveryTry,
    Webhook,
    WebhookList,
    WebhookWithSecret,
)

__all__ = [
    "ApiKey",
    "ApiKeyList",
    "Artifact",
    "ArtifactList",
    "AuditEntry",
    "AuditPage",
    "DeadLetter",
    "DeadLetterList",
    "Delivery",
    "DeliveryList",
    "DeliveryTry",
    "Episode",
    "EpisodeList",
    "EpisodeStatus",
    "ErasureReceipt",
    "ExportList",
    "Identity",
    "IdentityList",
    "ImportDone",
    "ImportedFile",
    "ImportedFileList",
    "IssuedApiKey",
    "Job",
    "JobList",
    "JobWhy",
    "LogLine",
    "LogPage",
    "Marker",
    "MediaInfo",
    "PhaseStatus",
    "Problem",
    "ProfileConfigs",
    "ProfileList",
    "Progress",
    "RunError",
    "StageRun",
    "TrashedEpisode",
    "Upload",
    "UploadError",
    "Webhook",
    "WebhookList",
    "WebhookWithSecret",
    "Worker",
    "WorkerList",
    "WorkerModel",
]
