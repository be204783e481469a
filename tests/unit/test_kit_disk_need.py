"""How much disk a job takes, and whether that fits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from services.kit.disk_need import DiskNeed, disk_need, jpeg_bytes, require_space
from services.kit.errors import InsufficientDisk
from services.kit.inference.catalog import Catalog
from services.kit.messages import MediaInfo
from services.kit.settings import DiskSettings
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.profiles import Profile, effective_config

CATALOG = Catalog.load(None)
HOUR = MediaInfo(1920, 1080, 25, 1, 3600.0, "h264", time_base_num=1, time_base_den=25, frames=90_000)
ALL_SPACE = DiskSettings(reserve_bytes=0)


def need(stage: Stage = Stage.DETECT_TRACK, info: MediaInfo = HOUR, **overrides: Any) -> DiskNeed:
    return disk_need(effective_config(stage, Profile.BALANCED, overrides, CATALOG), info, 6)


def test_an_hour_costs_little_by_default_and_much_with_frames() -> None:
    light, heavy = need().store_bytes, need(save_frames=True, jpeg_quality=95, stride=1).store_bytes
    assert light < 1e9
    assert heavy > 50e9


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"save_frames": True}),
        ({}, {"save_crops": True}),
        ({}, {"chips_per_track": 12}),
        ({"save_frames": True}, {"save_frames": True, "jpeg_quality": 71}),
        ({"save_crops": True}, {"save_crops": True, "stride": 4}),
    ],
)
def test_what_is_heavier_needs_more(less: dict[str, Any], more: dict[str, Any]) -> None:
    assert need(**less).store_bytes < need(**more).store_bytes


def test_every_stage_needs_something_and_scratch_is_used_in_turns() -> None:
    needs = [need(stage) for stage in STAGE_ORDER]
    assert all(one.store_bytes > 0 for one in needs)
    total = needs[0] + needs[1] + needs[2]
    assert total.store_bytes == sum(one.store_bytes for one in needs)
    assert total.scratch_bytes == max(one.scratch_bytes for one in needs)


def test_a_jpeg_grows_with_its_pixels_and_its_quality() -> None:
    sizes = [jpeg_bytes(1e6, quality) for quality in range(1, 101)]
    assert sizes == sorted(sizes)
    assert jpeg_bytes(2e6, 70) == 2 * jpeg_bytes(1e6, 70)


def test_what_fits_is_let_through(tmp_path: Path) -> None:
    require_space({"the store": (tmp_path, 1)}, ALL_SPACE)
    require_space({"the store": (tmp_path / "not" / "made" / "yet", 1)}, ALL_SPACE)


def test_what_does_not_fit_is_refused_with_the_figures(tmp_path: Path) -> None:
    needed = shutil.disk_usage(tmp_path).total + 1
    with pytest.raises(InsufficientDisk, match="on the disk of the store") as caught:
        require_space({"the store": (tmp_path, needed)}, ALL_SPACE)
    assert caught.value.extras["needed_bytes"] == needed
    assert 0 <= int(caught.value.extras["free_bytes"]) < needed
    assert caught.value.hint


def test_needs_on_one_disk_add_up(tmp_path: Path) -> None:
    most = shutil.disk_usage(tmp_path).free * 3 // 4
    require_space({"the store": (tmp_path, most)}, ALL_SPACE)
    with pytest.raises(InsufficientDisk, match="the store and the scratch folder"):
        require_space({"the store": (tmp_path, most), "the scratch folder": (tmp_path, most)}, ALL_SPACE)


def test_the_reserve_stays_free_and_the_check_can_be_turned_off(tmp_path: Path) -> None:
    needs = {"the store": (tmp_path, 1)}
    with pytest.raises(InsufficientDisk):
        require_space(needs, DiskSettings(reserve_bytes=1 << 60))
    require_space(needs, DiskSettings(reserve_bytes=1 << 60, check=False))
