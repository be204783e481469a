"""The process that touches hostile media: `python -m services.detector.decoder`, one request on its input.

It is started by `services.detector.media` with an empty environment, confines itself, and answers with the
records of `services.detector.decode_protocol`. Whatever a file makes it do, only this process dies.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from av.logging import WARNING, restore_default_callback, set_libav_level

from services.detector.cut_scores import CutScorer, InternalScorer, PySceneDetectScorer
from services.detector.decode_protocol import (
    DecodeRequest,
    EndFacts,
    FrameFacts,
    FrameRequest,
    IndexFacts,
    MediaLimits,
    RecordKind,
    write_record,
)
from services.detector.sampling import SamplingGrid
from services.detector.sandbox import confine
from services.detector.video_file import (
    DecodeTally,
    MediaFault,
    VideoFile,
    decoded_frames,
    open_video,
    readable,
)
from services.kit.media_types import ContainerFormat

_ALIVE_EVERY_PACKETS = 5_000
# Transport and program streams and FLV state no length of their own; FFmpeg estimates one.
_STATES_ITS_LENGTH = frozenset({ContainerFormat.MP4, ContainerFormat.MATROSKA, ContainerFormat.AVI})


def let_ffmpeg_speak_for_itself() -> None:
    """Its remarks go to standard error by its own hand.

    Through Python a decoding thread would wait for the interpreter's lock, which may be held by whoever waits
    for that thread: for ever. PyAV's own `set_level` would bring that way back.
    """
    restore_default_callback()
    set_libav_level(WARNING)


def main() -> int:
    # Libraries may print; only records go to the pipe.
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        let_ffmpeg_speak_for_itself()
        request = DecodeRequest.from_json(sys.stdin.read())
        confine(request.limits, request.parent_pid)
        try:
            answer(request, out)
        except MediaFault as fault:
            write_record(out, RecordKind.FAULT, {"message": str(fault)})
        except MemoryError:
            limit_mib = request.limits.address_space_bytes >> 20
            message = f"the video needs more than {limit_mib} MiB of memory to decode"
            write_record(out, RecordKind.FAULT, {"message": message})
    return 0


def answer(request: DecodeRequest, out: BinaryIO) -> None:
    """Writes the records that were asked for. Raises `MediaFault`, `MemoryError`."""
    if request.frames is None:
        _send_index(request, out)
    else:
        _send_frames(request, request.frames, out)


def _send_index(request: DecodeRequest, out: BinaryIO) -> None:
    first_pts, first = _first_frame(request)
    write_record(out, RecordKind.ALIVE, {})
    with open_video(request) as video:
        index = _PacketIndex(video, request.limits)
        for count, packet in enumerate(readable(video.container.demux())):
            index.add(packet)
            if count % _ALIVE_EVERY_PACKETS == 0:
                write_record(out, RecordKind.ALIVE, {})
        stream = video.stream
        declared = stream.guessed_rate or stream.average_rate or Fraction(0)
        height, width = _upright(first).shape[:2]
        facts = IndexFacts(
            codec=stream.codec_context.name,
            time_base_num=video.time_base.numerator,
            time_base_den=video.time_base.denominator,
            declared_fps_num=declared.numerator,
            declared_fps_den=declared.denominator,
            width=width,
            height=height,
            first_pts=first_pts,
            can_seek=index.can_seek,
            end_s=index.end_s,
            stated_end_s=_stated_end_s(video.container, request.container),
            damaged_packets=index.damaged,
        )
        write_record(out, RecordKind.INDEX, asdict(facts), index.pts.tobytes() + index.keyframes.tobytes())


def _first_frame(request: DecodeRequest) -> tuple[int, Any]:
    with open_video(request) as video:
        found = next(decoded_frames(video, request.container, None, DecodeTally()), None)
    if found is None:
        raise MediaFault("no frame of the video can be decoded")
    return found


def _stated_end_s(container: Any, container_format: str) -> float | None:
    """Where the header says that the file ends, on the clock of its packets."""
    if container.duration is None or container_format not in _STATES_ITS_LENGTH:
        return None
    return float((container.start_time or 0) + container.duration) / 1e6


class _PacketIndex:
    """What a pass over the packets tells without decoding one."""

    def __init__(self, video: VideoFile, limits: MediaLimits) -> None:
        self.pts = array("q")
        self.keyframes = array("B")
        self.can_seek = True
        self.damaged = 0
        self.end_s = 0.0
        self._stream_index = video.stream.index
        self._limits = limits

    def add(self, packet: Any) -> None:
        """Raises `MediaFault` past the limits."""
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None or not packet.size:
            return
        self.end_s = max(self.end_s, float((time + (packet.duration or 0)) * packet.time_base))
        if self.end_s > self._limits.max_duration_s or len(self.pts) >= self._limits.max_packets:
            raise MediaFault(f"the video is longer than {self._limits.max_duration_s:g} s")
        if packet.stream_index != self._stream_index or packet.is_discard:
            return
        self.pts.append(time)
        self.keyframes.append(packet.is_keyframe)
        self.damaged += packet.is_corrupt
        self.can_seek = self.can_seek and packet.pts is not None


def _send_frames(request: DecodeRequest, wanted: FrameRequest, out: BinaryIO) -> None:
    tally, count = DecodeTally(), 0
    with open_video(request) as video:
        frames = decoded_frames(video, request.container, wanted.start_pts, tally)
        for facts, frame in _judged(frames, wanted, video.time_base):
            pixels = _sized(_upright(frame), wanted) if facts.is_sampled else b""
            write_record(out, RecordKind.FRAME, asdict(facts), pixels)
            count += 1
    end = EndFacts(count, tally.damaged_packets, tally.unordered_frames)
    write_record(out, RecordKind.END, asdict(end))


def _judged(
    frames: Iterator[tuple[int, Any]], wanted: FrameRequest, time_base: Fraction
) -> Iterator[tuple[FrameFacts, Any]]:
    """The segment's frames and, last, the one after it, whose score belongs to the next segment's start."""
    scorer = _scorer(wanted.scene_detector)
    fps = Fraction(wanted.fps_num, wanted.fps_den)
    grid = SamplingGrid.of(first_pts=wanted.first_pts, time_base=time_base, fps=fps, stride=wanted.stride)
    previous = wanted.prev_pts
    for pts, frame in frames:
        if wanted.start_pts is not None and pts < wanted.start_pts:
            continue
        is_boundary = wanted.end_pts is not None and pts >= wanted.end_pts
        is_sampled = not is_boundary and grid.is_sampled(pts, previous)
        score = None if scorer is None else scorer.score(frame)
        ts = float((pts - wanted.first_pts) * time_base)
        yield FrameFacts(pts, ts, score, is_sampled, is_boundary), frame
        if is_boundary:
            return
        previous = pts


def _scorer(name: str) -> CutScorer | None:
    if name == "off":
        return None
    return PySceneDetectScorer() if name == "pyscenedetect" else InternalScorer()


def _upright(frame: Any) -> Any:
    """uint8 [H, W, 3] BGR, turned as the display matrix asks (`rotation`: degrees counter-clockwise)."""
    pixels = frame.reformat(format="bgr24", threads=1).to_ndarray()
    return np.rot90(pixels, round(frame.rotation / 90) % 4)


def _sized(pixels: Any, wanted: FrameRequest) -> Any:
    """Contiguous, at the request's size: a stream may change its size midway, boxes may not."""
    if pixels.shape[:2] != (wanted.height, wanted.width):
        rows = np.arange(wanted.height) * pixels.shape[0] // wanted.height
        columns = np.arange(wanted.width) * pixels.shape[1] // wanted.width
        pixels = pixels[rows[:, None], columns]
    return np.ascontiguousarray(pixels)


if __name__ == "__main__":
    sys.exit(main())
