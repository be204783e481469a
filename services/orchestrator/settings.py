"""Settings of the orchestrator."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.kit.settings import DiskSettings, Group, ListenerSettings, PathSetting, ServiceSettings
from services.orchestrator.access.exposure import AccessMode

Route = Annotated[str, StringConstraints(pattern=r"^(detect_track|faces_embed|cluster)/(cuda|cpu)$")]


class PostgresSettings(Group):
    """`dsn`: as libpq has it; unless it says otherwise, a connection outlives the server's machine by half a
    minute. `migrate_at_start`: else the orchestrator waits, by ending, until another process has migrated.
    """

    dsn: str
    pool_size: int = Field(default=8, ge=2)
    migrate_at_start: bool = True


class HttpSettings(ListenerSettings):
    port: int = Field(default=8080, ge=0, le=65535)


class GrpcSettings(ListenerSettings):
    """`deadline_s` bounds every call but streams and fetching a video, whatever deadline the client has set.

    `keepalive_s`: how often a silent connection is looked at; one that does not answer within
    `keepalive_timeout_s` has ended. `reflection` tells everybody what the API is made of.
    """

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


class OutboundSettings(Group):
    """Of requests to URLs that users give: sources of videos, and webhooks.

    `allow_networks`: networks to call although they are not public. `ca_file`: certificates to trust in place
    of the system's. Behind `proxy_url` the proxy resolves names, so that it has to refuse what is not public.
    """

    schemes: tuple[Literal["https", "http"], ...] = ("https",)
    ports: tuple[int, ...] = (443,)
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ca_file: PathSetting = None
    proxy_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    connect_timeout_s: float = Field(default=10.0, gt=0)
    idle_timeout_s: float = Field(default=30.0, gt=0)
    max_redirects: int = Field(default=5, ge=0)


class SourcesSettings(Group):
    """Of videos that are registered by a URI.

    `hosts`: `name`, `*.domain` or `*`; an empty list takes none. `prefixes`: of `s3://`, `gs://`, `az://` or
    `file://`, each with obstore's options; what lies below them can be read by everybody who may submit.
    """

    hosts: tuple[str, ...] = ("*",)
    prefixes: dict[str, dict[str, str]] = Field(default={})
    max_fetch_s: float = Field(default=3_600.0, gt=0)


class UploadsSettings(Group):
    """Of uploads that come in parts. `part_bytes`: what a lost connection may cost at most."""

    expire_after_s: float = Field(default=86_400.0, gt=0)
    part_bytes: int = Field(default=16 << 20, ge=1)


class WebhooksSettings(Group):
    """`secret_key`: base64 of 32 bytes, which seals the webhooks' secrets; without it there are no webhooks.

    `hosts`: `name`, `*.domain` or `*`. `source`: of the events. A delivery is dead after `max_attempts`.
    """

    secret_key: str = Field(default="", pattern=r"^([A-Za-z0-9+/]{43}=)?$")
    hosts: tuple[str, ...] = ("*",)
    source: str = "urn:screenalytics"
    timeout_s: float = Field(default=15.0, gt=0)
    max_attempts: int = Field(default=12, ge=1)
    first_retry_s: float = Field(default=5.0, gt=0)
    longest_retry_s: float = Field(default=21_600.0, gt=0)


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


class AccessSettings(Group):
    """Who may call the API. `mode`: `open` asks nobody, `required` asks everybody for a key or a token, `auto`
    is open where only this machine can connect.

    `calls_per_second` and `call_burst` hold for each caller and replica, `upload_bytes_per_day` (of request
    bodies and of what is fetched by `source_uri`, UTC) for each caller; 0 is no limit. `key_cache_s`: how long
    another replica may go on taking a revoked key.
    """

    mode: AccessMode = AccessMode.AUTO
    allow_anyone_who_can_connect: bool = False
    calls_per_second: float = Field(default=50.0, ge=0)
    call_burst: int = Field(default=200, ge=1)
    upload_bytes_per_day: int = Field(default=1 << 40, ge=0)
    key_cache_s: float = Field(default=2.0, ge=0, le=60)
    audit_retention_days: float = Field(default=365.0, gt=0)


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class OidcSettings(Group):
    """Bearer tokens of an OpenID Connect issuer; none are taken without `issuer`. `audience` is this system's.

    The issuer's keys come from `jwks_url` or `jwks_file`. `scopes_claim` names the claim that lists scopes,
    each behind `scopes_prefix`.
    """

    issuer: str = ""
    audience: str = ""
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    jwks_url: str = Field(default="", pattern=r"^(https://.+|http://(127\.0\.0\.1|localhost|\[::1\])[:/].*)?$")
    jwks_file: PathSetting = None
    ca_file: PathSetting = None
    refresh_at_most_every_s: float = Field(default=30.0, ge=0)
    scopes_claim: str = "scope"
    scopes_prefix: str = ""
    leeway_s: float = Field(default=30.0, ge=0, le=300)


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
    outbound: OutboundSettings = OutboundSettings()
    sources: SourcesSettings = SourcesSettings()
    uploads: UploadsSettings = UploadsSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    disk: DiskSettings = DiskSettings()
    routes: RoutesSettings = RoutesSettings()
    jobs: JobsSettings = JobsSettings()
    access: AccessSettings = AccessSettings()
    oidc: OidcSettings = OidcSettings()
    erasure: ErasureSettings = ErasureSettings()
    retention: RetentionSettings = RetentionSettings()
