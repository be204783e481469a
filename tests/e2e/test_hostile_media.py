"""Files that are hardly videos: each is answered in words and with the right exit status."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

Run = Callable[..., Any]


def write_faceless(path: Path, frames: int, *, fps: int = 25) -> Path:
    """Moving stripes, 320 x 240 px, H.264."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        columns = np.arange(320)
        for index in range(frames):
            stripes = (127 + 100 * np.sin((columns + 4 * index) / 20)).astype(np.uint8)
            image = np.broadcast_to(stripes[None, :, None], (240, 320, 3))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: int) -> Path:
    """A tone without a picture, AAC."""
    rate = 16_000
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        tone = np.sin(np.arange(rate * seconds) * (2 * np.pi * 440 / rate)).astype(np.float32)
        for start in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_truncated(path: Path, source: Path) -> Path:
    """The first half of a file."""
    whole = source.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def assert_refused(ended: Any, code: str) -> None:
    assert ended.status == 2, ended.err
    assert ended.record["error"]["code"] == code
    assert ended.record["error"]["message"] in ended.err
    assert "Traceback" not in ended.err


def test_text_that_is_named_mp4_is_no_video(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("These are notes.\n" * 100)
    assert_refused(run(tmp_path / "notes.mp4"), "invalid-media")


def test_a_playlist_is_no_video(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    assert_refused(run(tmp_path / "list.mp4"), "invalid-media")


def test_sound_alone_is_no_video(run: Run, tmp_path: Path) -> None:
    assert_refused(run(write_sound(tmp_path / "song.mp4", seconds=2)), "invalid-media")


def test_a_video_without_its_index_is_refused(run: Run, tmp_path: Path) -> None:
    """An MP4 keeps its index at the end unless told otherwise, so the first half has none."""
    whole = write_faceless(tmp_path / "whole.mp4", frames=50)
    assert_refused(run(write_truncated(tmp_path / "half.mp4", whole)), "invalid-media")


@pytest.mark.parametrize("frames", [1, 30])
def test_a_video_without_faces_succeeds_and_says_so(run: Run, tmp_path: Path, frames: int) -> None:
    ended = run(write_faceless(tmp_path / "stripes.mp4", frames))
    assert ended.status == 0, ended.err
    assert ended.record["state"] == "succeeded"
    assert ended.record["stages"]["detect_track"]["zero_rows"] is True
    assert ended.record["stages"]["cluster"]["state"] == "skipped"
    assert ended.record["identities"] == []
    assert "no faces were found" in ended.err


def test_a_name_in_another_script_with_spaces_and_brackets_is_only_a_name(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "Фильмы [2026]"
    folder.mkdir()
    ended = run(write_faceless(folder / "Ünï 電影 'q' 50%.mp4", frames=5))
    assert ended.status == 0, ended.err
