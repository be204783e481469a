"""One shot, frame by frame: the place through the camera, the people in it, the exact boxes of their faces."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from services.cli.sample.compositing import Picture, Stand, paste, project, similarity
from services.cli.sample.framing import Camera, Framing, Placement, Pose
from services.cli.sample.look import Look
from services.cli.sample.relief import Expression, chin_y
from services.cli.sample.scenery import MARGIN
from services.cli.sample.sprite import Sprite, draw_body, draw_head
from services.cli.sample.truth import FaceBox, Shot

# A head turns about a point this far below the eyes, where neck and body meet.
NECK_Y = 2.2
FOREHEAD_Y = -1.05
# Far things move less than near ones when the camera pans.
FAR = 0.6
LARGEST_SPRITE_UNIT_PX = 160.0


@dataclass(frozen=True)
class View:
    """The camera at one moment: points move by `pan` (pixels), then scale by `zoom` about the middle."""

    zoom: float
    pan: tuple[float, float]
    middle: tuple[float, float]

    @classmethod
    def at(cls, camera: Camera, along: float, width: int, height: int) -> "View":
        smooth = along * along * (3 - 2 * along)
        zoom = camera.zoom[0] + (camera.zoom[1] - camera.zoom[0]) * smooth
        pan = (camera.pan_x * width * (smooth - 0.5), camera.pan_y * height * (smooth - 0.5))
        return cls(zoom, pan, (width / 2, height / 2))

    def place(self, x: float, y: float) -> tuple[float, float]:
        (pan_x, pan_y), (mid_x, mid_y) = self.pan, self.middle
        return mid_x + self.zoom * (x + pan_x - mid_x), mid_y + self.zoom * (y + pan_y - mid_y)


class Actor:
    """A person in one shot, drawn once per expression."""

    def __init__(self, placement: Placement, look: Look, framing: Framing) -> None:
        self._placement = replace(placement, unit_px=placement.unit_px * look.size)
        self._look = look
        self._light = framing.light
        self._unit_px = min(LARGEST_SPRITE_UNIT_PX, 1.1 * self._placement.unit_px * max(framing.camera.zoom))
        self._body = draw_body(look, framing.light, self._unit_px)
        self._heads: dict[Expression, Sprite] = {}

    def act(self, picture: Picture, view: View, time_s: float, frame: int) -> FaceBox:
        """Draws the person into `picture` and tells where the face is."""
        pose = self._placement.pose(time_s)
        expression = self._placement.expression(time_s)
        head, body = _stands(pose, view)
        sprite = self._head(expression)
        paste(picture, sprite, head)
        paste(picture, self._body, body)
        return self._face_box(sprite, head, expression, frame)

    def _head(self, expression: Expression) -> Sprite:
        if expression not in self._heads:
            self._heads[expression] = draw_head(self._look, self._light, expression, self._unit_px)
        return self._heads[expression]

    def _face_box(self, sprite: Sprite, head: Stand, expression: Expression, frame: int) -> FaceBox:
        edges = project(_edges(self._look, expression), sprite, Stand(head.to_picture))
        (x, y), (right, bottom) = edges.min(axis=0), edges.max(axis=0)
        points = project(_landmarks(self._look), sprite, head)
        landmarks = tuple((float(px), float(py)) for px, py in points)
        return FaceBox(
            frame, self._placement.person, float(x), float(y), float(right - x), float(bottom - y), landmarks
        )


def shoot(
    shot: Shot,
    framing: Framing,
    looks: Mapping[str, Look],
    place: Picture,
    *,
    width: int,
    height: int,
    fps: int,
) -> Iterator[tuple[Picture, tuple[FaceBox, ...]]]:
    """The frames of `shot`: BGR uint8 [height, width, 3] and the faces in it."""
    actors = [Actor(placement, looks[placement.person], framing) for placement in framing.placements]
    for offset in range(shot.frames):
        time_s = offset / fps
        view = View.at(framing.camera, offset / max(1, shot.frames - 1), width, height)
        picture = _backdrop(place, view, width, height)
        boxes = tuple(actor.act(picture, view, time_s, shot.start_frame + offset) for actor in actors)
        gain = framing.exposure.at(time_s, shot.frames / fps)
        yield np.asarray(cv2.convertScaleAbs(picture, alpha=gain), dtype=np.uint8), boxes


def _stands(pose: Pose, view: View) -> tuple[Stand, Stand]:
    """Of the head, turned about the neck, and of the body below it."""
    x, y = view.place(pose.x, pose.y)
    unit_px = pose.unit_px * view.zoom
    head = similarity(x, y, unit_px, pose.roll_deg)
    neck_x, neck_y = head[:, :2] @ (0.0, NECK_Y) + head[:, 2]
    body = similarity(neck_x, neck_y - NECK_Y * unit_px, unit_px, 0.0)
    return Stand(head, pose.yaw, pose.pitch), Stand(body)


def _edges(look: Look, expression: Expression) -> npt.NDArray[np.float64]:
    """Forehead, chin and both sides of the face."""
    side = look.head.half_width
    return np.array([(0.0, FOREHEAD_Y), (0.0, chin_y(look, expression)), (-side, 0.2), (side, 0.2)])


def _landmarks(look: Look) -> npt.NDArray[np.float64]:
    """In YuNet's order; the eyes stand half an eye distance off the middle by definition."""
    nose, mouth = look.nose, look.mouth
    corners = ((-mouth.half_width, mouth.y), (mouth.half_width, mouth.y))
    return np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, nose.y), *corners])


def _backdrop(place: Picture, view: View, width: int, height: int) -> Picture:
    scale = 1.0 / view.zoom
    centre_x, centre_y = MARGIN * width / 2 - FAR * view.pan[0], MARGIN * height / 2 - FAR * view.pan[1]
    to_place = np.array([[scale, 0, centre_x - scale * width / 2], [0, scale, centre_y - scale * height / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(place, to_place, (width, height), flags=flags), dtype=np.uint8)
