"""From a container's index to segments and media facts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from services.detector.decode_protocol import IndexFacts
from services.detector.media import MediaProbe
from services.detector.segments import check_whole, media_info, nominal_fps, plan_segments
from services.kit.errors import InvalidMedia
from services.kit.messages import Segment

FACTS = IndexFacts(
    codec="h264",
    time_base_num=1,
    time_base_den=1000,
    declared_fps_num=25,
    declared_fps_den=1,
    width=320,
    height=240,
    first_pts=80,
    can_seek=True,
    end_s=10.08,
    stated_end_s=10.08,
    damaged_packets=0,
)


def probe(pts: list[int], keyframe_every: int = 25, **facts: object) -> MediaProbe:
    return MediaProbe(
        replace(FACTS, **facts),  # type: ignore[arg-type]
        np.array(pts, np.int64),
        np.arange(len(pts)) % keyframe_every == 0,
    )


STEADY = [80 + 40 * i for i in range(250)]


def test_segments_start_at_keyframes_and_last_long_enough() -> None:
    assert plan_segments(probe(STEADY), "mov", 3.0) == [
        Segment(0, None, 3080, None),
        Segment(1, 3080, 6080, 3040),
        Segment(2, 6080, None, 6040),
    ]


def test_the_last_segment_is_not_a_scrap() -> None:
    assert [s.start_pts for s in plan_segments(probe(STEADY), "mov", 4.0)] == [None, 4080]


def test_a_short_video_is_one_segment_open_on_both_sides() -> None:
    assert plan_segments(probe(STEADY[:50]), "mov", 60.0) == [Segment()]


def test_a_video_with_one_keyframe_is_one_segment() -> None:
    assert len(plan_segments(probe(STEADY, keyframe_every=1000), "mov", 1.0)) == 1


@pytest.mark.parametrize(("container", "can_seek"), [("avi", True), ("mov", False)])
def test_a_video_without_presentation_times_is_left_whole(container: str, can_seek: bool) -> None:
    assert plan_segments(probe(STEADY, can_seek=can_seek), container, 1.0) == [Segment()]


def test_media_facts_count_from_the_first_frame() -> None:
    info = media_info(probe(STEADY))
    assert (info.first_pts, info.frames, info.fps) == (80, 250, 25.0)
    assert info.duration_s == pytest.approx(10.0)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24), Fraction(60)])
def test_a_declared_rate_that_the_index_bears_out_is_believed(fps: Fraction) -> None:
    pts = [80 + round(1000 * i / fps) for i in range(50)]
    index = probe(pts, declared_fps_num=fps.numerator, declared_fps_den=fps.denominator)
    assert nominal_fps(index) == fps


def test_missing_frames_do_not_lower_the_rate() -> None:
    assert nominal_fps(probe(STEADY[:100] + STEADY[140:])) == 25


def test_a_declared_rate_that_is_a_clock_gives_way_to_the_mean_rate() -> None:
    gaps = np.random.default_rng(0).integers(50, 80, 200)
    index = probe((80 + np.cumsum(gaps)).tolist(), declared_fps_num=90_000)
    assert float(nominal_fps(index)) == pytest.approx(1000 / gaps[1:].mean(), rel=1e-3)


def test_a_single_frame_has_a_rate() -> None:
    assert nominal_fps(probe([80], declared_fps_num=0)) == 25
    assert media_info(probe([80])).duration_s == pytest.approx(0.04)


def test_a_video_that_ends_far_before_its_stated_end_is_truncated() -> None:
    with pytest.raises(InvalidMedia, match=r"the video is truncated: 4\.6 of 10\.0 seconds can be decoded"):
        check_whole(4.6, 10.0)


def test_a_video_that_ends_a_little_early_is_warned_about() -> None:
    assert check_whole(9.3, 10.0) == "the video ends 0.7 s before its stated end"
    assert check_whole(985.0, 1000.0) is not None


def test_a_whole_video_needs_no_warning() -> None:
    assert check_whole(9.98, 10.0) is None
    assert check_whole(12.0, 10.0) is None
