"""What surrounds a face: hair behind and over it, ears, neck, shoulders, glasses.

Each layer is (RGB reflectance [H, W, 3], coverage [H, W]); hair and clothes carry their own soft shading, since
strands and cloth are no smooth height field.
"""

import numpy as np

from services.cli.sample.canvas import Canvas, Plane, blend, gauss, ramp
from services.cli.sample.look import Glasses, HairStyle, Look
from services.cli.sample.relief import CROWN_Y, half_width

Layer = tuple[Plane, Plane]
SHOULDERS_Y = 2.45


def hair_behind(canvas: Canvas, look: Look) -> Layer:
    """Hair that the head hides: the fall of long hair, the cloud of curls."""
    w = look.head.half_width
    if look.hair.style is HairStyle.LONG:
        side = (
            w * (1.22 + 0.08 * np.sin(canvas.y * 2.2)) * ramp(canvas.y, CROWN_Y - 0.35, CROWN_Y + 0.65) ** 0.5
        )
        inside = np.minimum(
            side - 0.05 - np.abs(canvas.x), 2.55 + 0.12 * canvas.noise(look.seed + 20, 0.2, 9.0) - canvas.y
        )
    elif look.hair.style is HairStyle.CURLY:
        lumps = 0.05 * canvas.noise(look.seed + 20, 0.20, 0.20)
        inside = 1.0 - np.hypot(canvas.x / (w * 1.48), (canvas.y + 0.55) / 1.62) + lumps
    else:
        inside = np.broadcast_to(np.float32(-1.0), canvas.shape)
    return 0.75 * strands(canvas, look), canvas.inside(np.asarray(inside, dtype=np.float32))


def hair_over(canvas: Canvas, look: Look) -> Layer:
    """Hair on the skull and over the forehead."""
    if look.hair.style is HairStyle.BALD:
        return _nothing(canvas)
    line, bulk = _hairline(canvas, look)
    skull = half_width(canvas, look, look.head.chin_y)
    top = 1.0 - np.hypot(
        canvas.x / (look.head.half_width + bulk), (canvas.y + 0.25) / (-CROWN_Y - 0.25 + bulk * 1.3)
    )
    fray = 0.035 * canvas.noise(look.seed + 21, 0.05, 0.3) + 0.02 * canvas.noise(look.seed + 22, 0.12, 0.12)
    sides_y = {HairStyle.LONG: 2.2, HairStyle.CURLY: 0.9, HairStyle.FRINGE: 0.35}.get(look.hair.style, 0.15)
    temple = ramp(np.abs(canvas.x), skull - 0.16, skull - 0.02) * ramp(canvas.y, sides_y, sides_y - 0.35)
    above = canvas.inside(line + fray - canvas.y)
    crown = canvas.inside(top + 0.3 * fray) * np.maximum(above, temple * ramp(canvas.y, line - 0.2, line))
    return strands(canvas, look), np.clip(crown, 0.0, 1.0)


def _hairline(canvas: Canvas, look: Look) -> tuple[Plane, float]:
    """The y above which hair grows at each x, and how far it stands off the skull."""
    x = canvas.x / look.head.half_width
    shapes = {
        HairStyle.CROPPED: (look.hair.line_y + 0.40 * np.abs(x) ** 4, 0.05),
        HairStyle.RECEDING: (
            look.hair.line_y - 0.30 + 0.45 * gauss(x, 0.25) * 0.6 + 0.8 * np.abs(x) ** 5,
            0.06,
        ),
        HairStyle.FRINGE: (look.hair.line_y + 0.42 + 0.05 * np.sin(9 * x) + 0.5 * np.abs(x) ** 4, 0.17),
        HairStyle.PARTED: (look.hair.line_y - 0.12 + 0.28 * np.abs(x - 0.35) + 0.30 * np.abs(x) ** 4, 0.15),
        HairStyle.LONG: (look.hair.line_y - 0.15 + 0.55 * np.abs(x + 0.05) + 0.9 * np.abs(x) ** 6, 0.20),
        HairStyle.CURLY: (look.hair.line_y + 0.25 * np.abs(x) ** 2 + 0.5 * np.abs(x) ** 6, 0.34),
    }
    line, bulk = shapes[look.hair.style]
    return np.broadcast_to(np.asarray(line, np.float32), canvas.shape), bulk


