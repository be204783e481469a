"""Writes `settings.md` from the settings classes: `python docs/generate_settings.py > docs/settings.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from services.client import ClientSettings
from services.clusterer.settings import ClustererSettings
from services.detector.settings import DetectorSettings
from services.embedder.settings import EmbedderSettings
from services.kit.settings import env_name
from services.orchestrator.settings import OrchestratorSettings

_SERVICES: dict[str, type[BaseSettings]] = {
    "orchestrator": OrchestratorSettings,
    "detector": DetectorSettings,
    "embedder": EmbedderSettings,
    "clusterer": ClustererSettings,
}
_CLASSES = {**_SERVICES, "command": ClientSettings}
_HEAD = """# Settings

Read once when a process starts, from the environment. Lists are JSON. What a job does (stride, profile,
models) is no setting: it belongs to the job and is shown by `GET /v1/profiles`.

| setting | default | read by |
|---|---|---|"""
_TAIL = """
`SCREENALYTICS_LOCAL_MAX_THREADS` is an older name of `SCREENALYTICS_THREADS__MAX_CPU`. The command also reads
`SCREENALYTICS_API__URL`, the address of a system to use instead of starting one."""


def fields(service: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    """(environment name, default) of every setting of a service."""
    for group_name, group in service.model_fields.items():
        kind = group.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, BaseModel)
        held = group.default if isinstance(group.default, BaseModel) else None
        for name, field in kind.model_fields.items():
            default = getattr(held, name) if held is not None else field.default
            yield env_name(group_name, name), _shown(default)


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None or default in ((), {}, ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def table() -> Iterator[str]:
    readers: dict[tuple[str, str], list[str]] = {}
    for service, kind in _CLASSES.items():
        for entry in fields(kind):
            readers.setdefault(entry, []).append(service)
    for (name, default), services in sorted(readers.items()):
        shown = "all" if services == [*_SERVICES] else ", ".join(services)
        yield f"| `{name}` | {default} | {shown} |"


if __name__ == "__main__":
    print(_HEAD)
    print("\n".join(table()))
    print(_TAIL)
