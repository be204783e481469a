"""The decoder's process as its parent sees it: started with nothing it does not need, bounded, and killed."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import services
from services.detector.decode_protocol import (
    BYTES_PER_PACKET,
    HEADER,
    MAX_FACTS_BYTES,
    DecodeRequest,
    MediaLimits,
    RecordKind,
)
from services.kit.errors import InvalidMedia, StageFailed
from services.kit.media_types import ACCEPTED

log = logging.getLogger(__name__)

_PIPE_BYTES = 1 << 20
_MAX_DIAGNOSIS_BYTES = 2_000
# The child inherits nothing else: the worker's environment holds the store's credentials.
_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")

Record = tuple[RecordKind, dict[str, Any], NDArray[np.uint8]]


class DecoderDied(StageFailed):
    """The child was killed, crashed or went silent; another attempt may fare better."""


@contextmanager
def running_decoder(request: DecodeRequest) -> Iterator[Child]:
    """A decoder at work on `request`; it ends with the block."""
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
            yield Child(process, diagnosis, request.limits)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
            for line in _last_words(diagnosis).splitlines():
                log.warning("decoder: %s", line)


def _environment() -> dict[str, str]:
    source_root = Path(services.__path__[0]).parent
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONPATH": str(source_root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _send(process: subprocess.Popen[bytes], request: DecodeRequest) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(request.to_json().encode())


class Child:
    """Reads records of a running decoder."""

    def __init__(self, process: subprocess.Popen[bytes], diagnosis: IO[bytes], limits: MediaLimits) -> None:
        assert process.stdout is not None
        self._process = process
        self._diagnosis = diagnosis
        self._limits = limits
        self._ends_at = monotonic() + limits.wall_s
        self._fd = process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        _widen_pipe(self._fd)

    def records(self, on_alive: Callable[[], None]) -> Iterator[Record]:
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

    def kill(self) -> None:
        """Whoever waits for a record gets `DecoderDied`."""
        self._process.kill()

    def _max_blob_bytes(self, kind: int) -> int:
        if kind == RecordKind.INDEX:
            return self._limits.max_packets * BYTES_PER_PACKET
        return self._limits.max_pixels * 3

    def _read(self, size: int) -> NDArray[np.uint8]:
        buffer = np.empty(size, np.uint8)
        view, filled = buffer.data, 0
        while filled < size:
            self._wait()
            got = os.readv(self._fd, [view[filled:]])
            if got == 0:
                raise DecoderDied(f"the decoder died: {self._cause_of_death()}")
            filled += got
        return buffer

    def _wait(self) -> None:
        """Until there is something to read. Raises `DecoderDied`."""
        limits, left_s = self._limits, max(self._ends_at - monotonic(), 0)
        if left_s and self._poll.poll(min(limits.stall_s, left_s) * 1e3):
            return
        if left_s > limits.stall_s:
            raise DecoderDied(f"the decoder was silent for {limits.stall_s:g} s and was ended")
        raise DecoderDied(f"the decoder was not done within {limits.wall_s:g} s and was ended")

    def _cause_of_death(self) -> str:
        status = self._process.wait()
        last_line = _last_words(self._diagnosis).rpartition("\n")[2]
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"{cause}; {last_line}" if last_line else cause


def _last_words(diagnosis: IO[bytes]) -> str:
    """What the child said on standard error, no more than can be read."""
    diagnosis.seek(0)
    said = diagnosis.read(_MAX_DIAGNOSIS_BYTES * 10)[-_MAX_DIAGNOSIS_BYTES:]
    return said.decode(errors="replace").strip()


def _widen_pipe(fd: int) -> None:
    """Fewer wake-ups per frame; a system without the call, or with a lower cap, keeps its own size."""
    try:
        import fcntl  # noqa: PLC0415  POSIX only
    except ImportError:
        return
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
