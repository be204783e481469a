"""The shape of a face: a height field z(x, y) towards the camera, in eye distances.

An ellipsoid-like head with the parts that tell people apart laid on it as smooth hills and hollows: brow ridge,
sockets, nose, cheekbones, lips, chin, folds.
"""

from dataclasses import dataclass

import numpy as np

from services.cli.sample.canvas import Canvas, Plane, gauss, ramp
from services.cli.sample.look import Look

CROWN_Y = -1.55


@dataclass(frozen=True)
class Expression:
    """How far eyes and mouth are open, 0..1."""

    eyes: float = 1.0
    mouth: float = 0.0


def half_width(canvas: Canvas, look: Look, chin_y: float) -> Plane:
    """Half the width of the head at each row, [H, 1]; 0 above the crown and below the chin."""
    above = np.clip(1.0 - np.abs(np.minimum(canvas.y, 0.0) / CROWN_Y) ** 2.6, 0.0, 1.0) ** 0.5
    below = np.clip(1.0 - (np.maximum(canvas.y, 0.0) / chin_y) ** look.head.jaw_power, 0.0, 1.0) ** 0.52
    return np.asarray(look.head.half_width * np.minimum(above, below), dtype=np.float32)


def chin_y(look: Look, expression: Expression) -> float:
    return look.head.chin_y + 0.16 * expression.mouth


def face_inside(canvas: Canvas, look: Look, expression: Expression) -> Plane:
    """Coverage of the face without ears and hair, [H, W]."""
    outline = half_width(canvas, look, chin_y(look, expression))
    return canvas.inside(np.where(outline > 0, outline - np.abs(canvas.x), np.float32(-1.0)))


def relief(canvas: Canvas, look: Look, expression: Expression) -> Plane:
    """Height of the face, [H, W] in eye distances; about `look.head.depth` in the middle, 0 at its outline."""
    outline = half_width(canvas, look, chin_y(look, expression))
    across = np.clip(np.abs(canvas.x) / np.maximum(outline, 1e-3), 0.0, 1.0)
    down = 1.0 - 0.30 * np.abs(np.minimum(canvas.y, 0.0) / CROWN_Y) ** 3
    down = down - 0.12 * ramp(canvas.y, 0.9, look.head.chin_y)
    head = look.head.depth * down * np.sqrt(np.clip(1.0 - across**2.3, 0.0, 1.0))
    parts = _upper(canvas, look) + _nose(canvas, look) + _lower(canvas, look, expression) + _skin(canvas, look)
    return np.asarray(head + parts * ramp(across, 1.0, 0.75), dtype=np.float32)


def _upper(canvas: Canvas, look: Look) -> Plane:
    ridge = look.brows.ridge * canvas.twin_bumps(0.46, look.brows.y + 0.05, 0.30, 0.09)
    glabella = 0.5 * look.brows.ridge * canvas.bump(0.0, look.brows.y + 0.05, 0.15, 0.12)
    sockets = look.eyes.depth * canvas.twin_bumps(0.47, -0.03, 0.24, 0.15)
    eyeballs = 0.13 * canvas.twin_bumps(0.5, 0.0, 0.15, 0.10)
    bags = look.skin.wrinkles * 0.035 * canvas.twin_bumps(0.5, 0.27, 0.18, 0.045)
    cheeks = look.head.cheekbone * canvas.twin_bumps(0.70, 0.45, 0.22, 0.20)
    hollows = look.head.cheekbone * 0.6 * canvas.twin_bumps(0.72, 1.0, 0.18, 0.22)
    lines = (
        look.skin.wrinkles * 0.018 * gauss(canvas.y + 0.85, 0.22) * np.sin(canvas.y * 34.0 + 0.6 * canvas.x**2)
    )
    hills = ridge + glabella + eyeballs + bags + cheeks + lines * gauss(canvas.x, 0.5)
    return np.asarray(hills - sockets - hollows)


def _nose(canvas: Canvas, look: Look) -> Plane:
    tip = look.nose.y
    along = np.clip((canvas.y + 0.15) / (tip + 0.15), 0.0, 1.0)
    fall = ramp(canvas.y, tip + 0.20, tip - 0.02)
    width = 0.09 + (0.45 * look.nose.half_width) * along**1.5
    bridge = (
        look.nose.height * (0.25 + 0.60 * along) * gauss(canvas.x / width, 1.0) * ramp(canvas.y, -0.45, 0.1)
    )
    hump = look.nose.hump * canvas.bump(0.0, 0.42 * tip, 0.07, 0.13)
    ball = 0.30 * look.nose.height * canvas.bump(0.0, tip, 0.45 * look.nose.half_width, 0.11)
    wings = 0.13 * canvas.twin_bumps(0.80 * look.nose.half_width, tip + 0.06, 0.07, 0.08)
    holes = 0.06 * canvas.twin_bumps(0.42 * look.nose.half_width, tip + 0.14, 0.06, 0.03)
    return np.asarray(bridge * fall + hump + ball + wings - holes)


def _lower(canvas: Canvas, look: Look, expression: Expression) -> Plane:
    y, half, thick = look.mouth.y, look.mouth.half_width, look.mouth.lip_half_height
    drop = 0.16 * expression.mouth
    upper = 0.08 * canvas.bump(0.0, y - 0.55 * thick, 0.55 * half, 0.5 * thick)
    lower = 0.11 * canvas.bump(0.0, y + 0.65 * thick + drop, 0.48 * half, 0.55 * thick)
    seam = 0.07 * canvas.bump(0.0, y, 0.6 * half, 0.025)
    corners = 0.05 * canvas.twin_bumps(half, y + 0.01, 0.05, 0.05)
    groove = 0.07 * canvas.bump(0.0, y + 1.4 * thick + 0.08 + drop, 0.22, 0.05)
    chin = 0.12 * canvas.bump(0.0, look.head.chin_y - 0.26 + drop, 0.22, 0.14)
    philtrum = 0.025 * canvas.bump(0.0, 0.5 * (look.nose.y + 0.15 + y), 0.04, 0.07)
    hills = upper + lower + chin
    return np.asarray(hills - seam - corners - groove - philtrum - _folds(canvas, look))


def _folds(canvas: Canvas, look: Look) -> Plane:
    """The lines from the wings of the nose past the corners of the mouth."""
    start_y, end_y = look.nose.y, look.mouth.y + 0.12
    along = np.clip((canvas.y - start_y) / (end_y - start_y), 0.0, 1.0)
    line_x = look.nose.half_width + 0.08 + (look.mouth.half_width - look.nose.half_width + 0.06) * along
    depth = (0.02 + 0.05 * look.skin.wrinkles) * ramp(canvas.y, start_y - 0.1, start_y + 0.1)
    return depth * ramp(canvas.y, end_y + 0.1, end_y - 0.1) * gauss(np.abs(canvas.x) - line_x, 0.035)


def _skin(canvas: Canvas, look: Look) -> Plane:
    """Pores and the small unevenness of a face that is nobody else's."""
    pores = 0.0035 * canvas.noise(look.seed, 0.05, 0.05)
    uneven = 0.020 * look.skin.mottle * canvas.noise(look.seed + 1, 0.33, 0.33)
    return pores + uneven
