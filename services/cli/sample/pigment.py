"""The colour of a face before light falls on it: skin, lips, brows, beard, eyes. Planes are RGB reflectance."""

from dataclasses import dataclass

import numpy as np

from services.cli.sample.canvas import Canvas, Plane, blend, gauss, ramp
from services.cli.sample.look import Beard, Colour, HairStyle, Look, scaled
from services.cli.sample.relief import Expression, half_width

EYE_X = 0.5
WHITE_OF_EYE: Colour = (0.78, 0.74, 0.71)
TEETH: Colour = (0.74, 0.70, 0.62)
MOUTH_INSIDE: Colour = (0.13, 0.04, 0.04)


@dataclass(frozen=True)
class EyeParts:
    """Coverage of the opened eye ([H, W]) and of iris and pupil within it."""

    opening: Plane
    iris: Plane
    pupil: Plane
    lashes: Plane
    crease: Plane


def paint_face(canvas: Canvas, look: Look, expression: Expression) -> Plane:
    """Reflectance of the face, [H, W, 3]."""
    colour = _skin(canvas, look)
    colour = _beard(canvas, look, expression, colour)
    colour = _mouth(canvas, look, expression, colour)
    colour = _brows(canvas, look, colour)
    return _eyes(canvas, look, expression, colour)


def _skin(canvas: Canvas, look: Look) -> Plane:
    tone: Plane = np.asarray(look.skin.tone, dtype=np.float32)
    redness = 0.5 * canvas.twin_bumps(0.68, 0.62, 0.24, 0.2) + 0.5 * canvas.bump(0, look.nose.y, 0.2, 0.12)
    colour: Plane = tone * _shade(canvas, look)[..., None]
    colour = colour * (1.0 - redness[..., None] * np.array([-0.03, 0.12, 0.10], dtype=np.float32))
    spots = ramp(canvas.noise(look.seed + 5, 0.055, 0.055), 1.0, 1.9) * 0.55 * look.skin.freckles
    spots = spots * (canvas.twin_bumps(0.55, 0.45, 0.35, 0.3) + canvas.bump(0, 0.35, 0.3, 0.3))
    holes = canvas.twin_bumps(0.45 * look.nose.half_width, look.nose.y + 0.13, 0.065, 0.035)
    colour = blend(colour, scaled(look.skin.tone, 0.45), np.clip(spots, 0, 0.8))
    return blend(colour, scaled(look.skin.tone, 0.18), np.clip(1.1 * holes, 0, 0.95))


def _shade(canvas: Canvas, look: Look) -> Plane:
    """Patches, pores and shadows under the eyes, as a factor on the tone."""
    rings = 0.16 * canvas.twin_bumps(0.46, 0.12, 0.22, 0.11)
    bags = 0.25 * look.skin.wrinkles * canvas.twin_bumps(0.5, 0.22, 0.16, 0.05)
    patches = 0.06 * canvas.noise(look.seed + 2, 0.3, 0.3) + 0.05 * canvas.noise(look.seed + 3, 0.1, 0.1)
    pores = 0.025 * canvas.noise(look.seed + 4, 0.035, 0.035)
    return np.asarray(1.0 + look.skin.mottle * patches + pores - rings - bags)


def _mouth(canvas: Canvas, look: Look, expression: Expression, colour: Plane) -> Plane:
    half, thick, y = look.mouth.half_width, look.mouth.lip_half_height, look.mouth.y
    along = np.clip(1.0 - (canvas.x / half) ** 2, 0.0, 1.0)
    bow = thick * (along**0.8 - 0.28 * gauss(canvas.x, 0.06))
    gap = 0.16 * expression.mouth * along**0.5
    drop = gap + 1.15 * thick * along**0.7
    lips = canvas.inside(np.minimum(canvas.y - (y - bow), (y + drop) - canvas.y)) * (along > 0)
    colour = blend(colour, look.mouth.colour, 0.85 * lips)
    line = gauss(canvas.y - y, 0.016) * ramp(np.abs(canvas.x), half * 1.06, half * 0.9)
    colour = blend(colour, MOUTH_INSIDE, np.clip(0.85 * line, 0, 1))
    if expression.mouth > 0:
        inside = canvas.inside(np.minimum(canvas.y - y, (y + gap) - canvas.y)) * (along > 0.06)
        colour = blend(colour, MOUTH_INSIDE, inside)
        teeth = canvas.inside(np.minimum(canvas.y - y, (y + np.minimum(gap, 0.06)) - canvas.y))
        colour = blend(colour, TEETH, teeth * inside * ramp(np.abs(canvas.x), 0.7 * half, 0.5 * half))
    return colour


