"""The exact truth about a drawn episode, as it is written beside the video."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from services.kit.errors import InvalidInput

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth_corner", "left_mouth_corner")
LANDMARK_COLUMNS = tuple(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")
BOX_COLUMNS = ("frame", "person", "x", "y", "w", "h", *LANDMARK_COLUMNS)


class InvalidSample(InvalidInput, ValueError):
    """A sample that cannot be drawn as asked, or a truth file that is none."""


@dataclass(frozen=True)
class CastMember:
    person: str
    description: str


@dataclass(frozen=True)
class Shot:
    """Frames `start_frame` to `end_frame`, both included. `transition` leads into it: `start` or `cut`."""

    index: int
    start_frame: int
    end_frame: int
    persons: tuple[str, ...]
    transition: str

    @property
    def frames(self) -> int:
        return self.end_frame - self.start_frame + 1


@dataclass(frozen=True)
class FaceBox:
    """A face in one frame, in pixels; forehead to chin. `landmarks` are (x, y) in the order of LANDMARKS, which
    is YuNet's: the person's right eye stands left in the picture."""

    frame: int
    person: str
    x: float
    y: float
    w: float
    h: float
    landmarks: tuple[tuple[float, float], ...]

    def to_row(self) -> list[int | str | float]:
        points = [round(value, 2) for point in self.landmarks for value in point]
        return [self.frame, self.person, *(round(v, 2) for v in (self.x, self.y, self.w, self.h)), *points]

    @classmethod
    def from_row(cls, row: list[Any]) -> "FaceBox":
        frame, person, x, y, w, h, *points = row
        return cls(frame, person, x, y, w, h, tuple(zip(points[::2], points[1::2], strict=True)))


@dataclass(frozen=True)
class Appearance:
    """When a person is first and last on screen (time of the frame) and for how long, in seconds."""

    first_ts: float
    last_ts: float
    screen_time_s: float


@dataclass(frozen=True)
class SampleTruth:
    """`cuts` are the first frames of all shots but the first; `track_threshold` maps an embedder's name to the
    cosine between track prototypes at which this cast tells apart best."""

    video_sha256: str
    seed: int
    width: int
    height: int
    fps: int
    frames: int
    duration_s: float
    cast: tuple[CastMember, ...]
    shots: tuple[Shot, ...]
    cuts: tuple[int, ...]
    boxes: tuple[FaceBox, ...]
    screen_time_s: Mapping[str, float]
    track_threshold: Mapping[str, float]

    def appearances(self) -> dict[str, Appearance]:
        return appearances(self.shots, self.fps)

    def to_json(self) -> str:
        """One object; boxes as `columns` and `rows`, one row a line."""
        record: dict[str, Any] = asdict(replace(self, boxes=()))
        rows = [box.to_row() for box in self.boxes]
        record["boxes"] = {"columns": BOX_COLUMNS, "rows": "@rows"}
        lines = ",\n".join(json.dumps(row) for row in rows)
        return json.dumps(record, indent=1).replace('"@rows"', f"[\n{lines}\n]") + "\n"

    @classmethod
    def from_json(cls, text: str) -> "SampleTruth":
        """Raises InvalidSample when `text` is not what `to_json` writes."""
        try:
            record = json.loads(text)
            record["cast"] = tuple(CastMember(**member) for member in record["cast"])
            record["shots"] = tuple(Shot(**{**s, "persons": tuple(s["persons"])}) for s in record["shots"])
            record["cuts"] = tuple(record["cuts"])
            record["boxes"] = tuple(FaceBox.from_row(row) for row in record["boxes"]["rows"])
            return cls(**record)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidSample(f"not the truth of a sample episode: {error!r}") from error


def appearances(shots: tuple[Shot, ...], fps: int) -> dict[str, Appearance]:
    """Each person's figures as the shots have them, in order of first appearance."""
    shown: dict[str, list[Shot]] = {}
    for shot in shots:
        for person in shot.persons:
            shown.setdefault(person, []).append(shot)
    return {
        person: Appearance(
            first_ts=mine[0].start_frame / fps,
            last_ts=mine[-1].end_frame / fps,
            screen_time_s=sum(shot.frames for shot in mine) / fps,
        )
        for person, mine in shown.items()
    }


def load_truth(path: Path) -> SampleTruth:
    """Raises InvalidSample, OSError."""
    return SampleTruth.from_json(path.read_text(encoding="utf-8"))
