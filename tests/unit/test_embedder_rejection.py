from __future__ import annotations

import numpy as np

from services.embedder.rejection import ChipMeasures, SkipReason, rejections
from services.kit.stage_configs import FacesEmbedConfig

CONFIG = FacesEmbedConfig(
    thread_cap=1,
    batch_size=8,
    embedder="any",
    min_confidence=0.6,
    min_sharpness=10,
    min_contrast=12,
    max_abs_yaw_deg=60,
)
GOOD = {"track": 1, "conf": 0.9, "sharpness": 100, "contrast": 40, "yaw": 0, "quality": 0.8}


def reasons(*changes):
    """The verdict on chips that are good but for the given values."""
    chips = [GOOD | change for change in changes]
    columns = (
        np.array([chip[name] for chip in chips], np.int64 if name == "track" else np.float32) for name in GOOD
    )
    return rejections(ChipMeasures(*columns), CONFIG)


def test_a_good_chip_is_embedded():
    assert reasons({}) == [None]


def test_each_fault_beside_a_good_chip_has_its_reason():
    faults = [{"conf": 0.5}, {"sharpness": 9}, {"contrast": 11}, {"yaw": 61}, {"yaw": -61}]
    assert reasons({}, *faults) == [
        None,
        SkipReason.LOW_CONFIDENCE,
        SkipReason.BLURRY,
        SkipReason.LOW_CONTRAST,
        SkipReason.EXTREME_POSE,
        SkipReason.EXTREME_POSE,
    ]


def test_values_on_the_limit_are_accepted():
    assert reasons({}, {"conf": 0.6}, {"sharpness": 10}, {"contrast": 12}, {"yaw": 60}) == [None] * 5


def test_low_confidence_is_named_before_how_the_chip_looks():
    assert reasons({}, {"conf": 0.3, "sharpness": 1, "yaw": 80})[1] == SkipReason.LOW_CONFIDENCE


def test_a_track_seen_only_in_profile_keeps_its_best_chip():
    found = reasons({"yaw": 70, "quality": 0.2}, {"yaw": 65, "quality": 0.4}, {"yaw": 80, "quality": 0.1})
    assert found == [SkipReason.EXTREME_POSE, None, SkipReason.EXTREME_POSE]


def test_a_track_with_one_accepted_chip_keeps_no_other():
    assert reasons({"quality": 0.1}, {"sharpness": 1, "quality": 0.9}) == [None, SkipReason.BLURRY]


def test_a_track_seen_only_out_of_focus_keeps_its_best_chip():
    found = reasons({"sharpness": 1, "quality": 0.2}, {"sharpness": 2, "contrast": 5, "quality": 0.4})
    assert found == [SkipReason.BLURRY, None]


def test_one_poor_look_is_not_enough():
    for fault in ({"yaw": 70}, {"sharpness": 1}, {"contrast": 1}):
        assert reasons(fault)[0] is not None
        assert reasons(fault, {"conf": 0.5})[0] is not None


def test_each_track_keeps_its_own_last_chip():
    profile, blurred = {"track": 1, "yaw": 70}, {"track": 2, "sharpness": 1}
    assert reasons(profile, profile, blurred, blurred, {"track": 3}).count(None) == 3


def test_a_track_that_may_be_no_face_loses_every_chip():
    found = reasons({"conf": 0.5, "quality": 0.9}, {"conf": 0.59, "quality": 0.1})
    assert found == [SkipReason.LOW_CONFIDENCE] * 2


def test_the_last_chip_is_the_best_of_the_confident_ones():
    poor = {"contrast": 5, "quality": 0.1}
    found = reasons({"conf": 0.5, "quality": 0.9}, poor, poor | {"quality": 0.2})
    assert found == [SkipReason.LOW_CONFIDENCE, SkipReason.LOW_CONTRAST, None]


def test_equal_chips_leave_the_earlier_one():
    assert reasons({"yaw": 70}, {"yaw": 70}) == [None, SkipReason.EXTREME_POSE]


def test_no_chips_have_no_reasons():
    assert reasons() == []
