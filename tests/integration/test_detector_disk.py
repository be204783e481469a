"""The detector's estimate of disk against what it really writes, and its refusal before it decodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.detector.stage import DetectTrackStage
from services.kit.disk_need import disk_need
from services.kit.inference.catalog import Catalog
from services.kit.settings import DiskSettings
from services.kit.stages import Reject, TaskKind
from tests.integration.test_detector_stage import CONFIG, Run

HEAVY = CONFIG.model_copy(update={"save_frames": True, "save_crops": True, "jpeg_quality": 90})


@pytest.fixture(scope="module")
def catalog(models_dir: Path) -> Catalog:
    return Catalog.load(models_dir)


@pytest.mark.parametrize("clip", ["short_hamilton_clip.mp4", "ls_demo1.mp4"])
@pytest.mark.parametrize("config", [CONFIG, HEAVY], ids=["light", "heavy"])
def test_the_estimate_is_on_the_safe_side_and_not_absurd(
    clip: str, config: object, catalog: Catalog, media_dir: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, catalog, media_dir / clip, config)  # type: ignore[arg-type]
    result = run.whole()
    stored = sum(ref.size_bytes for ref in (*result.recorded, *result.stitch.outputs))
    scratch = max(ref.size_bytes for ref in result.stitch.outputs)
    need = disk_need(run.config, result.info, run.config.chips_per_track)
    fixed_bytes = 2 * (2 << 20)
    assert stored <= need.store_bytes <= 20 * stored + fixed_bytes
    assert scratch <= need.scratch_bytes


def test_what_would_not_fit_is_rejected_by_the_plan(catalog: Catalog, media_dir: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, catalog, media_dir / "short_hamilton_clip.mp4", HEAVY)
    run.stage = DetectTrackStage(catalog, disk=DiskSettings(reserve_bytes=1 << 60))
    outcome = run.task(TaskKind.PLAN)
    assert isinstance(outcome, Reject)
    assert outcome.code == "insufficient-disk"
    assert "MB are needed" in outcome.reason
