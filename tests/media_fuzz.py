"""Throws mutated videos at the decoder: `python -m tests.media_fuzz FOLDER SECONDS SEED CANARY...`.

FOLDER holds small sound videos. Each case runs in a fork that confines itself as the decoder's process does, so
that thousands fit into a minute. Each CANARY, a path or an address, is written into some of the files. Prints one
line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

from services.detector import decoder
from services.detector.decode_protocol import DecodeRequest, FrameRequest, MediaLimits
from services.detector.sandbox import confine
from services.detector.video_file import MediaFault
from services.kit.media_types import SNIFF_BYTES, ContainerFormat, sniff

_HANG_S = 20.0
_MEMORY_BYTES = 1 << 30
_FAULT, _NO_MEMORY, _UNFORESEEN = 10, 11, 12
_OUTCOMES = {0: "decoded", _FAULT: "refused", _NO_MEMORY: "out of memory", _UNFORESEEN: "unforeseen"}
_LIMITS = MediaLimits(max_pixels=1 << 22, max_duration_s=600, address_space_bytes=_MEMORY_BYTES, cpu_s=15)
_FRAMES = FrameRequest(
    stride=5, scene_detector="internal", width=320, height=240, fps_num=25, fps_den=1, first_pts=0
)
_SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(seed: bytes, others: list[bytes], canaries: list[str], dice: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(dice.choice((1, 1, 2, 4, 16, 64))):
        at = dice.randrange(min(len(data), dice.choice((64, 1024, 1 << 30))))
        match dice.randrange(7):
            case 0:
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at : at + 4] = dice.choice(_SIZES).to_bytes(4, dice.choice(("big", "little")))
            case 2:
                data[at : at + dice.randrange(1, 64)] = dice.randbytes(dice.randrange(64))
            case 3:
                other = dice.choice(others)
                start = dice.randrange(len(other))
                data[at:at] = other[start : start + dice.randrange(1, 4096)]
            case 4:
                data[at : at + dice.randrange(1, 4096)] = b""
            case 5:
                data[at : at + 256] = playlist(dice.choice(canaries), dice)
            case 6:
                data = data[: max(at, 512)]
        data = data or bytearray(b"\0")
    return bytes(data)


def playlist(canary: str, dice: random.Random) -> bytes:
    """Text that makes other demuxers read `canary`."""
    return dice.choice(
        (
            f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{canary}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile '{canary}'\n",
            f"<MPD><Period><AdaptationSet><Representation><BaseURL>{canary}</BaseURL>",
            f"url \0\0\0\0{canary}\0",
        )
    ).encode()


def request_for(path: Path, container: ContainerFormat, *, index: bool) -> DecodeRequest:
    return DecodeRequest(str(path), container.value, 1, os.getpid(), _LIMITS, None if index else _FRAMES)


def run_case(request: DecodeRequest) -> tuple[str, int]:
    """(what became of it, largest resident memory in bytes), from a process of its own."""
    pid = os.fork()
    if pid == 0:
        os._exit(_in_child(request))
    give_up_at = time.monotonic() + _HANG_S
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > give_up_at:
            os.kill(pid, signal.SIGKILL)
            os.wait4(pid, 0)
            return "hang", 0
        time.sleep(0.001)  # the child cannot be waited for with a time limit and its usage at once
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}", usage.ru_maxrss << 10
    return _OUTCOMES.get(os.WEXITSTATUS(status), "unforeseen"), usage.ru_maxrss << 10


def _in_child(request: DecodeRequest) -> int:
    try:
        confine(replace(request.limits), request.parent_pid)
        with Path(os.devnull).open("wb") as out:
            decoder.answer(request, out)
    except MediaFault:
        return _FAULT
    except MemoryError:
        return _NO_MEMORY
    except Exception:  # noqa: BLE001 - the case to be told of
        os.write(2, traceback.format_exc().encode())
        return _UNFORESEEN
    return 0


def main(folder: Path, seconds: float, seed: int, canaries: list[str]) -> dict[str, object]:
    seeds = [path.read_bytes() for path in sorted(folder.iterdir())]
    dice, outcomes, largest = random.Random(seed), Counter[str](), 0
    give_up_at = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "media"
        while time.monotonic() < give_up_at:
            data = mutated(dice.choice(seeds), seeds, canaries, dice)
            path.write_bytes(data)
            told = sniff(data[:SNIFF_BYTES])
            outcomes["cases"] += 1
            # What the sniffer turns away, other demuxers are tried on all the same.
            container = told or dice.choice(list(ContainerFormat))
            for index in (True, False):
                outcome, memory = run_case(request_for(path, container, index=index))
                outcomes[outcome] += 1
                largest = max(largest, memory)
    return {"outcomes": dict(outcomes), "largest_bytes": largest, "cap_bytes": _MEMORY_BYTES}


if __name__ == "__main__":
    folder, seconds, seed, *canaries = sys.argv[1:]
    print(json.dumps(main(Path(folder), float(seconds), int(seed), canaries)))
