"""The profile table, and what a request makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from services.kit.errors import InvalidRequest, ModelUnusable
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.profiles import (
    DEFAULT_PROFILE,
    PROFILES,
    Profile,
    check_override_names,
    effective_config,
    fallback_warning,
    heavy_choices,
)

CATALOG = Catalog.load(None)


def config(stage: Stage, profile: Profile = DEFAULT_PROFILE, **overrides: Any) -> dict[str, Any]:
    return effective_config(stage, profile, overrides, CATALOG).model_dump(mode="json")


# The table of the product: stride, detector long side, scene detector, chips per track, thread cap.
TABLE = {
    Profile.LOW_POWER: (8, 480, "internal", 4, 2),
    Profile.BALANCED: (5, 640, "internal", 6, 4),
    Profile.PERFORMANCE: (1, 960, "pyscenedetect", 12, None),
}


def test_the_table_names_every_profile() -> None:
    assert set(TABLE) == set(Profile) == set(PROFILES)
    assert DEFAULT_PROFILE is Profile.BALANCED


@pytest.mark.parametrize("profile", list(Profile))
def test_a_profile_has_the_values_of_the_table(profile: Profile) -> None:
    found = config(Stage.DETECT_TRACK, profile)
    stride, long_side_px, scene_detector, chips, cap = TABLE[profile]
    assert found["stride"] == stride
    assert found["detector_long_side_px"] == long_side_px
    assert found["scene_detector"] == scene_detector
    assert found["chips_per_track"] == chips
    assert found["thread_cap"] == cap if cap else found["thread_cap"] >= 1024


@pytest.mark.parametrize("profile", list(Profile))
def test_every_profile_is_light_by_default(profile: Profile) -> None:
    found = config(Stage.DETECT_TRACK, profile)
    assert (found["save_frames"], found["save_crops"], found["jpeg_quality"]) == (False, False, 70)
    assert found["chip_jpeg_quality"] >= 90


@pytest.mark.parametrize("stage", STAGE_ORDER)
@pytest.mark.parametrize("profile", list(Profile))
def test_every_stage_has_a_complete_config_in_every_profile(stage: Stage, profile: Profile) -> None:
    made = effective_config(stage, profile, {}, CATALOG)
    assert type(made).from_json(made.to_json()) == made


def test_an_override_wins_over_the_profile() -> None:
    assert config(Stage.DETECT_TRACK, Profile.LOW_POWER, stride=3)["stride"] == 3
    assert config(Stage.CLUSTER, track_threshold=0.6)["track_threshold"] == 0.6


def test_an_override_of_one_stage_leaves_the_others_alone() -> None:
    assert config(Stage.CLUSTER, stride=3) == config(Stage.CLUSTER)


def test_another_embedder_brings_its_own_threshold_unless_one_is_given() -> None:
    sface = config(Stage.CLUSTER, embedder="sface-2021dec")
    assert sface["track_threshold"] == CATALOG.embedder("sface-2021dec").track_threshold
    assert config(Stage.CLUSTER, embedder="sface-2021dec", track_threshold=0.1)["track_threshold"] == 0.1
    assert config(Stage.FACES_EMBED, embedder="sface-2021dec")["embedder"] == "sface-2021dec"


@pytest.mark.parametrize(
    "overrides",
    [
        {"stride": 0},
        {"stride": "often"},
        {"jpeg_quality": 101},
        {"scene_detector": "magic"},
        {"thread_cap": 0},
        {"cut_threshold": float("inf")},
        {"segment_s": float("nan")},
        {"detector": ["yunet-n"]},
        {"detector": {"name": "yunet-n"}},
        {"detector": 5},
        {"save_frames": "perhaps"},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(overrides: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(overrides))):
        effective_config(Stage.DETECT_TRACK, DEFAULT_PROFILE, overrides, CATALOG)


def test_a_model_that_nobody_knows_or_of_another_role_is_refused() -> None:
    with pytest.raises(ModelUnusable, match="nobody"):
        config(Stage.DETECT_TRACK, detector="nobody")
    with pytest.raises(ModelUnusable, match="not an embedder"):
        config(Stage.CLUSTER, embedder="yunet-n")


def test_names_that_no_stage_has_are_refused_and_all_of_them_named() -> None:
    with pytest.raises(InvalidRequest, match="frames_per_hour, strid"):
        check_override_names({"strid": 1, "frames_per_hour": 2, "stride": 3})
    check_override_names({"stride": 3, "track_threshold": 0.3, "min_sharpness": 1})


def warnings(route: Provider, requested: Provider, **overrides: Any) -> list[str]:
    made = effective_config(Stage.DETECT_TRACK, DEFAULT_PROFILE, overrides, CATALOG)
    return fallback_warning(route, requested) + heavy_choices(made, route)


def test_a_light_job_on_the_device_that_was_asked_for_warns_of_nothing() -> None:
    assert warnings(Provider.CUDA, Provider.CUDA) == []
    assert warnings(Provider.CPU, Provider.CPU) == []


def test_a_fall_back_to_the_cpu_is_said() -> None:
    (warning,) = warnings(Provider.CPU, Provider.CUDA)
    assert "CPU" in warning


@pytest.mark.parametrize(
    "overrides",
    [
        {"save_frames": True},
        {"save_crops": True},
        {"jpeg_quality": 95},
        {"stride": 1},
        {"scene_detector": "off"},
    ],
    ids=str,
)
def test_what_is_heavy_is_said(overrides: dict[str, Any]) -> None:
    assert len(warnings(Provider.CPU, Provider.CPU, **overrides)) == 1


def test_every_frame_on_a_gpu_is_nothing_to_warn_of() -> None:
    assert warnings(Provider.CUDA, Provider.CUDA, stride=1) == []
