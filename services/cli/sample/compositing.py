"""Sprites onto the picture: similarity transform, head turn by parallax, alpha."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from services.cli.sample.sprite import Sprite

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stand:
    """Where a sprite stands: `to_picture` float64 [2, 3] maps eye distances to pixels; a point of height z (eye
    distances) shifts by `yaw` * z and `pitch` * z on the sprite."""

    to_picture: npt.NDArray[np.float64]
    yaw: float = 0.0
    pitch: float = 0.0


def similarity(x: float, y: float, unit_px: float, roll_deg: float) -> npt.NDArray[np.float64]:
    """Turns about the origin of the canvas, which lands on (x, y)."""
    cos, sin = unit_px * np.cos(np.radians(roll_deg)), unit_px * np.sin(np.radians(roll_deg))
    return np.array([[cos, -sin, x], [sin, cos, y]])


def paste(picture: Picture, sprite: Sprite, stand: Stand) -> None:
    """Lays `sprite` on `picture` (BGR, in place); what lies outside is cut off."""
    left, top, right, bottom = _extent(picture, sprite, stand)
    if left >= right or top >= bottom:
        return
    warped = _warp(sprite, stand, left, top, (right - left, bottom - top))
    under = picture[top:bottom, left:right]
    clear = cv2.cvtColor(255 - warped[..., 3], cv2.COLOR_GRAY2BGR)
    cv2.add(cv2.multiply(under, clear, scale=1 / 255), cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR), dst=under)


def project(points: Points, sprite: Sprite, stand: Stand) -> Points:
    """Where points of the sprite (eye distances, [N, 2]) appear in the picture, pixels [N, 2]."""
    moved = points.copy()
    # A point p shows what stands at p - turn * z(p); solved for p by iteration, as the relief is shallow.
    for _ in range(4):
        height = _height_at(sprite, moved)
        moved = points + height[:, None] * np.array([stand.yaw, stand.pitch])
    return np.asarray(moved @ stand.to_picture[:, :2].T + stand.to_picture[:, 2])


def _height_at(sprite: Sprite, points: Points) -> npt.NDArray[np.float64]:
    canvas = sprite.canvas
    columns = np.round((points[:, 0] - canvas.left) * canvas.unit_px - 0.5).astype(int)
    rows = np.round((points[:, 1] - canvas.top) * canvas.unit_px - 0.5).astype(int)
    height, width = sprite.height.shape
    nearest = sprite.height[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.asarray(nearest, dtype=np.float64)


def _extent(picture: Picture, sprite: Sprite, stand: Stand) -> tuple[int, int, int, int]:
    canvas = sprite.canvas
    corners = np.array([(x, y) for x in (canvas.left, canvas.right) for y in (canvas.top, canvas.bottom)])
    placed = corners @ stand.to_picture[:, :2].T + stand.to_picture[:, 2]
    height, width = picture.shape[:2]
    low = np.clip(np.floor(placed.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(placed.max(axis=0)), 0, (width, height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _warp(sprite: Sprite, stand: Stand, left: int, top: int, size: tuple[int, int]) -> Picture:
    """The part of the picture from (left, top) of `size` (width, height) as the sprite fills it, BGRA."""
    to_sprite = _to_sprite(sprite, stand)
    to_sprite[:, 2] += to_sprite[:, :2] @ (left, top)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if stand.yaw == 0 and stand.pitch == 0:
        return np.asarray(cv2.warpAffine(sprite.bgra, to_sprite, size, flags=flags), dtype=np.uint8)
    height = cv2.warpAffine(sprite.height, to_sprite, size, flags=flags)
    columns = np.arange(size[0], dtype=np.float32)[None, :]
    rows = np.arange(size[1], dtype=np.float32)[:, None]
    m = to_sprite.astype(np.float32)
    turn = np.float32(sprite.canvas.unit_px)
    map_x = m[0, 0] * columns + m[0, 1] * rows + m[0, 2] - turn * np.float32(stand.yaw) * height
    map_y = m[1, 0] * columns + m[1, 1] * rows + m[1, 2] - turn * np.float32(stand.pitch) * height
    return np.asarray(cv2.remap(sprite.bgra, map_x, map_y, cv2.INTER_LINEAR), dtype=np.uint8)


def _to_sprite(sprite: Sprite, stand: Stand) -> npt.NDArray[np.float64]:
    """Pixels of the picture (centres at whole numbers) to pixels of the sprite, [2, 3]."""
    inverse = np.asarray(cv2.invertAffineTransform(stand.to_picture), dtype=np.float64)
    canvas = sprite.canvas
    inverse[:, 2] -= (canvas.left, canvas.top)
    inverse *= canvas.unit_px
    inverse[:, 2] -= 0.5
    return inverse
