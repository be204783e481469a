"""Settings of the orchestrator."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from services.kit.settings import DiskSettings, Group, ServiceSettings

Route = Annotated[str, StringConstraints(pattern=r"^(detect_track|faces_embed|cluster)/(cuda|cpu)$")]


class PostgresSettings(Group):
    """`migrate_at_start`: else the orchestrator waits, by ending, until another process has migrated."""

    dsn: str
    pool_size: int = Field(default=8, ge=2)
    migrate_at_start: bool = True


class HttpSettings(Group):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class GrpcSettings(Group):
    """`deadline_s` bounds every call but streams, whatever deadline the client has set.

    `keepalive_s`: how often a silent connection is looked at; one that does not answer within
    `keepalive_timeout_s` has ended. `reflection` tells everybody what the API is made of.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=9090, ge=0, le=65535)
    reflection: bool = False
    deadline_s: float = Field(default=90.0, gt=0)
    keepalive_s: float = Field(default=60.0, ge=1)
    keepalive_timeout_s: float = Field(default=20.0, gt=0)
    max_message_bytes: int = Field(default=4 << 20, ge=1024)


class MediaSettings(Group):
    """`allow_local_paths`: episodes may be registered by a path on the orchestrator's own machine."""

    allow_local_paths: bool = False
    max_upload_bytes: int = Field(default=64 << 30, ge=1)


class ImportsSettings(Group):
    """Of files of the older system."""

    max_file_bytes: int = Field(default=8 << 30, ge=1)


class RoutesSettings(Group):
    """`declared`: routes that exist even while no worker lives, as `stage/provider`."""

    declared: tuple[Route, ...] = ()
    grace_s: float = Field(default=3.0, ge=0)


class JobsSettings(Group):
    """`collect_after_s`: how long the files of an attempt that came to nothing are kept."""

    max_attempts: int = Field(default=4, ge=1)
    stall_s: float = Field(default=120.0, gt=0)
    max_runtime_s: float = Field(default=86_400.0, gt=0)
    queue_timeout_s: float = Field(default=3_600.0, gt=0)
    reaper_interval_s: float = Field(default=5.0, gt=0)
    log_retention_days: float = Field(default=30.0, gt=0)
    collect_after_s: float = Field(default=3_600.0, ge=0)


class ErasureSettings(Group):
    """`settle_s`: how long a receipt stays pending after the last attempt at the episode was closed.

    `hash_key`: for the hashes of names in receipts; without it one is made and kept in Postgres.
    """

    settle_s: float = Field(default=20.0, ge=0)
    hash_key: str = Field(default="", repr=False)


class RetentionSettings(Group):
    """Days for which each kind of data is kept; 0 keeps it until it is erased by hand.

    Log lines have `jobs.log_retention_days`.
    """

    trash_days: float = Field(default=30.0, ge=0)
    episodes_days: float = Field(default=0.0, ge=0)
    videos_days: float = Field(default=0.0, ge=0)
    faces_days: float = Field(default=0.0, ge=0)
    events_days: float = Field(default=0.0, ge=0)
    dead_letters_days: float = Field(default=0.0, ge=0)
    receipts_days: float = Field(default=0.0, ge=0)


class OrchestratorSettings(ServiceSettings):
    postgres: PostgresSettings
    http: HttpSettings = HttpSettings()
    grpc: GrpcSettings = GrpcSettings()
    media: MediaSettings = MediaSettings()
    imports: ImportsSettings = ImportsSettings()
    disk: DiskSettings = DiskSettings()
    routes: RoutesSettings = RoutesSettings()
    jobs: JobsSettings = JobsSettings()
    erasure: ErasureSettings = ErasureSettings()
    retention: RetentionSettings = RetentionSettings()
