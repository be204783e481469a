"""Settings groups that more than one service reads, from `SCREENALYTICS_<GROUP>__<FIELD>`.

Read once in a service's `__main__`, frozen, and passed down; nothing else reads the environment.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from services.kit.errors import InvalidSettings
from services.kit.inference.placement import Provider

S = TypeVar("S", bound=BaseSettings)

# The name that the older system's users have in their environments.
_OLD_THREADS = "SCREENALYTICS_LOCAL_MAX_THREADS"


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


PathSetting = Annotated[Path | None, AfterValidator(lambda p: None if p is None or p == Path() else p)]


class NatsSettings(Group):
    """With `tls_ca_file`, or a `tls://` address, a server that offers no TLS is refused; `tls_cert_file` and
    `tls_key_file` are for one that asks for them."""

    url: str = "nats://127.0.0.1:4222"
    user: str = ""
    password: SecretStr = SecretStr("")
    tls_ca_file: PathSetting = None
    tls_cert_file: PathSetting = None
    tls_key_file: PathSetting = None


class StoreSettings(Group):
    """`options`: obstore's for the scheme (region, endpoint, access keys) and its HTTP client (allow_http)."""

    url: str
    options: dict[str, str] = {}


class ModelsSettings(Group):
    """`overlay_dir`: what `screenalytics models pull|add` writes; `overlay_url`: the same in an object store.

    `cache_dir`: models with a composed head, and what was fetched from the store.
    """

    dir: PathSetting = None
    overlay_dir: PathSetting = None
    overlay_url: str = ""
    cache_dir: PathSetting = None


class InferenceSettings(Group):
    """`check_interval_s`: how often a worker asks again where its models run. The rest is for CUDA alone."""

    provider: Provider = Provider.CUDA
    allow_cpu_fallback: bool = False
    check_interval_s: float = Field(default=30.0, gt=0)
    start_timeout_s: float = Field(default=170.0, gt=0)
    gpu_device_id: int = Field(default=0, ge=0)
    gpu_mem_limit_bytes: int | None = Field(default=None, ge=1)
    tensorrt: bool = False


class TritonSettings(Group):
    """`url`: `host:port` of the gRPC endpoint of the Triton server that runs the models; none: the worker.

    `deadline_s` bounds one call; a call that found no server is made again for `retry_for_s`.
    """

    url: str = Field(default="", pattern=r"^([^/\s]+:\d{1,5})?$")
    deadline_s: float = Field(default=30.0, gt=0)
    retry_for_s: float = Field(default=5.0, ge=0)


class ThreadsSettings(Group):
    max_cpu: int | None = Field(default=None, ge=1)


class ListenerSettings(Group):
    """`tls_cert_file` (PEM, the chain): only TLS is spoken. `tls_client_ca_file`: clients need one of it."""

    host: str = "127.0.0.1"
    tls_cert_file: PathSetting = None
    tls_key_file: PathSetting = None
    tls_client_ca_file: PathSetting = None


class HealthSettings(ListenerSettings):
    port: int = Field(default=9100, ge=0, le=65535)


class WorkerGroup(Group):
    """`scratch_dir` holds the attempts in work; what is left in it from a killed worker is removed at start."""

    scratch_dir: Path | None = None
    drain_grace_s: float = Field(default=15.0, ge=0)


class DiskSettings(Group):
    """`check`: refuse what would not fit; `reserve_bytes` stay free in any case."""

    check: bool = True
    reserve_bytes: int = Field(default=256 << 20, ge=0)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogSettings(Group):
    """`format`: `json` writes each record as one line of JSON, with the keys of docs/observability.md."""

    level: str = Field(default="INFO", pattern=r"^(?i)(debug|info|warning|error|critical)$")
    format: LogFormat = LogFormat.TEXT


class TracesSettings(Group):
    """`endpoint`: collector of OTLP over gRPC: `http://host:4317`, or `https://...` with TLS; none: no traces.

    `sample_ratio`: share of the traces that begin here; what a caller has decided is followed. `headers` go
    with each export, such as a token. `ca_file`: whom to trust instead of gRPC's own roots.
    """

    endpoint: str = Field(default="", pattern=r"^(https?://[^/\s]+:\d{1,5})?$")
    sample_ratio: float = Field(default=1.0, ge=0, le=1)
    headers: dict[str, str] = {}
    ca_file: PathSetting = None


class ProcessSettings(BaseSettings):
    """What a process needs to know to say that the rest of its settings is wrong."""

    model_config = SettingsConfigDict(
        env_prefix="SCREENALYTICS_",
        env_nested_delimiter="__",
        env_nested_max_split=1,
        frozen=True,
        extra="ignore",
    )

    log: LogSettings = LogSettings()


class ServiceSettings(ProcessSettings):
    nats: NatsSettings = NatsSettings()
    store: StoreSettings
    models: ModelsSettings = ModelsSettings()
    traces: TracesSettings = TracesSettings()


class WorkerSettings(ServiceSettings):
    inference: InferenceSettings = InferenceSettings()
    triton: TritonSettings = TritonSettings()
    threads: ThreadsSettings = ThreadsSettings()
    health: HealthSettings = HealthSettings()
    worker: WorkerGroup = WorkerGroup()


_FAULTS = {"extra_forbidden": "there is no such setting", "missing": "is not set"}


def read_settings(cls: type[S]) -> S:
    """Raises `InvalidSettings` with one line per field that does not fit."""
    if _OLD_THREADS in os.environ and "SCREENALYTICS_THREADS__MAX_CPU" not in os.environ:
        os.environ["SCREENALYTICS_THREADS__MAX_CPU"] = os.environ[_OLD_THREADS]
    try:
        return cls()
    except ValidationError as error:
        lines = [f"{env_name(*map(str, e['loc']))}: {_FAULTS.get(e['type'], e['msg'])}" for e in error.errors()]
        raise InvalidSettings("; ".join(lines)) from error
    except SettingsError as error:
        raise InvalidSettings(_unparsed(error)) from error


def _unparsed(error: SettingsError) -> str:
    """Lists and maps are written as JSON; the library names the group whose text is none."""
    group = str(error).split('"')[1]
    return f"{env_name(group)} or a field below it is not JSON: {error.__cause__}"


def env_name(*path: str) -> str:
    return "SCREENALYTICS_" + "__".join(part.upper() for part in path)
