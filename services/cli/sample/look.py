"""What a cast member looks like: the parameters from which a face is modelled and painted.

Lengths are in eye distances (pupil to pupil), measured from the point between the eyes: x to the right of the
picture, y down, z towards the camera. Colours are linear RGB reflectances in 0..1.
"""

from dataclasses import dataclass
from enum import StrEnum

Colour = tuple[float, float, float]


def scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


class HairStyle(StrEnum):
    BALD = "bald"
    CROPPED = "cropped"
    RECEDING = "receding"
    FRINGE = "fringe"
    PARTED = "parted"
    LONG = "long"
    CURLY = "curly"


class Beard(StrEnum):
    NONE = "none"
    STUBBLE = "stubble"
    MOUSTACHE = "moustache"
    GOATEE = "goatee"
    FULL = "full"


class Glasses(StrEnum):
    NONE = "none"
    ROUND = "round"
    SQUARE = "square"


@dataclass(frozen=True)
class Head:
    """`jaw_power`: 2 is a pointed chin, 4 a square one. `cheekbone` and `depth` are heights in z."""

    half_width: float
    chin_y: float
    jaw_power: float
    depth: float
    cheekbone: float


@dataclass(frozen=True)
class Eyes:
    """`slant` is a slope, positive with the outer corner up; `depth` that of the sockets."""

    half_width: float
    half_height: float
    slant: float
    depth: float
    iris: Colour


@dataclass(frozen=True)
class Brows:
    y: float
    half_height: float
    arch: float
    ridge: float


@dataclass(frozen=True)
class Nose:
    """`y` is the tip; `height` and `hump` are heights in z."""

    y: float
    half_width: float
    height: float
    hump: float


@dataclass(frozen=True)
class Mouth:
    y: float
    half_width: float
    lip_half_height: float
    colour: Colour


@dataclass(frozen=True)
class Skin:
    """All but `tone` are strengths from 0 (none) to about 1."""

    tone: Colour
    wrinkles: float
    freckles: float
    mottle: float
    gloss: float


@dataclass(frozen=True)
class Hair:
    style: HairStyle
    colour: Colour
    line_y: float


@dataclass(frozen=True)
class Look:
    """One person. `seed` draws what has no parameter of its own: pores, strands, folds of cloth; `size` is that
    of the whole person among the others, 1 the usual one."""

    description: str
    seed: int
    size: float
    head: Head
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    skin: Skin
    hair: Hair
    beard: Beard
    glasses: Glasses
    clothes: Colour
