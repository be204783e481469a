"""The sampling grid on the presentation clock."""

from __future__ import annotations

from fractions import Fraction

import pytest

from services.detector.sampling import SamplingGrid


def sampled(pts: list[int], *, tick: Fraction, fps: Fraction, stride: int, first_pts: int = 0) -> list[int]:
    grid = SamplingGrid.of(first_pts=first_pts, time_base=tick, fps=fps, stride=stride)
    before = [None, *pts[:-1]]
    return [now for now, prev in zip(pts, before, strict=True) if grid.is_sampled(now, prev)]


def test_a_steady_video_is_sampled_at_every_nth_frame() -> None:
    pts = [512 * i for i in range(100)]
    assert sampled(pts, tick=Fraction(1, 12800), fps=Fraction(25), stride=5) == pts[::5]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(30), Fraction(60)])
@pytest.mark.parametrize("stride", [1, 2, 5, 8])
def test_timestamps_rounded_to_milliseconds_still_give_every_nth_frame(fps: Fraction, stride: int) -> None:
    pts = [round(1000 * i / fps) for i in range(5000)]
    assert sampled(pts, tick=Fraction(1, 1000), fps=fps, stride=stride) == pts[::stride]


def test_a_video_that_starts_late_is_sampled_from_its_first_frame() -> None:
    pts = [7200 + 3600 * i for i in range(20)]
    picked = sampled(pts, tick=Fraction(1, 90000), fps=Fraction(25), stride=4, first_pts=7200)
    assert picked == pts[::4]


def test_a_gap_wider_than_the_stride_costs_no_more_than_the_missing_frames() -> None:
    pts = [0, 1, 2, 3, 4, 23, 24, 25, 26, 30]
    assert sampled(pts, tick=Fraction(1, 25), fps=Fraction(25), stride=5) == [0, 23, 25, 30]


def test_frames_denser_than_the_nominal_rate_are_thinned() -> None:
    pts = list(range(0, 1000, 10))
    picked = sampled(pts, tick=Fraction(1, 1000), fps=Fraction(25), stride=1)
    assert picked == [0, *range(20, 1000, 40)]


def test_a_segment_agrees_with_the_whole_video() -> None:
    pts = [0, 3, 4, 9, 11, 12, 20, 21, 26, 33, 34, 40, 47]
    grid = SamplingGrid.of(first_pts=0, time_base=Fraction(1, 25), fps=Fraction(25), stride=3)
    whole = sampled(pts, tick=Fraction(1, 25), fps=Fraction(25), stride=3)
    for start in range(1, len(pts)):
        tail = pts[start:]
        before = pts[start - 1 : -1]
        assert [p for p, q in zip(tail, before, strict=True) if grid.is_sampled(p, q)] == [
            p for p in whole if p >= pts[start]
        ]
