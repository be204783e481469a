"""Mutated videos: the decoder neither reads elsewhere, nor calls out, nor hangs, nor takes more than its cap."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.inotify import watching
from tests.integration.test_media_attacks import Listener
from tests.made_media import square_frames, write_video
from tests.sizes import sized

_CLOSED: Mapping[str, str] = {"g": "5", "bf": "2"}
_SEEDS = {
    "a.mp4": "libx264",
    "b.mkv": "libx264",
    "c.ts": "mpeg2video",
    "d.mpg": "mpeg1video",
    "e.avi": "mpeg4",
    "f.flv": "libx264",
    "g.webm": "libvpx",
}


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_mutated_videos_harm_nobody(tmp_path: Path) -> None:
    seeds, secret = tmp_path / "seeds", tmp_path / "secret"
    for folder in (seeds, secret):
        folder.mkdir()
    for name, codec in _SEEDS.items():
        audio_s = 0.0 if name.endswith(("mpg", "webm")) else 0.5  # their muxers take no AAC
        write_video(seeds / name, square_frames(12), codec=codec, codec_options=_CLOSED, audio_s=audio_s)
    canary = write_video(secret / "canary.ts", square_frames(3), container_format="mpegts")
    with closing(Listener()) as listener, watching(secret) as watch:
        asked = [str(seeds), str(sized(10, 600)), "1", str(canary), f"http://{listener.address}/a.ts"]
        fuzzed = subprocess.run(
            [sys.executable, "-m", "tests.media_fuzz", *asked],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        opened, connections = watch.opened(), listener.connections
    found = json.loads(fuzzed.stdout)
    outcomes = found["outcomes"]
    print(found)
    assert (opened, connections) == ([], 0)
    assert "hang" not in outcomes, outcomes
    assert "unforeseen" not in outcomes, fuzzed.stderr[-2000:]
    assert {"decoded", "refused"} <= outcomes.keys(), outcomes
    assert found["largest_bytes"] <= found["cap_bytes"]
