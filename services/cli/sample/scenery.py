"""Places: backgrounds out of focus, larger than the picture so that the camera can pan over them."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

# How much larger than the picture a place is, each way: room for pan and zoom.
MARGIN = 1.3
# Drawn at this fraction of its size: out of focus, nothing finer would be left.
DRAW_SCALE = 0.5


def draw_place(index: int, *, seed: int, width: int, height: int) -> Picture:
    """The `index`th place of an episode, BGR uint8 [H, W, 3] of MARGIN times the picture's size.

    Neighbouring places differ in kind, hue and brightness, so that a cut between them shows.
    """
    rng = np.random.default_rng([seed, 2, index])
    columns, rows = round(width * MARGIN * DRAW_SCALE), round(height * MARGIN * DRAW_SCALE)
    draw, hues = KINDS[index % len(KINDS)]
    hue = hues[index // len(KINDS) % len(hues)] + int(rng.integers(-6, 7))
    canvas = np.empty((rows, columns, 3), np.float32)
    canvas[:] = _colour(
        hue, saturation=int(rng.integers(50, 100)), value=(110, 150, 140, 215, 60)[index % len(KINDS)]
    )
    draw(canvas, rng, hue)
    soft = cv2.GaussianBlur(canvas, (0, 0), max(1.0, columns / 260))
    soft = soft * _falloff(rows, columns) + 3.5 * _mottle(rng, rows, columns)[..., None]
    place = np.clip(soft, 0, 255).astype(np.uint8)
    size = (round(width * MARGIN), round(height * MARGIN))
    return np.asarray(cv2.resize(place, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _colour(hue: int, saturation: int, value: int) -> tuple[float, float, float]:
    pixel = np.array([[[hue % 180, saturation, value]]], dtype=np.uint8)
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return float(blue), float(green), float(red)


def _box(
    canvas: npt.NDArray[np.float32], x: float, y: float, w: float, h: float, colour: tuple[float, ...]
) -> None:
    """A filled rectangle; x, y, w, h are fractions of the canvas."""
    rows, columns = canvas.shape[:2]
    canvas[
        round(max(y, 0) * rows) : round((y + h) * rows), round(max(x, 0) * columns) : round((x + w) * columns)
    ] = colour


def _room(canvas: npt.NDArray[np.float32], rng: np.random.Generator, hue: int) -> None:
    """A window with a curtain, a sideboard, a picture on the wall."""
    x = rng.uniform(0.05, 0.5)
    _box(canvas, x, 0.08, 0.26, 0.5, _colour(100, 25, 245))
    _box(canvas, x + 0.12, 0.08, 0.015, 0.5, _colour(hue, 60, 90))
    _box(canvas, x - 0.05, 0.05, 0.06, 0.65, _colour(hue + 25, 110, 120))
    _box(canvas, 0.0, 0.74, 1.0, 0.26, _colour(hue - 6, 120, 70))
    _box(canvas, (x + 0.45) % 0.85, 0.2, 0.12, 0.2, _colour(hue + 60, 90, 150))


def _shelves(canvas: npt.NDArray[np.float32], rng: np.random.Generator, hue: int) -> None:
    """Rows of books."""
    for row in range(5):
        x = 0.0
        while x < 1.0:
            w = rng.uniform(0.008, 0.03)
            h = rng.uniform(0.10, 0.16)
            colour = _colour(
                hue + int(rng.integers(-10, 60)), int(rng.integers(40, 150)), int(rng.integers(50, 200))
            )
            _box(canvas, x, 0.2 * row + 0.18 - h, w, h, colour)
            x += w
        _box(canvas, 0.0, 0.2 * row + 0.18, 1.0, 0.02, _colour(hue, 120, 60))


def _bricks(canvas: npt.NDArray[np.float32], rng: np.random.Generator, hue: int) -> None:
    for row in range(16):
        for column in range(-1, 14):
            colour = _colour(hue + int(rng.integers(12)), 110, int(rng.integers(95, 165)))
            _box(canvas, column / 14 + (row % 2) / 28, row / 16, 1 / 14 - 0.005, 1 / 16 - 0.01, colour)


def _garden(canvas: npt.NDArray[np.float32], rng: np.random.Generator, hue: int) -> None:
    """Sky, leaves, lawn."""
    _box(canvas, 0.0, 0.0, 1.0, 0.35, _colour(102, 70, 240))
    rows, columns = canvas.shape[:2]
    for _ in range(260):
        centre = (int(rng.uniform(0, columns)), int(rng.normal(0.42, 0.10) * rows))
        colour = _colour(
            hue + int(rng.integers(-12, 12)), int(rng.integers(90, 190)), int(rng.integers(60, 170))
        )
        axes = (int(columns * rng.uniform(0.01, 0.03)), int(rows * rng.uniform(0.008, 0.02)))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    _box(canvas, 0.0, 0.62, 1.0, 0.38, _colour(hue - 6, 140, 125))


def _blinds(canvas: npt.NDArray[np.float32], rng: np.random.Generator, hue: int) -> None:
    """An office: slats of light, a dark door."""
    for slat in range(14):
        _box(canvas, 0.1, 0.05 + slat * 0.05, 0.55, 0.026, _colour(hue + 5, 18, int(rng.integers(190, 245))))
    _box(canvas, 0.75, 0.12, 0.17, 0.88, _colour(14, 130, 70))
    _box(canvas, 0.0, 0.82, 1.0, 0.18, _colour(hue + 10, 50, 95))


Draw = Callable[[npt.NDArray[np.float32], np.random.Generator, int], None]

# What to draw, and the hues (OpenCV's, 0 to 179) of its two variants.
KINDS: tuple[tuple[Draw, tuple[int, int]], ...] = (
    (_room, (18, 95)),
    (_shelves, (12, 110)),
    (_garden, (52, 32)),
    (_blinds, (100, 24)),
    (_bricks, (6, 112)),
)


def _falloff(rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Darker towards the corners and the floor."""
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    return np.asarray(1.05 - 0.16 * x**2 - 0.10 * y**2 - 0.06 * y, dtype=np.float32)[..., None]


def _mottle(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Plaster and dirt: noise of several sizes."""
    total = np.zeros((rows, columns), np.float32)
    for cells in (6, 20, 70):
        grains = rng.standard_normal((cells, cells)).astype(np.float32)
        total += cv2.resize(grains, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return total
