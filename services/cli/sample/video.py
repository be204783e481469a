"""Pictures into an MP4 whose bytes depend on nothing but the pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

# The same pictures give the same bytes on every run: one thread, bit-exact flags, and no macroblock tree, whose
# vector code in x264 decides by what happens to lie in memory (40 runs gave 7 files; without it, 1).
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "20", "threads": "1", "x264-params": "mbtree=0"}
CONTAINER_OPTIONS = {"fflags": "+bitexact", "movflags": "+faststart"}
KEYFRAME_EVERY_S = 2


class VideoWriter:
    """H.264 (yuv420p); takes BGR uint8 [H, W, 3] pictures of one size."""

    def __init__(self, container: av.container.OutputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._pts = 0

    def write(self, picture: npt.NDArray[np.uint8]) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = self._pts
        self._pts += 1
        self._container.mux(self._stream.encode(frame))

    def flush(self) -> None:
        self._container.mux(self._stream.encode(None))


@contextmanager
def open_video(path: Path, *, width: int, height: int, fps: int) -> Iterator[VideoWriter]:
    with av.open(path, "w", format="mp4", container_options=CONTAINER_OPTIONS) as container:
        stream = container.add_stream("libx264", rate=fps, options=ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = KEYFRAME_EVERY_S * fps
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        writer = VideoWriter(container, stream)
        yield writer
        writer.flush()
