"""Every setting of every service is reachable by its documented name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from services.kit.settings import ServiceSettings, WorkerSettings, env_name, read_settings
from services.orchestrator.settings import OrchestratorSettings

SERVICES = ("detector", "embedder", "clusterer")
# Values that are not the default, by type; `os.environ` knows only text.
_SAMPLES: dict[str, str] = {
    "SCREENALYTICS_STORE__URL": "file:///elsewhere",
    "SCREENALYTICS_STORE__OPTIONS": '{"region": "eu"}',
    "SCREENALYTICS_MODELS__DIR": "/elsewhere",
    "SCREENALYTICS_INFERENCE__PROVIDER": "cpu",
    "SCREENALYTICS_MODELS__OVERLAY_DIR": "/elsewhere",
    "SCREENALYTICS_MODELS__CACHE_DIR": "/elsewhere",
    "SCREENALYTICS_TRITON__URL": "elsewhere:8001",
    "SCREENALYTICS_WORKER__SCRATCH_DIR": "/elsewhere",
    "SCREENALYTICS_LOG__LEVEL": "DEBUG",
    "SCREENALYTICS_SOURCES__HOSTS": '["elsewhere"]',
    "SCREENALYTICS_SOURCES__PREFIXES": '{"s3://elsewhere": {}}',
    "SCREENALYTICS_WEBHOOKS__SECRET_KEY": "A" * 43 + "=",
    "SCREENALYTICS_WEBHOOKS__HOSTS": '["elsewhere"]',
    "SCREENALYTICS_OUTBOUND__SCHEMES": '["https", "http"]',
    "SCREENALYTICS_OUTBOUND__PORTS": "[8443]",
    "SCREENALYTICS_OUTBOUND__ALLOW_NETWORKS": '["10.0.0.0/8"]',
    "SCREENALYTICS_OUTBOUND__CA_FILE": "/elsewhere",
    "SCREENALYTICS_OUTBOUND__PROXY_URL": "http://elsewhere:3128",
    "SCREENALYTICS_LOG__FORMAT": "json",
    "SCREENALYTICS_TRACES__ENDPOINT": "https://elsewhere:4317",
    "SCREENALYTICS_TRACES__SAMPLE_RATIO": "0.5",
    "SCREENALYTICS_TRACES__HEADERS": '{"authorization": "a token"}',
    "SCREENALYTICS_TRACES__CA_FILE": "/elsewhere",
    "SCREENALYTICS_ROUTES__DECLARED": '["cluster/cpu"]',
    "SCREENALYTICS_ACCESS__MODE": "required",
    **{
        f"SCREENALYTICS_{listener}__TLS_{file}_FILE": "/elsewhere"
        for listener in ("HTTP", "GRPC", "HEALTH")
        for file in ("CERT", "KEY", "CLIENT_CA")
    },
    **{
        f"SCREENALYTICS_NATS__{field}": "/elsewhere"
        for field in ("TLS_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE")
    },
    "SCREENALYTICS_OIDC__ALGORITHMS": '["EdDSA"]',
    "SCREENALYTICS_OIDC__JWKS_URL": "https://elsewhere/keys",
    "SCREENALYTICS_OIDC__JWKS_FILE": "/elsewhere",
    "SCREENALYTICS_OIDC__CA_FILE": "/elsewhere",
}


@pytest.fixture(autouse=True)
def _bare_environment() -> Iterator[None]:
    before = dict(os.environ)
    for name in [n for n in os.environ if n.startswith("SCREENALYTICS_")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def settings_classes() -> list[type[ServiceSettings]]:
    found: list[type[ServiceSettings]] = [WorkerSettings, OrchestratorSettings]
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.settings")
        found += [
            cls
            for cls in vars(module).values()
            if isinstance(cls, type) and issubclass(cls, ServiceSettings) and cls.__module__ == module.__name__
        ]
    return found


def leaves(cls: type[BaseModel]) -> Iterator[tuple[str, str, Any]]:
    for group, outer in cls.model_fields.items():
        kind = outer.annotation
        assert isinstance(kind, type), group
        assert issubclass(kind, BaseModel), f"{cls.__name__}.{group} is no group"
        for field, inner in kind.model_fields.items():
            yield group, field, inner.get_default(call_default_factory=False)


def other_value(name: str, default: Any) -> str:
    if name in _SAMPLES:
        return _SAMPLES[name]
    if isinstance(default, bool):
        return str(not default).lower()
    if isinstance(default, int | float):
        return str(int(default) + 3)
    return "7" if default is None else f"{default}-other"


def required(cls: type[ServiceSettings]) -> dict[str, str]:
    dsn = {"SCREENALYTICS_POSTGRES__DSN": "postgresql://x"} if cls is OrchestratorSettings else {}
    return {"SCREENALYTICS_STORE__URL": "file:///store"} | dsn


@pytest.mark.parametrize("cls", settings_classes(), ids=lambda cls: cls.__name__)
def test_every_field_is_read_from_its_documented_name(cls: type[ServiceSettings]) -> None:
    for group, field, default in leaves(cls):
        name = env_name(group, field)
        os.environ.update(required(cls))
        before = getattr(getattr(read_settings(cls), group), field)
        os.environ[name] = other_value(name, default)
        after = getattr(getattr(read_settings(cls), group), field)
        assert after != before, name
        del os.environ[name]
