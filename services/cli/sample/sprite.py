"""A person drawn once under one light: the pictures that are then moved about the screen.

Head and body are apart, so that the head can turn over still shoulders and a blink redraws no clothes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.cli.sample import wardrobe
from services.cli.sample.canvas import Canvas, Plane, blend, ramp
from services.cli.sample.look import Look
from services.cli.sample.pigment import eyes, paint_face
from services.cli.sample.relief import Expression, face_inside, relief
from services.cli.sample.shading import Light, shade

GAMMA = 1 / 2.2
# Cloth has no detail that a bilinear enlargement would lose.
BODY_SCALE = 0.5


@dataclass(frozen=True)
class Sprite:
    """`bgra` uint8 [H, W, 4], colour premultiplied by alpha; `height` float32 [H, W], in eye distances."""

    canvas: Canvas
    bgra: npt.NDArray[np.uint8]
    height: Plane


def draw_head(look: Look, light: Light, expression: Expression, unit_px: float) -> Sprite:
    """Head, hair and neck at `unit_px` pixels to an eye distance."""
    canvas = Canvas(left=-2.1, top=-2.5, right=2.1, bottom=3.4, unit_px=unit_px)
    height = relief(canvas, look, expression)
    soft = _soft_light(canvas, light)
    painting = _Painting(canvas.shape)
    for layer, cover in (
        wardrobe.hair_behind(canvas, look),
        wardrobe.neck(canvas, look),
        wardrobe.ears(canvas, look),
    ):
        painting.lay(layer * soft, cover)
    face = shade(height, paint_face(canvas, look, expression), light, unit_px=unit_px, gloss=look.skin.gloss)
    face = _sparkle(canvas, look, expression, light, face)
    painting.lay(face, face_inside(canvas, look, expression))
    layer, cover = wardrobe.hair_over(canvas, look)
    painting.lay(layer * soft, cover)
    frames, cover = wardrobe.glasses(canvas, look)
    painting.lay(frames, cover)
    still_neck = ramp(canvas.y, look.head.chin_y + 0.5, look.head.chin_y - 0.2)
    return Sprite(canvas, painting.bgra(), np.asarray(height * still_neck, np.float32))


def draw_body(look: Look, light: Light, unit_px: float) -> Sprite:
    """Shoulders and chest, down to where a picture may cut them."""
    canvas = Canvas(left=-3.2, top=1.9, right=3.2, bottom=7.9, unit_px=unit_px * BODY_SCALE)
    painting = _Painting(canvas.shape)
    layer, cover = wardrobe.clothes(canvas, look)
    painting.lay(layer * _soft_light(canvas, light), cover)
    return Sprite(canvas, painting.bgra(), np.zeros(canvas.shape, np.float32))


class _Painting:
    """Layers laid on each other, bottom first; colours linear RGB."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._colour = np.zeros((*shape, 3), np.float32)
        self._alpha = np.zeros(shape, np.float32)

    def lay(self, colour: Plane, cover: Plane) -> None:
        # Where nothing lies below, blending from black would leave a dark rim.
        bare = self._alpha == 0
        self._colour = np.where(bare[..., None], colour, blend(self._colour, colour, cover))
        self._alpha = self._alpha + cover * (1.0 - self._alpha)

    def bgra(self) -> npt.NDArray[np.uint8]:
        bgr = 255.0 * np.clip(self._colour[..., ::-1], 0.0, 1.0) ** GAMMA
        return np.rint(np.dstack([bgr * self._alpha[..., None], 255.0 * self._alpha])).astype(np.uint8)


def _soft_light(canvas: Canvas, light: Light) -> Plane:
    """Light on what has no relief: brighter towards the lamp; [1, W, 3]."""
    side = np.clip(0.88 + 0.18 * light.direction[0] * canvas.x, 0.3, 1.3)
    return np.asarray(side[..., None] * np.asarray(light.colour, np.float32), np.float32)


def _sparkle(canvas: Canvas, look: Look, expression: Expression, light: Light, face: Plane) -> Plane:
    """The mirror image of the lamp on each eye."""
    right, down = 0.06 * light.direction[0], 0.05 * light.direction[1] - 0.01
    spots = canvas.bump(-0.5 + right, down, 0.02, 0.02) + canvas.bump(0.5 + right, down, 0.02, 0.02)
    opening = eyes(canvas, look, expression).opening
    return blend(face, (0.95, 0.95, 0.95), np.clip(0.9 * spots * opening, 0.0, 1.0))
