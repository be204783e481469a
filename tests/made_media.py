"""Small videos for tests, encoded on the spot: a bright square that moves over a gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 320, 240, 25


def square_frames(count: int, *, width: int = WIDTH, height: int = HEIGHT) -> Iterator[NDArray[np.uint8]]:
    """uint8 [height, width, 3] BGR."""
    gradient = np.broadcast_to(np.linspace(20, 120, width, dtype=np.uint8)[None, :, None], (height, width, 3))
    for i in range(count):
        frame = gradient.copy()
        left = (4 * i) % (width - 40)
        frame[20:60, left : left + 40] = 230
        yield frame


def write_video(
    path: Path,
    frames: Iterator[NDArray[np.uint8]] | Sequence[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    fps: int = FPS,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec_options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    container_format: str | None = None,
    audio_s: float = 0.0,
) -> Path:
    """`pts` in `time_base`, by default one tick of 1 / fps per frame. The muxer follows the file's suffix."""
    with av.open(path, "w", format=container_format, options=dict(container_options or {})) as container:
        sound = _sound_stream(container) if audio_s else None
        stream: Any = None
        for i, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=fps, options=dict(codec_options or {}))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
                stream.codec_context.time_base = time_base or Fraction(1, fps)
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts = i if pts is None else pts[i]
            frame.time_base = time_base or Fraction(1, fps)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())
        if sound is not None:
            _write_silence(container, sound, audio_s)
    return path


def _sound_stream(container: Any) -> Any:
    stream = container.add_stream("aac", rate=16_000)
    stream.layout = "mono"
    return stream


def _write_silence(container: Any, stream: Any, length_s: float) -> None:
    for i in range(int(length_s * 16_000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, i * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def turn_mp4(path: Path) -> None:
    """Writes a display matrix of a quarter turn into the header, as a phone held upright does."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    turned = [0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turned)
    path.write_bytes(data)
