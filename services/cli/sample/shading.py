"""Light on a height field: diffuse with soft terminator, cast shadow, occlusion, highlight."""

from dataclasses import dataclass

import cv2
import numpy as np

from services.cli.sample.canvas import Plane
from services.cli.sample.look import Colour

SHADOW_STEPS = 10


@dataclass(frozen=True)
class Light:
    """A lamp far away: `x` right, `y` down, `z` towards the camera, pointing at the lamp; any length."""

    x: float
    y: float
    z: float
    colour: Colour = (1.0, 1.0, 1.0)
    ambient: float = 0.45

    @property
    def direction(self) -> tuple[float, float, float]:
        length = float(np.linalg.norm((self.x, self.y, self.z)))
        return self.x / length, self.y / length, self.z / length


def shade(height: Plane, colour: Plane, light: Light, *, unit_px: float, gloss: float) -> Plane:
    """Reflectance `colour` [H, W, 3] lit on `height` [H, W] (in units of `unit_px` pixels); RGB, linear."""
    normal = _normals(height, unit_px)
    lx, ly, lz = light.direction
    facing = normal[0] * lx + normal[1] * ly + normal[2] * lz
    lit = _shadow(height, light, unit_px)
    # Skin scatters light past the terminator, red furthest: a wrapped cosine per channel.
    wrap = np.array([0.32, 0.20, 0.16], dtype=np.float32)
    diffuse = np.clip((facing[..., None] + wrap) / (1.0 + wrap), 0.0, None) * lit[..., None]
    sky = light.ambient * (0.75 + 0.25 * normal[2] - 0.20 * normal[1]) * _occlusion(height, unit_px)
    key = np.asarray(light.colour, dtype=np.float32) * (1.0 - 0.45 * light.ambient)
    half = np.array([lx, ly, lz + 1.0]) / np.linalg.norm([lx, ly, lz + 1.0])
    mirror = np.clip(normal[0] * half[0] + normal[1] * half[1] + normal[2] * half[2], 0.0, 1.0)
    highlight = gloss * lit * mirror**22
    return np.asarray(colour * (key * diffuse * 1.25 + sky[..., None]) + highlight[..., None] * key, np.float32)


def _normals(height: Plane, unit_px: float) -> tuple[Plane, Plane, Plane]:
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=unit_px / 8.0)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=unit_px / 8.0)
    length = 1.0 / np.sqrt(dx * dx + dy * dy + 1.0)
    return -dx * length, -dy * length, length


def _shadow(height: Plane, light: Light, unit_px: float) -> Plane:
    """How much of the lamp each point sees, 0..1: the field marched towards the lamp."""
    lx, ly, lz = light.direction
    blocked = np.zeros_like(height)
    rows, columns = height.shape
    for step in range(1, SHADOW_STEPS + 1):
        reach = 0.06 * step
        shift = np.array([[1, 0, lx * reach * unit_px], [0, 1, ly * reach * unit_px]], dtype=np.float32)
        towards = cv2.warpAffine(height, shift, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        blocked = np.maximum(blocked, (towards - height - lz * reach) / (0.05 + 0.2 * reach))
    blur = max(0.8, 0.02 * unit_px)
    return 1.0 - 0.75 * cv2.GaussianBlur(np.clip(blocked, 0.0, 1.0), (0, 0), blur)


def _occlusion(height: Plane, unit_px: float) -> Plane:
    """Hollows see less of the sky than hills: height against its own neighbourhood, at two scales."""
    near = height - cv2.GaussianBlur(height, (0, 0), 0.06 * unit_px)
    wide = height - cv2.GaussianBlur(height, (0, 0), 0.18 * unit_px)
    open_sky = 1.0 + 3.0 * np.minimum(near, 0.02) + 1.6 * np.minimum(wide, 0.05)
    return np.asarray(np.clip(open_sky, 0.35, 1.15))