def strands(canvas: Canvas, look: Look) -> Plane:
    """Reflectance of hair, combed (or, for curls, in tufts)."""
    if look.hair.style is HairStyle.CURLY:
        light = (
            0.85
            + 0.20 * canvas.noise(look.seed + 23, 0.10, 0.10)
            + 0.16 * canvas.noise(look.seed + 24, 0.035, 0.05)
        )
    else:
        light = (
            0.9
            + 0.22 * canvas.noise(look.seed + 23, 0.035, 0.6)
            + 0.22 * canvas.noise(look.seed + 24, 0.12, 1.0)
        )
    sheen = 0.45 * gauss(canvas.y + 1.25 - 0.25 * canvas.x**2, 0.16) * (look.hair.style is not HairStyle.CURLY)
    edge = 1.0 - 0.45 * np.clip(np.abs(canvas.x) / (look.head.half_width * 1.3), 0, 1) ** 3
    shade = np.clip(light + sheen, 0.15, 2.2) * edge
    return np.asarray(np.asarray(look.hair.colour, np.float32) * shade[..., None])


def ears(canvas: Canvas, look: Look) -> Layer:
    x = np.abs(canvas.x) - look.head.half_width * 0.97
    inside = 1.0 - np.hypot(x / 0.19, (canvas.y - 0.30) / 0.40)
    shade = 0.80 - 0.35 * gauss(x - 0.03, 0.05) * gauss(canvas.y - 0.27, 0.18)
    return np.asarray(look.skin.tone, np.float32) * shade[..., None], canvas.inside(0.25 * inside)


def neck(canvas: Canvas, look: Look) -> Layer:
    width = (
        0.60 * look.head.half_width
        + 0.08
        + 0.35 * ramp(canvas.y, look.head.chin_y + 0.1, SHOULDERS_Y + 0.3) ** 2
    )
    shade = 0.50 + 0.42 * ramp(canvas.y, look.head.chin_y + 0.05, look.head.chin_y + 0.75)
    shade = shade * (1.0 - 0.25 * (canvas.x / width) ** 2)
    inside = np.minimum(width - np.abs(canvas.x), canvas.y - 0.8)
    return np.asarray(look.skin.tone, np.float32) * shade[..., None], canvas.inside(inside)


def clothes(canvas: Canvas, look: Look) -> Layer:
    """Shoulders and chest with an open collar and loose folds."""
    x = np.abs(canvas.x)
    slope = SHOULDERS_Y + 0.16 * x + 0.9 * np.clip(x - 1.9, 0.0, None) ** 2
    collar = 0.55 * np.clip(1.0 - x / 0.62, 0.0, 1.0)
    top = slope + collar - 0.32 * gauss(x - 0.75, 0.3)
    folds = 0.10 * canvas.noise(look.seed + 30, 0.5, 1.1) + 0.05 * canvas.noise(look.seed + 31, 0.2, 0.5)
    weave = 0.03 * canvas.noise(look.seed + 32, 0.03, 0.03)
    rim = 0.45 * gauss(canvas.y - top - 0.05, 0.035) * ramp(x, 0.85, 0.6)
    shade = np.clip(1.0 + folds + weave - rim - 0.10 * x, 0.25, 1.4) * ramp(canvas.y, 8.5, 2.2) ** 0.35
    return np.asarray(look.clothes, np.float32) * shade[..., None], canvas.inside(
        np.minimum(canvas.y - top, 3.05 - x)
    )


def glasses(canvas: Canvas, look: Look) -> Layer:
    """Frames and the faint veil of the lenses."""
    if look.glasses is Glasses.NONE:
        return _nothing(canvas)
    x, y = np.abs(canvas.x) - 0.52, canvas.y - 0.06
    if look.glasses is Glasses.ROUND:
        rim, thick = np.hypot(x / 0.36, y / 0.34) - 1.0, 0.07
    else:
        rim, thick = ((x / 0.41) ** 4 + (y / 0.29) ** 4) ** 0.25 - 1.0, 0.13
    bridge = gauss(canvas.y + 0.02, 0.028) * (np.abs(canvas.x) < 0.16)
    arms = gauss(canvas.y + 0.05, 0.03) * ramp(np.abs(canvas.x), 0.86, 0.90)
    arms = arms * ramp(np.abs(canvas.x), look.head.half_width, look.head.half_width - 0.06)
    frame = np.clip(ramp(np.abs(rim), thick, thick * 0.55) + bridge + arms, 0.0, 1.0)
    colour = blend(np.full((*canvas.shape, 3), 0.88, np.float32), (0.06, 0.05, 0.05), frame)
    return colour, np.maximum(0.92 * frame, 0.06 * ramp(rim, 0.0, -0.2))


def _nothing(canvas: Canvas) -> Layer:
    return np.zeros((*canvas.shape, 3), np.float32), np.zeros(canvas.shape, np.float32)
