"""The profile table and what a request makes of it: the effective config of each stage. Pure.

Every default of the product stands here; workers hold none.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from services.kit.errors import InvalidRequest
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.stage_configs import (
    ClusterConfig,
    DetectTrackConfig,
    FacesEmbedConfig,
    SceneDetector,
    StageConfig,
)
from services.kit.stages import STAGE_ORDER, Stage

# More threads than any machine has: the cgroup's limit decides.
UNCAPPED = 1024
_LOUD_JPEG_QUALITY = 85


class Profile(StrEnum):
    LOW_POWER = "low_power"
    BALANCED = "balanced"
    PERFORMANCE = "performance"


DEFAULT_PROFILE = Profile.BALANCED

PROFILES: Mapping[Profile, Mapping[str, Any]] = {
    Profile.LOW_POWER: {
        "stride": 8,
        "detector_long_side_px": 480,
        # Without cuts a track runs from one person to another; finding them costs 0.6 ms a frame.
        "scene_detector": SceneDetector.INTERNAL,
        "chips_per_track": 4,
        "thread_cap": 2,
    },
    Profile.BALANCED: {
        "stride": 5,
        "detector_long_side_px": 640,
        "scene_detector": SceneDetector.INTERNAL,
        "chips_per_track": 6,
        "thread_cap": 4,
    },
    Profile.PERFORMANCE: {
        "stride": 1,
        "detector_long_side_px": 960,
        "scene_detector": SceneDetector.PYSCENEDETECT,
        "chips_per_track": 12,
        "thread_cap": UNCAPPED,
    },
}

# What the profiles have in common.
_DEFAULTS: Mapping[Stage, Mapping[str, Any]] = {
    Stage.DETECT_TRACK: {
        "batch_size": 8,
        "score_threshold": 0.5,
        "track_high_score": 0.7,
        "track_match_iou": 0.2,
        "track_max_lost_s": 1.0,
        "nms_iou": 0.3,
        "cut_threshold": 25.0,
        "cut_ratio": 2.0,
        "chip_jpeg_quality": 92,
        "min_face_px": 16.0,
        "segment_s": 300.0,
        "save_frames": False,
        "save_crops": False,
        "jpeg_quality": 70,
    },
    Stage.FACES_EMBED: {
        "batch_size": 32,
        "min_confidence": 0.6,
        "min_sharpness": 2.0,
        "min_contrast": 6.0,
        "max_abs_yaw_deg": 60.0,
    },
    Stage.CLUSTER: {
        "batch_size": 1,
        "outlier_cosine": 0.2,
        "min_screen_time_s": 0.5,
        "block_rows": 2048,
    },
}
_CONFIGS: Mapping[Stage, type[StageConfig]] = {
    Stage.DETECT_TRACK: DetectTrackConfig,
    Stage.FACES_EMBED: FacesEmbedConfig,
    Stage.CLUSTER: ClusterConfig,
}


def effective_config(
    stage: Stage, profile: Profile, overrides: Mapping[str, Any], catalog: Catalog
) -> StageConfig:
    """The profile's values with the request's over them.

    Raises `InvalidRequest` naming each value that does not fit, `ModelUnusable` for an unknown model.
    """
    kind = _CONFIGS[stage]
    known = {**_DEFAULTS[stage], **PROFILES[profile], **_models(stage, overrides, catalog), **overrides}
    try:
        return kind.model_validate({k: v for k, v in known.items() if k in kind.model_fields})
    except ValidationError as error:
        faults = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise InvalidRequest(f"overrides do not fit: {faults}") from error


def check_override_names(overrides: Mapping[str, Any]) -> None:
    """Raises `InvalidRequest` for a name that no stage has."""
    known = {name for kind in _CONFIGS.values() for name in kind.model_fields}
    if unknown := sorted(set(overrides) - known):
        raise InvalidRequest(
            f"unknown overrides: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(known))}"
        )


def _models(stage: Stage, overrides: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    if stage is Stage.DETECT_TRACK:
        return {"detector": catalog.detector(_model_name("detector", overrides, catalog)).name}
    embedder = catalog.embedder(_model_name("embedder", overrides, catalog))
    return {"embedder": embedder.name, "track_threshold": embedder.track_threshold}


def _model_name(role: str, overrides: Mapping[str, Any], catalog: Catalog) -> str:
    name = overrides[role] if role in overrides else catalog.default(role)
    if not isinstance(name, str):
        raise InvalidRequest(f"overrides do not fit: {role}: a model is given by its name")
    return name


def profile_table(catalog: Catalog) -> dict[str, Any]:
    """What a job of each profile does in each stage, without overrides."""
    profiles = {
        profile: {
            stage: effective_config(stage, profile, {}, catalog).model_dump(mode="json")
            for stage in STAGE_ORDER
        }
        for profile in Profile
    }
    return {"default": DEFAULT_PROFILE, "profiles": profiles}


def fallback_warning(route: Provider, requested: Provider) -> list[str]:
    if route is requested:
        return []
    return [f"the job runs on the CPU: {requested} was requested and is not available, as permitted"]


def heavy_choices(config: StageConfig, route: Provider) -> list[str]:
    """What costs much heat, time or disk, or correctness, so that nobody is surprised by it."""
    if not isinstance(config, DetectTrackConfig):
        return []
    checks = {
        "every sampled frame is saved": config.save_frames,
        "every face crop is saved": config.save_crops,
        f"JPEG quality {config.jpeg_quality} makes large files": config.jpeg_quality > _LOUD_JPEG_QUALITY,
        "every frame is detected (stride 1) on the CPU": config.stride == 1 and route is Provider.CPU,
        "no cuts are looked for, so a track may run from one person to another; "
        "--scene-detector internal looks for them": config.scene_detector is SceneDetector.OFF,
    }
    return [text for text, holds in checks.items() if holds]


def affecting_output(stage: Stage, config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a stored config that belongs into the fingerprint."""
    return {k: v for k, v in config.items() if k not in _CONFIGS[stage].WITHOUT_EFFECT}
