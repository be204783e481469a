"""What doctor looks at: the settings of a worker and of the orchestrator, of which none is required."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings

from services.kit.settings import (
    InferenceSettings,
    ModelsSettings,
    ServiceSettings,
    ThreadsSettings,
    TritonSettings,
)


class _Address(BaseModel):
    """Other fields of the group are another service's business. Empty: not configured."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Dsn(_Address):
    dsn: str = ""


class _Url(_Address):
    url: str = ""
    options: dict[str, str] = {}


class DoctorSettings(BaseSettings):
    model_config = ServiceSettings.model_config

    inference: InferenceSettings = InferenceSettings()
    triton: TritonSettings = TritonSettings()
    threads: ThreadsSettings = ThreadsSettings()
    models: ModelsSettings = ModelsSettings()
    postgres: _Dsn = _Dsn()
    nats: _Url = _Url()
    store: _Url = _Url()
