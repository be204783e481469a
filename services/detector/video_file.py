"""A stranger's video file under FFmpeg, opened with everything pinned: demuxer, protocol, codecs, size."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import av.error

from services.detector.decode_protocol import DecodeRequest, MediaLimits
from services.kit.media_types import ContainerFormat

# Decoders of formats that cameras, phones and editors write. FFmpeg has some two hundred more, for video and
# sound, rarely fuzzed, that a hostile file could make it open while it looks at the streams.
VIDEO_CODECS = (
    "h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "prores",
    "dnxhd", "h263", "flv", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "theora", "ffv1", "vc1", "wmv3", "dvvideo",
)  # fmt: skip

# Seconds before a segment to seek to, until a keyframe at or before its start is met: transport and program
# streams have no index, and a seek there lands near the mark only.
_SEEK_BACK_S = (0, 2, 10, 60)


class MediaFault(Exception):
    """The file cannot be used; the message is for the person who uploaded it."""


@dataclass(slots=True)
class DecodeTally:
    damaged_packets: int = 0
    unordered_frames: int = 0


class VideoFile:
    """The one video stream of an open container."""

    def __init__(self, container: Any, stream: Any) -> None:
        self.container = container
        self.stream = stream
        self.time_base = Fraction(stream.time_base)

    def packets_from(self, start_pts: int | None) -> Iterator[Any]:
        """The stream's packets, from a keyframe at or before `start_pts` on."""
        if start_pts is not None:
            for back_s in _SEEK_BACK_S:
                packets = self._packets_after_seek(start_pts - int(back_s / self.time_base))
                first = next((packet for packet in packets if packet.is_keyframe), None)
                if first is not None and first.pts is not None and first.pts <= start_pts:
                    return chain([first], packets)
            self.container.seek(0)
        return readable(self.container.demux(self.stream))

    def _packets_after_seek(self, pts: int) -> Iterator[Any]:
        try:
            self.container.seek(pts, stream=self.stream)
        except av.error.FFmpegError:
            return iter(())
        return readable(self.container.demux(self.stream))


def readable(packets: Iterator[Any]) -> Iterator[Any]:
    """`packets` up to the first that the demuxer cannot make out: there a damaged file ends.

    So does one of which a stream begins only after the first megabytes: at the end PyAV asks for the last
    packets of a stream that it does not know, which is an `IndexError`.
    """
    try:
        yield from packets
    except (av.error.FFmpegError, IndexError):
        return


@contextmanager
def open_video(request: DecodeRequest) -> Iterator[VideoFile]:
    """Raises `MediaFault`."""
    options = {
        "format_whitelist": request.container,
        "protocol_whitelist": "file",
        "codec_whitelist": ",".join(VIDEO_CODECS),
        "max_pixels": str(request.limits.max_pixels),
    }
    try:
        container = av.open(request.path, format=request.container, options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaFault(f"the file cannot be read as {request.container}: {_reason(error)}") from error
    with container:
        if len(container.streams) > request.limits.max_streams:
            raise MediaFault(f"the file has more than {request.limits.max_streams} streams")
        stream = _video_stream(container)
        _check(stream, request.limits)
        context = stream.codec_context
        context.thread_count = request.threads
        context.thread_type = "AUTO" if request.threads > 1 else "NONE"
        context.options = {"max_pixels": str(request.limits.max_pixels)}
        yield VideoFile(container, stream)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _video_stream(container: Any) -> Any:
    pictures = [s for s in container.streams.video if s.disposition & s.disposition.attached_pic]
    streams = [s for s in container.streams.video if s not in pictures]
    if not streams:
        held = sorted({s.type for s in container.streams})
        raise MediaFault(f"no video stream in the file, only: {', '.join(held) or 'nothing'}")
    best = container.streams.best("video")
    return best if best in streams else streams[0]


def _check(stream: Any, limits: MediaLimits) -> None:
    context = stream.codec_context
    if context is None or context.name not in VIDEO_CODECS:
        name = "unknown" if context is None else context.name
        raise MediaFault(f"video codec {name} is not accepted; use H.264, HEVC, AV1, VP8 or VP9")
    if context.width * context.height > limits.max_pixels:
        raise MediaFault(
            f"the video has {context.width} x {context.height} pixels; at most {limits.max_pixels} are accepted"
        )


def decoded_frames(
    video: VideoFile, container: str, start_pts: int | None, tally: DecodeTally
) -> Iterator[tuple[int, Any]]:
    """(pts, frame) in presentation order, with strictly rising pts; damaged packets are skipped and counted."""
    clock = _Clock(has_presentation_times=container != ContainerFormat.AVI)
    last: int | None = None
    for packet in video.packets_from(start_pts):
        clock.submit(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            tally.damaged_packets += 1
            clock.withdraw()
            continue
        for frame in frames:
            pts = clock.time_of(frame)
            if pts is None or (last is not None and pts <= last):
                tally.unordered_frames += 1
                continue
            last = pts
            yield pts, frame


class _Clock:
    """Presentation times of decoded frames.

    AVI states only the order of decoding, one tick per frame; since a decoder returns frames in presentation
    order, the n-th frame belongs to the n-th smallest time handed in.
    """

    def __init__(self, *, has_presentation_times: bool) -> None:
        self._believes_frames = has_presentation_times
        self._waiting: list[int] = []

    def submit(self, packet: Any) -> None:
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.size and time is not None:
            heapq.heappush(self._waiting, time)

    def withdraw(self) -> None:
        """One of the packets will yield no frame."""
        if self._waiting:
            heapq.heappop(self._waiting)

    def time_of(self, frame: Any) -> int | None:
        oldest = heapq.heappop(self._waiting) if self._waiting else None
        return frame.pts if self._believes_frames and frame.pts is not None else oldest
