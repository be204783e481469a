"""A constant-velocity Kalman filter of one box, stepped in seconds.

The state is centre and size; the four coordinates are independent, so the filter is four scalar ones side by
side. Noise is relative to the box's size, as in SORT (Bewley et al., 2016) and its successors; steps are in
seconds since sampled frames are not evenly spaced. The size is a random walk without velocity: over the long
gaps of a stride an extrapolated size shrinks or explodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# In box sizes, per second where time enters; for centre x, y and width, height.
_MEASUREMENT_STD = np.array([0.05, 0.05, 0.07, 0.07])
_FIRST_VELOCITY_STD = np.array([3.0, 3.0, 0.0, 0.0])
_ACCELERATION_STD = np.array([4.0, 4.0, 0.0, 0.0])
_DRIFT_STD = np.array([0.0, 0.0, 0.5, 0.5])


class BoxFilter:
    def __init__(self, box: NDArray[Any]) -> None:
        """`box`: x1 y1 x2 y2."""
        self.position = _centre_and_size(box)
        self.velocity: Vector = np.zeros(4)
        scale = self._scale()
        # Entries of the four 2 x 2 covariances.
        self._pp: Vector = (scale * _MEASUREMENT_STD) ** 2
        self._pv: Vector = np.zeros(4)
        self._vv: Vector = (scale * _FIRST_VELOCITY_STD) ** 2

    @property
    def box(self) -> Vector:
        centre, half = self.position[:2], np.maximum(self.position[2:], 1.0) / 2
        return np.concatenate([centre - half, centre + half])

    def predict(self, step_s: float) -> None:
        """White-noise acceleration over `step_s` (Bar-Shalom et al., 2001, section 6.2)."""
        scale = self._scale()
        acceleration = (scale * _ACCELERATION_STD) ** 2
        drift = (scale * _DRIFT_STD) ** 2
        self.position = self.position + step_s * self.velocity
        self._pp = (
            self._pp
            + 2 * step_s * self._pv
            + step_s**2 * self._vv
            + acceleration * step_s**3 / 3
            + drift * step_s
        )
        self._pv = self._pv + step_s * self._vv + acceleration * step_s**2 / 2
        self._vv = self._vv + acceleration * step_s

    def update(self, box: NDArray[Any]) -> None:
        innovation = _centre_and_size(box) - self.position
        variance = self._pp + (self._scale() * _MEASUREMENT_STD) ** 2
        gain_p, gain_v = self._pp / variance, self._pv / variance
        self.position = self.position + gain_p * innovation
        self.velocity = self.velocity + gain_v * innovation
        self._vv = self._vv - gain_v * self._pv
        self._pv = (1 - gain_p) * self._pv
        self._pp = (1 - gain_p) * self._pp

    def _scale(self) -> float:
        width, height = np.maximum(self.position[2:], 1.0)
        return float(np.sqrt(width * height))


def _centre_and_size(box: NDArray[Any]) -> Vector:
    corners = np.asarray(box, dtype=np.float64)
    return np.concatenate([(corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]])
