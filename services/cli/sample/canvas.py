"""The plane a face is drawn on, and the smooth shapes that everything on it is made of."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

# Drawn in float32; numpy types many results no closer than this.
Plane = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Canvas:
    """A grid of points in eye distances: x in [left, right), y in [top, bottom), `unit_px` pixels to one."""

    left: float
    top: float
    right: float
    bottom: float
    unit_px: float

    @cached_property
    def shape(self) -> tuple[int, int]:
        return (
            round((self.bottom - self.top) * self.unit_px),
            round((self.right - self.left) * self.unit_px),
        )

    @cached_property
    def x(self) -> Plane:
        """[1, W] float32."""
        return (self.left + (np.arange(self.shape[1], dtype=np.float32) + 0.5) / self.unit_px)[None, :]

    @cached_property
    def y(self) -> Plane:
        """[H, 1] float32."""
        return (self.top + (np.arange(self.shape[0], dtype=np.float32) + 0.5) / self.unit_px)[:, None]

    def bump(self, x: float, y: float, across: float, down: float) -> Plane:
        """A Gaussian hill of height 1 at (x, y) with these standard deviations; [H, W]."""
        return gauss(self.x - x, across) * gauss(self.y - y, down)

    def twin_bumps(self, x: float, y: float, across: float, down: float) -> Plane:
        """The same hill at x and at -x."""
        return (gauss(self.x - x, across) + gauss(self.x + x, across)) * gauss(self.y - y, down)

    def inside(self, distance: Plane) -> Plane:
        """Coverage 0..1 of the points with a positive `distance` (eye distances), about two pixels soft."""
        return np.asarray(np.clip(distance * (self.unit_px * 0.5) + 0.5, 0.0, 1.0))

    def noise(self, seed: int, across: float, down: float) -> Plane:
        """Smooth noise of unit variance whose grains measure across x down; anchored to the plane, so the
        same seed gives the same pattern at every `unit_px`."""
        rng = np.random.default_rng(seed)
        columns = int((self.right - self.left) / across) + 4
        rows = int((self.bottom - self.top) / down) + 4
        grains = rng.standard_normal((rows, columns)).astype(np.float32)
        height, width = self.shape
        to_grains = np.array(
            [[1 / (across * self.unit_px), 0, 1.0], [0, 1 / (down * self.unit_px), 1.0]], dtype=np.float32
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(grains, to_grains, (width, height), flags=flags), dtype=np.float32)


def gauss(distance: Plane, deviation: float) -> Plane:
    return np.asarray(np.exp(-0.5 * np.square(distance / deviation)))


def ramp(value: Plane, start: Plane | float, end: Plane | float) -> Plane:
    """0 before `start`, 1 after `end`, smooth between (the smoothstep polynomial); start may exceed end."""
    t = np.clip((value - start) / (end - start), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def blend(under: Plane, over: Plane | tuple[float, float, float], coverage: Plane) -> Plane:
    """`over` laid on `under` ([H, W, 3]) where `coverage` ([H, W], 0..1) says so."""
    return np.asarray(under + (np.asarray(over, dtype=np.float32) - under) * coverage[..., None])