def _brows(canvas: Canvas, look: Look, colour: Plane) -> Plane:
    x = np.abs(canvas.x)
    along = np.clip((x - 0.17) / 0.66, 0.0, 1.0)
    middle = look.brows.y - look.brows.arch * np.sin(np.pi * np.minimum(along * 0.8, 1.0)) + 0.04 * along
    thick = look.brows.half_height * (1.0 - 0.65 * along**2)
    hairs = 0.85 + 0.16 * canvas.noise(look.seed + 6, 0.05, 0.022)
    reach = ramp(x, 0.12, 0.24) * ramp(x, 0.90, 0.74)
    cover = ramp(np.abs(canvas.y - middle), thick * 1.35, thick * 0.55) * reach * hairs
    return blend(colour, _hair_on_skin(look), np.clip(cover, 0.0, 0.9))


def _hair_on_skin(look: Look) -> Colour:
    if look.hair.style is HairStyle.BALD:
        return scaled(look.skin.tone, 0.35)
    (red, green, blue), skin = look.hair.colour, scaled(look.skin.tone, 0.08)
    return 0.7 * red + skin[0], 0.7 * green + skin[1], 0.7 * blue + skin[2]


def _beard(canvas: Canvas, look: Look, expression: Expression, colour: Plane) -> Plane:
    if look.beard is Beard.NONE:
        return colour
    y, half, drop = look.mouth.y, look.mouth.half_width, 0.16 * expression.mouth
    moustache = ramp(np.abs(canvas.x), half + 0.16, half - 0.08) * gauss(
        canvas.y - (y - 0.17 + 0.22 * (canvas.x / half) ** 2 * 0.5), 0.075
    )
    chin = canvas.bump(0.0, y + 0.50 + drop, 0.30, 0.24)
    outline = half_width(canvas, look, look.head.chin_y + drop)
    rim = ramp(outline - np.abs(canvas.x), 0.42, 0.12) * ramp(canvas.y, 0.25, 0.75)
    jaw = np.clip(rim + ramp(canvas.y, y + 0.12, y + 0.42), 0.0, 1.0)
    cover = {
        Beard.STUBBLE: 0.40 * np.maximum(jaw, moustache),
        Beard.MOUSTACHE: 1.3 * moustache,
        Beard.GOATEE: 1.2 * np.maximum(moustache, chin),
        Beard.FULL: 1.15 * np.maximum(jaw, moustache),
    }[look.beard]
    hairs = 0.85 + 0.22 * canvas.noise(look.seed + 7, 0.025, 0.07)
    return blend(colour, _hair_on_skin(look), np.clip(cover * hairs, 0.0, 0.93))


def eyes(canvas: Canvas, look: Look, expression: Expression) -> EyeParts:
    """Where the eyes are open, and what shows in the opening."""
    x = np.abs(canvas.x) - EYE_X
    y = canvas.y + look.eyes.slant * x
    along = np.clip(1.0 - np.abs(x / look.eyes.half_width) ** 2.2, 0.0, 1.0)
    upper = look.eyes.half_height * 1.15 * along * expression.eyes
    lower = look.eyes.half_height * 0.85 * along * (0.35 + 0.65 * expression.eyes)
    lid_y = -upper + 0.75 * look.eyes.half_height * (1.0 - expression.eyes)
    opening = canvas.inside(np.minimum(y - lid_y, lower - y)) * (along > 0) * expression.eyes
    radius = np.hypot(x, canvas.y)
    iris_radius = 0.115
    reach = np.abs(x) < look.eyes.half_width * 1.08
    return EyeParts(
        opening=opening,
        iris=canvas.inside(iris_radius - radius),
        pupil=canvas.inside(0.05 - radius),
        lashes=gauss(y - lid_y, 0.022) * reach,
        crease=gauss(y - lid_y + 0.10 * expression.eyes, 0.022) * reach,
    )


def _eyes(canvas: Canvas, look: Look, expression: Expression, colour: Plane) -> Plane:
    parts = eyes(canvas, look, expression)
    colour = blend(colour, scaled(look.skin.tone, 0.3), 0.45 * parts.crease)
    ball = blend(
        np.broadcast_to(np.asarray(WHITE_OF_EYE, np.float32), colour.shape), look.eyes.iris, parts.iris
    )
    ball = blend(ball, (0.02, 0.02, 0.02), parts.pupil)
    colour = blend(colour, ball, parts.opening)
    return blend(colour, (0.05, 0.04, 0.04), np.clip(0.85 * parts.lashes, 0, 1))
