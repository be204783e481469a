"""Which decoded frames the detector looks at: a regular grid on the presentation clock.

Grid point k stands half a nominal frame before `k * stride / fps`, so that timestamps which a container
rounds, or a camera jitters, still pick every `stride`-th frame of a steady video. The choice for a frame needs
only its own and the previous frame's time, so a segment that starts anywhere agrees with the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class SamplingGrid:
    """`period`: ticks of the stream's time base between grid points, `lead`: half a nominal frame, in ticks."""

    first_pts: int
    period: Fraction
    lead: Fraction

    @classmethod
    def of(cls, *, first_pts: int, time_base: Fraction, fps: Fraction, stride: int) -> SamplingGrid:
        frame = 1 / (fps * time_base)
        return cls(first_pts, stride * frame, frame / 2)

    def is_sampled(self, pts: int, prev_pts: int | None) -> bool:
        """Whether this is the first frame at or after a grid point; the video's first frame always is."""
        return prev_pts is None or self._points_up_to(pts) > self._points_up_to(prev_pts)

    def _points_up_to(self, pts: int) -> int:
        return (pts - self.first_pts + self.lead) // self.period
