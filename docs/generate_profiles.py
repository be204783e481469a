"""Writes `profiles.md` from the profile table: `python docs/generate_profiles.py > docs/profiles.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.stage_configs import SceneDetector, StageConfig
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.profiles import (
    DEFAULT_PROFILE,
    PROFILES,
    UNCAPPED,
    Profile,
    effective_config,
    heavy_choices,
)

_HEAD = """# Profiles

How thorough a job is, and how much of a machine it takes. A job names its profile and may override each
value; what it runs with is frozen when it is submitted and stands in its marker. `GET /v1/profiles` shows the
same table; workers hold no defaults. On the CPU `thread_cap` bounds the threads of a worker, and
`SCREENALYTICS_THREADS__MAX_CPU` wins over it.
"""
_HEAVY_HEAD = """
## What is heavy

Saved frames and crops are off, and JPEG quality is 70, in every profile. A job that chooses otherwise is
accepted, says so in its `warnings`, and the command prints them:
"""
_HEAVY = {
    "save_frames": True,
    "save_crops": True,
    "jpeg_quality": 95,
    "stride": 1,
    "scene_detector": SceneDetector.OFF,
}
_DISK = """
## Disk

Before a job runs, what it will write is estimated from the length and size of the video, the stride, and what
is saved. Where that would not fit, the job is refused with the code `insufficient-disk`, the bytes needed and
the bytes free:

* by the orchestrator, at submit, for the disk of a `file://` store, once the video's length is known;
* by the detector, when it has read the video's index and before it decodes, for the disk of its scratch
  folder, and for that of a `file://` store.

A remote store (`s3://`, `gs://`, `az://`) has no size that can be asked for: only the scratch folders are
checked, and its quota is yours to watch. The figures are estimates on the safe side.
`SCREENALYTICS_DISK__RESERVE_BYTES` stays free in any case; `SCREENALYTICS_DISK__CHECK=false` turns the check
off."""


def profile_table() -> Iterator[str]:
    yield "| | " + " | ".join(f"`{p}`" + (" (default)" if p is DEFAULT_PROFILE else "") for p in Profile) + " |"
    yield "|---|" + "---|" * len(Profile)
    for name in PROFILES[DEFAULT_PROFILE]:
        yield f"| `{name}` | " + " | ".join(_shown(PROFILES[p][name]) for p in Profile) + " |"


def stage_tables(catalog: Catalog) -> Iterator[str]:
    varying = set(PROFILES[DEFAULT_PROFILE])
    for stage in STAGE_ORDER:
        config = effective_config(stage, DEFAULT_PROFILE, {}, catalog)
        yield f"\n## Values of `{stage}` in every profile\n\n| override | value | |\n|---|---|---|"
        for name, value in config.model_dump(mode="json").items():
            if name not in varying:
                yield f"| `{name}` | {_value(name, value)} | {_meaning(config, name)} |"


def heavy_list(catalog: Catalog) -> Iterator[str]:
    config = effective_config(Stage.DETECT_TRACK, DEFAULT_PROFILE, _HEAVY, catalog)
    yield from (f"* {text}" for text in heavy_choices(config, Provider.CPU))


def _value(name: str, value: Any) -> str:
    """What comes from the catalog depends on the models of an installation."""
    from_catalog = {
        "detector": "the catalog's",
        "embedder": "the catalog's",
        "track_threshold": "the embedder's",
    }
    return from_catalog.get(name, _shown(value))


def _meaning(config: StageConfig, name: str) -> str:
    return type(config).model_fields[name].description or ""


def _shown(value: Any) -> str:
    if value == UNCAPPED:
        return "the cgroup's limit"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    shipped = Catalog.load(None)
    print(_HEAD)
    print("\n".join(profile_table()))
    print("\n".join(stage_tables(shipped)))
    print(_HEAVY_HEAD)
    print("\n".join(heavy_list(shipped)))
    print(_DISK)
