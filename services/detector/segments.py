"""From a container's index to segments and the facts that every later task needs. Pure."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from services.detector.media import MediaProbe
from services.kit.errors import InvalidMedia
from services.kit.media_types import ContainerFormat
from services.kit.messages import MediaInfo, Segment

_DEFAULT_FPS = Fraction(25)
_SENSIBLE_FPS = (Fraction(1), Fraction(300))
# A declared rate is believed when the index agrees to this share.
_FPS_TOLERANCE = Fraction(2, 100)


def media_info(probe: MediaProbe) -> MediaInfo:
    facts, fps = probe.facts, nominal_fps(probe)
    span_s = float((int(probe.pts[-1]) - facts.first_pts) * probe.time_base)
    return MediaInfo(
        width=facts.width,
        height=facts.height,
        fps_num=fps.numerator,
        fps_den=fps.denominator,
        duration_s=span_s + float(1 / fps),
        codec=facts.codec,
        first_pts=facts.first_pts,
        time_base_num=facts.time_base_num,
        time_base_den=facts.time_base_den,
        frames=len(probe.pts),
    )


def nominal_fps(probe: MediaProbe) -> Fraction:
    """The declared frame rate if the index bears it out, by its mean or, where frames are missing, by its
    usual gap; else the mean rate, as of phones and screen recorders, whose frames come when they come."""
    declared = Fraction(probe.facts.declared_fps_num, probe.facts.declared_fps_den)
    is_sensible = _SENSIBLE_FPS[0] <= declared <= _SENSIBLE_FPS[1]
    gaps = np.diff(probe.pts)
    if not gaps.any():
        return declared if is_sensible else _DEFAULT_FPS
    mean_gap = Fraction(int(gaps.sum()), len(gaps)) * probe.time_base
    usual_gap = Fraction(float(np.median(gaps))) * probe.time_base
    if is_sensible and any(_agree(declared, gap, probe.time_base) for gap in (mean_gap, usual_gap)):
        return declared
    return min(max(1 / mean_gap, _SENSIBLE_FPS[0]), _SENSIBLE_FPS[1]).limit_denominator(1001)


def _agree(fps: Fraction, gap_s: Fraction, tick_s: Fraction) -> bool:
    """Whether `gap_s` is that of `fps`, but for the rounding of timestamps to whole ticks."""
    return abs(gap_s - 1 / fps) <= max(_FPS_TOLERANCE * gap_s, tick_s / 2)


def plan_segments(probe: MediaProbe, container: str, segment_s: float) -> list[Segment]:
    """Segments that start at keyframes and last `segment_s` at least; the first and last are open-ended.

    A video is left whole when its packets carry no presentation times to cut at, as in AVI.
    """
    if not probe.facts.can_seek or container == ContainerFormat.AVI:
        return [Segment()]
    least = int(segment_s / probe.time_base)
    starts: list[int] = []
    last_start, end = int(probe.pts[0]), int(probe.pts[-1])
    for pts in probe.pts[probe.is_keyframe].tolist():
        if pts - last_start >= least and end - pts >= least:
            starts.append(pts)
            last_start = pts
    ends: list[int | None] = [*starts, None]
    first = Segment(ordinal=0, end_pts=ends[0])
    return [first, *(_segment(probe, i, start, ends[i]) for i, start in enumerate(starts, 1))]


def _segment(probe: MediaProbe, ordinal: int, start_pts: int, end_pts: int | None) -> Segment:
    before = int(probe.pts[np.searchsorted(probe.pts, start_pts) - 1])
    return Segment(ordinal=ordinal, start_pts=start_pts, end_pts=end_pts, prev_pts=before)


def check_whole(decodable_end_s: float, stated_end_s: float) -> str | None:
    """A warning when a video ends a little early. Raises `InvalidMedia` when it is truncated."""
    missing_s = stated_end_s - decodable_end_s
    if missing_s > max(1.0, 0.02 * stated_end_s):
        raise InvalidMedia(
            f"the video is truncated: {decodable_end_s:.1f} of {stated_end_s:.1f} seconds can be decoded",
            hint="upload the complete file, or cut it to its sound part with a tool that rewrites its header",
        )
    if missing_s > 0.5:
        return f"the video ends {missing_s:.1f} s before its stated end"
    return None
