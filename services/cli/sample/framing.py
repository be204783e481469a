"""How a shot is taken: place, camera, light, how its people sit and move. Drawn by seed, then pure in time."""

from dataclasses import dataclass

import numpy as np

from services.cli.sample.relief import Expression
from services.cli.sample.shading import Light
from services.cli.sample.truth import Shot

PLACES = 10
TALK_HZ = 3.1
BLINK_S = 0.14
MOUTHS = (0.0, 0.4, 0.8)


@dataclass(frozen=True)
class Camera:
    """`zoom` grows from its first to its second value, `pan_*` (fractions of the picture) go from minus half to
    plus half of it, over the shot."""

    zoom: tuple[float, float]
    pan_x: float
    pan_y: float


@dataclass(frozen=True)
class Exposure:
    """Brightness goes from `start` to `end` around the middle of the shot, within `ramp_s`."""

    start: float
    end: float
    ramp_s: float

    def at(self, time_s: float, duration_s: float) -> float:
        along = np.clip((time_s - 0.5 * duration_s) / self.ramp_s + 0.5, 0.0, 1.0)
        return float(self.start + (self.end - self.start) * along)


@dataclass(frozen=True)
class Placement:
    """A person in a shot: point between the eyes and eye distance in pixels, and the rhythm of the head."""

    person: str
    x: float
    y: float
    unit_px: float
    phase: float
    talks: bool
    blink_every_s: float

    def pose(self, time_s: float) -> "Pose":
        def swing(hz: float, offset: float) -> float:
            return float(np.sin(2 * np.pi * (hz * time_s + self.phase + offset)))

        return Pose(
            x=self.x + self.unit_px * (0.12 * swing(0.11, 0.0) + 0.03 * swing(0.43, 0.3)),
            y=self.y + self.unit_px * 0.05 * swing(0.23, 0.6),
            unit_px=self.unit_px * (1.0 + 0.025 * swing(0.09, 0.2)),
            roll_deg=3.5 * swing(0.17, 0.4) + 1.0 * swing(0.6, 0.1),
            yaw=0.12 * swing(0.13, 0.7) + 0.03 * swing(0.47, 0.5),
            pitch=0.05 * swing(0.21, 0.9),
        )

    def expression(self, time_s: float) -> Expression:
        if (time_s + self.phase * self.blink_every_s) % self.blink_every_s < BLINK_S:
            return Expression(eyes=0.15, mouth=MOUTHS[0])
        if not self.talks:
            return Expression(mouth=MOUTHS[0])
        loud = np.sin(2 * np.pi * (TALK_HZ * time_s + self.phase)) + np.sin(2 * np.pi * 0.8 * time_s)
        return Expression(mouth=MOUTHS[int(np.clip(loud + 0.8, 0, 2))])


@dataclass(frozen=True)
class Pose:
    """Head at one moment: `yaw` and `pitch` are the sideways shift in pixels per pixel of height."""

    x: float
    y: float
    unit_px: float
    roll_deg: float
    yaw: float
    pitch: float


@dataclass(frozen=True)
class Framing:
    place: int
    camera: Camera
    light: Light
    exposure: Exposure
    placements: tuple[Placement, ...]


def frame_shot(shot: Shot, *, seed: int, width: int, height: int) -> Framing:
    rng = np.random.default_rng([seed, 3, shot.index])
    wide = width >= height
    zoom = (1.0, 1.0 + float(rng.choice([0.0, 0.0, 0.08, 0.12])))
    return Framing(
        # Neighbouring shots never share a place: every cut shows.
        place=(shot.index * 3) % PLACES,
        camera=Camera(
            zoom=zoom if rng.random() < 0.5 else zoom[::-1],
            pan_x=float(rng.choice([0.0, 0.05, -0.05, 0.08])) * wide,
            pan_y=float(rng.choice([0.0, 0.0, 0.02])),
        ),
        light=_light(rng),
        exposure=_exposure(rng),
        placements=_placements(rng, shot, width, height),
    )


def _light(rng: np.random.Generator) -> Light:
    """A key light from the front, up to 40 degrees to a side; warm, neutral or cool."""
    warmth = float(rng.uniform(-1.0, 1.0))
    return Light(
        x=float(rng.uniform(-0.7, 0.7)),
        y=float(rng.uniform(-0.7, -0.3)),
        z=1.0,
        colour=(1.0 + 0.02 * warmth, 0.98, 0.96 - 0.08 * warmth),
        ambient=float(rng.uniform(0.45, 0.6)),
    )


def _exposure(rng: np.random.Generator) -> Exposure:
    """Mostly steady; sometimes a lamp is dimmed or turned up, slowly enough to be no cut."""
    start, end = ((1.0, 1.0), (1.0, 1.0), (1.0, 0.78), (0.80, 1.05), (0.92, 0.92))[int(rng.integers(5))]
    return Exposure(start, end, ramp_s=float(rng.uniform(0.8, 1.6)))


def _placements(rng: np.random.Generator, shot: Shot, width: int, height: int) -> tuple[Placement, ...]:
    reference = min(height, width * 9 / 16)
    xs = {0: (), 1: (float(rng.choice([0.42, 0.5, 0.58])),), 2: (0.29, 0.71)}[len(shot.persons)]
    smallest, largest = (0.092, 0.112) if len(xs) == 2 else (0.095, 0.165)
    persons = [str(p) for p in rng.permutation(shot.persons)]
    talker = int(rng.integers(max(1, len(persons))))
    placements = []
    for index, (person, x) in enumerate(zip(persons, xs, strict=True)):
        unit_px = reference * float(rng.uniform(smallest, largest))
        eyes_y = max(0.26 * height + 1.5 * unit_px, height - 7.0 * unit_px)
        placements.append(
            Placement(
                person=person,
                x=x * width,
                y=eyes_y,
                unit_px=unit_px,
                phase=float(rng.random()),
                talks=index == talker,
                blink_every_s=float(rng.uniform(2.2, 3.6)),
            )
        )
    return tuple(placements)
