"""A video as the tasks see it: its index, and its frames one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.detector.decode_protocol import (
    BYTES_PER_PACKET,
    DecodeRequest,
    EndFacts,
    FrameFacts,
    FrameRequest,
    IndexFacts,
    MediaLimits,
    RecordKind,
)
from services.detector.decoder_process import Child, DecoderDied, running_decoder
from services.detector.read_ahead import read_ahead
from services.kit.alignment import Image
from services.kit.errors import InvalidMedia
from services.kit.media_types import ACCEPTED, SNIFF_BYTES, ContainerFormat, sniff

# Frames that the decoder may be ahead of the detector.
_AHEAD_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class MediaProbe:
    """A video's index. `pts`: int64 [N], ascending, of the video's packets from its first decodable frame on;
    `is_keyframe`: bool [N]. `end_s` and `stated_end_s` as in `IndexFacts`."""

    facts: IndexFacts
    pts: NDArray[np.int64]
    is_keyframe: NDArray[np.bool_]

    @property
    def time_base(self) -> Fraction:
        return Fraction(self.facts.time_base_num, self.facts.time_base_den)


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One decoded frame. `ts`: seconds since the video's first frame; `image`: uint8 [H, W, 3] BGR, upright,
    of a sampled frame, else None."""

    pts: int
    ts: float
    cut_score: float | None
    is_sampled: bool
    is_boundary: bool
    image: Image | None


@dataclass(frozen=True, slots=True)
class Media:
    """A file under a name of ours, the demuxer pinned for it, and what decoding it may cost."""

    path: Path
    container: ContainerFormat
    limits: MediaLimits
    threads: int


def open_media(path: Path, container: str, *, limits: MediaLimits, threads: int) -> Media:
    """Raises `InvalidMedia` when the file does not start as its container does."""
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    if not head:
        raise InvalidMedia("the file is empty", hint=f"accepted are {ACCEPTED}")
    found = sniff(head)
    if found is None or found != container:
        was = f"looks like {found.name}" if found else "is no video container that is accepted"
        raise InvalidMedia(f"the file {was}, expected {container}", hint=f"accepted are {ACCEPTED}")
    return Media(path.resolve(), found, limits, threads)


def probe(media: Media, *, on_alive: Callable[[], None]) -> MediaProbe:
    """Reads the container's index in the child. Raises `InvalidMedia`, `DecoderDied`."""
    with running_decoder(_request(media, None)) as child:
        for kind, facts, blob in child.records(on_alive):
            if kind is RecordKind.INDEX:
                return _probe_of(IndexFacts(**facts), blob)
    raise DecoderDied("the decoder ended without an index")


def decode(
    media: Media, wanted: FrameRequest, on_end: Callable[[EndFacts], None]
) -> Generator[FrameRecord, None, None]:
    """The frames of a segment in presentation order, read ahead in a thread; the child ends with the iterator.

    Raises `InvalidMedia`, `DecoderDied`.
    """
    with running_decoder(_request(media, wanted)) as child:
        yield from read_ahead(
            _frames(child, wanted, on_end),
            is_heavy=lambda frame: frame.image is not None,
            depth=max(2, _AHEAD_BYTES // (wanted.width * wanted.height * 3)),
            interrupt=child.kill,
        )


def _frames(child: Child, wanted: FrameRequest, on_end: Callable[[EndFacts], None]) -> Iterator[FrameRecord]:
    for kind, facts, blob in child.records(lambda: None):
        if kind is RecordKind.END:
            on_end(EndFacts(**facts))
            return
        yield _frame_of(FrameFacts(**facts), blob, wanted)


def _request(media: Media, frames: FrameRequest | None) -> DecodeRequest:
    return DecodeRequest(
        path=str(media.path),
        container=media.container.value,
        threads=media.threads,
        parent_pid=os.getpid(),
        limits=media.limits,
        frames=frames,
    )


def _probe_of(facts: IndexFacts, blob: NDArray[np.uint8]) -> MediaProbe:
    packets = len(blob) // BYTES_PER_PACKET
    pts = blob[: 8 * packets].view(np.int64)
    is_keyframe = blob[8 * packets :].astype(bool)
    order = np.argsort(pts, kind="stable")
    order = order[pts[order] >= facts.first_pts]
    return MediaProbe(facts, pts[order], is_keyframe[order])


def _frame_of(facts: FrameFacts, blob: NDArray[np.uint8], wanted: FrameRequest) -> FrameRecord:
    image = blob.reshape(wanted.height, wanted.width, 3) if facts.is_sampled else None
    return FrameRecord(facts.pts, facts.ts, facts.cut_score, facts.is_sampled, facts.is_boundary, image)
