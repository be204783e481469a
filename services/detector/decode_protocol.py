"""What the decoder's child process is told, and the records it answers with over its pipe.

A record is a fixed header (kind, length of the facts, length of the blob), facts in JSON, then the blob. The
child handles hostile bytes, so the reader bounds every length before it believes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, BinaryIO, Self

HEADER = struct.Struct("<BIQ")
MAX_FACTS_BYTES = 1 << 16
BYTES_PER_PACKET = 9  # of an index: int64 pts and a flag


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one video may cost. `stall_s`: longest silence of the decoder before it is killed.

    `cpu_s` and `wall_s`: how much a decoder may work, and how long it may live, for one request.
    """

    max_pixels: int = 8192 * 4352
    max_streams: int = 64
    max_duration_s: float = 86_400.0
    max_packets: int = 20_000_000
    address_space_bytes: int = 4 << 30
    stall_s: float = 60.0
    cpu_s: int = 43_200
    wall_s: float = 43_200.0


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Frames with `start_pts <= pts < end_pts` and the one after them; `None` leaves a side open.

    `width` and `height` are those of the upright frames, `fps` the nominal rate as numerator, denominator.
    """

    stride: int
    scene_detector: str
    width: int
    height: int
    fps_num: int
    fps_den: int
    first_pts: int
    start_pts: int | None = None
    end_pts: int | None = None
    prev_pts: int | None = None


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """`path` is a name of ours; `container` the demuxer to pin. Without `frames` the index is read."""

    path: str
    container: str
    threads: int
    parent_pid: int
    limits: MediaLimits
    frames: FrameRequest | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        frames = fields.pop("frames")
        limits = MediaLimits(**fields.pop("limits"))
        return cls(**fields, limits=limits, frames=FrameRequest(**frames) if frames else None)


class RecordKind(IntEnum):
    ALIVE = 0  # still reading; nothing else to say yet
    INDEX = 1  # facts: `IndexFacts`; blob: int64 pts, then uint8 keyframe flags, one per video packet
    FRAME = 2  # facts: `FrameFacts`; blob: the pixels of a sampled frame
    END = 3  # facts: `EndFacts`
    FAULT = 4  # facts: message; nothing follows


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """`first_pts`, `width`, `height`: of the first decoded frame, upright. `end_s`, `stated_end_s`: where the
    last packet of any stream ends, and where the container's header says so, seconds on one clock."""

    codec: str
    time_base_num: int
    time_base_den: int
    declared_fps_num: int
    declared_fps_den: int
    width: int
    height: int
    first_pts: int
    can_seek: bool
    end_s: float
    stated_end_s: float | None
    damaged_packets: int


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One decoded frame; its blob is empty or uint8 [height, width, 3] BGR of the request's size. `ts`: seconds
    since `first_pts`."""

    pts: int
    ts: float
    cut_score: float | None
    is_sampled: bool
    is_boundary: bool


@dataclass(frozen=True, slots=True)
class EndFacts:
    """`damaged_packets` could not be decoded; `unordered_frames` went back in time and were dropped."""

    frames: int
    damaged_packets: int
    unordered_frames: int


def write_record(out: BinaryIO, kind: RecordKind, facts: Mapping[str, Any], blob: Any = b"") -> None:
    """`blob` is anything with a contiguous buffer."""
    text = json.dumps(dict(facts)).encode()
    view = memoryview(blob).cast("B") if len(blob) else memoryview(b"")
    out.write(HEADER.pack(kind, len(text), view.nbytes))
    out.write(text)
    out.write(view)
    out.flush()
