"""The parent's side of the decoder: starts the child, bounds it, and turns its records into values."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import services
from services.detector.decode_protocol import (
    HEADER,
    MAX_FACTS_BYTES,
    DecodeRequest,
    EndFacts,
    FrameFacts,
    FrameRequest,
    IndexFacts,
    MediaLimits,
    RecordKind,
)
from services.kit.alignment import Image
from services.kit.errors import InvalidMedia, StageFailed
from services.kit.media_types import ACCEPTED, SNIFF_BYTES, ContainerFormat, sniff

_BYTES_PER_PACKET = 9  # of an index: int64 pts and a flag
_PIPE_BYTES = 1 << 20
_MAX_DIAGNOSIS_BYTES = 2_000
# The child inherits nothing else: the worker's environment holds the store's credentials.
_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")


class DecoderDied(StageFailed):
    """The child was killed, crashed or went silent; another attempt may fare better."""


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
    with _decoder(media, None) as child:
        for kind, facts, blob in child.records(on_alive):
            if kind is RecordKind.INDEX:
                return _probe_of(IndexFacts(**facts), blob)
    raise DecoderDied("the decoder ended without an index")


def decode(
    media: Media, wanted: FrameRequest, on_end: Callable[[EndFacts], None]
) -> Generator[FrameRecord, None, None]:
    """The frames of a segment in presentation order; the child is ended with the iterator.

    Raises `InvalidMedia`, `DecoderDied`.
    """
    with _decoder(media, wanted) as child:
        for kind, facts, blob in child.records(lambda: None):
            if kind is RecordKind.END:
                on_end(EndFacts(**facts))
                return
            yield _frame_of(FrameFacts(**facts), blob, wanted)
    raise DecoderDied("the decoder ended before the last frame")


def _probe_of(facts: IndexFacts, blob: NDArray[np.uint8]) -> MediaProbe:
    packets = len(blob) // _BYTES_PER_PACKET
    pts = blob[: 8 * packets].view(np.int64)
    is_keyframe = blob[8 * packets :].astype(bool)
    order = np.argsort(pts, kind="stable")
    order = order[pts[order] >= facts.first_pts]
    return MediaProbe(facts, pts[order], is_keyframe[order])


def _frame_of(facts: FrameFacts, blob: NDArray[np.uint8], wanted: FrameRequest) -> FrameRecord:
    image = blob.reshape(wanted.height, wanted.width, 3) if facts.is_sampled else None
    return FrameRecord(facts.pts, facts.ts, facts.cut_score, facts.is_sampled, facts.is_boundary, image)


@contextmanager
def _decoder(media: Media, frames: FrameRequest | None) -> Iterator[_Child]:
    request = DecodeRequest(
        path=str(media.path),
        container=media.container.value,
        threads=media.threads,
        parent_pid=os.getpid(),
        limits=media.limits,
        frames=frames,
    )
    with tempfile.TemporaryFile() as diagnosis:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.detector.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=diagnosis,
            env=_environment(),
            bufsize=0,
        )
        try:
            _send(process, request)
            yield _Child(process, diagnosis, media.limits)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _environment() -> dict[str, str]:
    source_root = Path(services.__path__[0]).parent
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": str(source_root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _send(process: subprocess.Popen[bytes], request: DecodeRequest) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(request.to_json().encode())


class _Child:
    """Reads records of a running decoder."""

    def __init__(self, process: subprocess.Popen[bytes], diagnosis: IO[bytes], limits: MediaLimits) -> None:
        assert process.stdout is not None
        self._process = process
        self._diagnosis = diagnosis
        self._limits = limits
        self._fd = process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        _widen_pipe(self._fd)

    def records(
        self, on_alive: Callable[[], None]
    ) -> Iterator[tuple[RecordKind, dict[str, Any], NDArray[np.uint8]]]:
        """Every record but signs of life, which call `on_alive`. Raises `InvalidMedia`, `DecoderDied`."""
        while True:
            kind, facts_bytes, blob_bytes = HEADER.unpack(self._read(HEADER.size).tobytes())
            if facts_bytes > MAX_FACTS_BYTES or blob_bytes > self._max_blob_bytes(kind):
                raise DecoderDied("the decoder sent a record beyond its bounds")
            facts = json.loads(self._read(facts_bytes).tobytes())
            blob = self._read(blob_bytes)
            if kind == RecordKind.FAULT:
                raise InvalidMedia(facts["message"], hint=f"accepted are {ACCEPTED} with one video stream")
            if kind == RecordKind.ALIVE:
                on_alive()
            else:
                yield RecordKind(kind), facts, blob

    def _max_blob_bytes(self, kind: int) -> int:
        if kind == RecordKind.INDEX:
            return self._limits.max_packets * _BYTES_PER_PACKET
        return self._limits.max_pixels * 3

    def _read(self, size: int) -> NDArray[np.uint8]:
        buffer = np.empty(size, np.uint8)
        view, filled = buffer.data, 0
        while filled < size:
            if not self._poll.poll(self._limits.stall_s * 1e3):
                raise DecoderDied(f"the decoder was silent for {self._limits.stall_s:g} s and was ended")
            got = os.readv(self._fd, [view[filled:]])
            if got == 0:
                raise DecoderDied(f"the decoder died: {self._cause_of_death()}")
            filled += got
        return buffer

    def _cause_of_death(self) -> str:
        status = self._process.wait()
        self._diagnosis.seek(0)
        said = self._diagnosis.read(_MAX_DIAGNOSIS_BYTES * 10)[-_MAX_DIAGNOSIS_BYTES:].decode(errors="replace")
        last_line = said.strip().rpartition("\n")[2]
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{cause}; {last_line}" if last_line else cause


def _widen_pipe(fd: int) -> None:
    """Fewer wake-ups per frame; a system without the call, or with a lower cap, keeps its own size."""
    try:
        import fcntl  # noqa: PLC0415  POSIX only
    except ImportError:
        return
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
