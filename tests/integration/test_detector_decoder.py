"""The decoder's process on sound, odd, damaged and hostile files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from services.detector.decode_protocol import EndFacts, FrameRequest, MediaLimits
from services.detector.decoder_process import DecoderDied
from services.detector.media import FrameRecord, Media, MediaProbe, decode, open_media, probe
from services.detector.segments import media_info, plan_segments
from services.kit.errors import InvalidMedia
from services.kit.media_types import SNIFF_BYTES, sniff
from services.kit.messages import Segment
from services.orchestrator.noise import noise_rule
from tests.made_media import FPS, HEIGHT, WIDTH, square_frames, turn_mp4, write_video
from tests.stage_context import running_decoders

OPEN_GOP = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1:b-adapt=0"}
CLOSED_GOP = {"g": "12", "bf": "2"}


def opened(path: Path, **limits: Any) -> Media:
    container = sniff(path.read_bytes()[:SNIFF_BYTES])
    assert container is not None
    return open_media(path, container, limits=MediaLimits(**limits), threads=1)


def index_of(media: Media) -> MediaProbe:
    return probe(media, on_alive=lambda: None)


def request_of(index: MediaProbe, segment: Segment = Segment(), stride: int = 5) -> FrameRequest:  # noqa: B008
    info = media_info(index)
    assert info.first_pts is not None
    return FrameRequest(
        stride=stride,
        scene_detector="internal",
        width=info.width,
        height=info.height,
        fps_num=info.fps_num,
        fps_den=info.fps_den,
        first_pts=info.first_pts,
        start_pts=segment.start_pts,
        end_pts=segment.end_pts,
        prev_pts=segment.prev_pts,
    )


def decoded(media: Media, wanted: FrameRequest) -> tuple[list[FrameRecord], EndFacts]:
    ends: list[EndFacts] = []
    records = list(decode(media, wanted, ends.append))
    return records, ends[0]


def everything(path: Path) -> tuple[list[FrameRecord], EndFacts]:
    media = opened(path)
    return decoded(media, request_of(index_of(media)))


def square_left_px(image: np.ndarray) -> int:
    return int(np.flatnonzero(image[40, :, 1] > 180)[0])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", CLOSED_GOP),
        ("open.mp4", "libx264", OPEN_GOP),
        ("closed.mkv", "libx264", CLOSED_GOP),
        ("closed.ts", "libx264", CLOSED_GOP),
        ("open.ts", "libx264", OPEN_GOP),
        ("closed.flv", "libx264", CLOSED_GOP),
        ("old.mpg", "mpeg2video", CLOSED_GOP),
        ("vp9.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_segments_give_the_frames_of_the_whole(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    media = opened(write_video(tmp_path / name, square_frames(100), codec=codec, codec_options=options))
    index = index_of(media)
    whole, _ = decoded(media, request_of(index))
    segments = plan_segments(index, media.container, 1.0)
    assert len(segments) >= 3
    joined: list[FrameRecord] = []
    for segment in segments:
        records, _ = decoded(media, request_of(index, segment))
        joined += [record for record in records if not record.is_boundary]
        assert sum(record.is_boundary for record in records) == (segment.end_pts is not None)
    assert [(r.pts, r.ts, r.is_sampled) for r in joined] == [(r.pts, r.ts, r.is_sampled) for r in whole]
    assert len(whole) == 100
    for one, other in zip(joined, whole, strict=True):
        assert (one.image is None) == (other.image is None)
        if one.image is not None:
            np.testing.assert_array_equal(one.image, other.image)


def test_a_boundary_frame_has_the_score_that_the_whole_gives_it(tmp_path: Path) -> None:
    media = opened(write_video(tmp_path / "v.mp4", square_frames(100), codec_options=CLOSED_GOP))
    index = index_of(media)
    score = {record.pts: record.cut_score for record in decoded(media, request_of(index))[0]}
    for segment in plan_segments(index, media.container, 1.0):
        records, _ = decoded(media, request_of(index, segment))
        assert records[0].cut_score is None
        assert [r.cut_score for r in records[1:]] == [score[r.pts] for r in records[1:]]


def test_frames_come_in_presentation_order_with_their_own_pixels(tmp_path: Path) -> None:
    records, end = everything(write_video(tmp_path / "v.mp4", square_frames(60), codec_options=OPEN_GOP))
    images = [record.image for record in records if record.image is not None]
    assert [square_left_px(image) // 4 for image in images] == list(range(0, 60, 5))
    assert end == EndFacts(frames=60, damaged_packets=0, unordered_frames=0)


def test_an_avi_with_reordered_frames_gets_rising_times(tmp_path: Path) -> None:
    records, _ = everything(write_video(tmp_path / "v.avi", square_frames(60), codec_options=CLOSED_GOP))
    assert [record.ts for record in records] == [i / FPS for i in range(60)]
    images = [record.image for record in records if record.image is not None]
    assert [square_left_px(image) // 4 for image in images] == list(range(0, 60, 5))


def test_a_variable_frame_rate_keeps_the_container_s_times(tmp_path: Path) -> None:
    pts = np.cumsum(np.random.default_rng(1).integers(20, 90, 100))
    times = (pts - pts[0]).tolist()
    path = write_video(tmp_path / "v.mkv", square_frames(100), pts=times, time_base=Fraction(1, 1000))
    records, _ = everything(path)
    assert [record.ts for record in records] == [time / 1000 for time in times]


def test_a_phone_s_rotation_is_applied(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(3))
    upright, _ = everything(path)
    turn_mp4(path)
    media = opened(path)
    index = index_of(media)
    assert (index.facts.width, index.facts.height) == (HEIGHT, WIDTH)
    turned, _ = decoded(media, request_of(index))
    assert turned[0].image is not None
    assert upright[0].image is not None
    # The header's matrix turns by 90 degrees clockwise.
    np.testing.assert_array_equal(turned[0].image, np.rot90(upright[0].image, -1))


def test_a_video_of_one_frame_has_one_sampled_frame(tmp_path: Path) -> None:
    records, _ = everything(write_video(tmp_path / "v.mp4", square_frames(1)))
    assert [(r.ts, r.is_sampled, r.cut_score) for r in records] == [(0.0, True, None)]


def test_damaged_packets_are_skipped_and_counted_and_ffmpegs_words_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(200), codec_options={"g": "25"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4000
    data[middle : middle + 1500] = np.random.default_rng(0).bytes(1500)
    path.write_bytes(data)
    records, end = everything(path)
    assert 0 < end.damaged_packets < 100
    assert len(records) >= 100
    assert records[-1].ts == pytest.approx(199 / FPS)
    said = [record.getMessage() for record in caplog.records]
    assert any(noise_rule("warning", line) == "decoder" for line in said), said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "the file is empty"), (b"no video at all" * 500, "no video container"), (b"#EXTM3U\n", "no video")],
)
def test_what_is_no_video_is_refused_without_a_decoder(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(InvalidMedia, match=said):
        open_media(path, "mov", limits=MediaLimits(), threads=1)


def test_a_container_other_than_declared_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", square_frames(3))
    with pytest.raises(InvalidMedia, match="looks like MATROSKA, expected mov"):
        open_media(path, "mov", limits=MediaLimits(), threads=1)


def test_a_file_cut_before_its_index_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InvalidMedia, match="cannot be read as mov"):
        index_of(opened(path))


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [], audio_s=2.0)
    with pytest.raises(InvalidMedia, match="no video stream in the file, only: audio"):
        index_of(opened(path))


def test_a_video_without_a_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    with pytest.raises(InvalidMedia):
        index_of(opened(path))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_pixels": WIDTH * HEIGHT - 1}, "320 x 240 pixels; at most 76799"),
        ({"max_streams": 1}, "more than 1 streams"),
        ({"max_duration_s": 1.0}, "longer than 1 s"),
    ],
)
def test_a_video_beyond_the_limits_is_refused(tmp_path: Path, limits: dict[str, Any], said: str) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(50), audio_s=1.0)
    with pytest.raises(InvalidMedia, match=said):
        index_of(opened(path, **limits))


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits of a process")
def test_a_video_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(1, width=8192, height=4320))
    with pytest.raises(InvalidMedia, match="needs more than 320 MiB of memory"):
        index_of(opened(path, address_space_bytes=320 << 20))


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Its frames, 220 MB, are more than is read ahead, so that at stride 1 its decoder waits for the reader."""
    path = tmp_path_factory.mktemp("long") / "v.mp4"
    frames = square_frames(80, width=1280, height=720)
    return opened(write_video(path, frames, codec_options={"preset": "ultrafast"}), stall_s=1.0)


def only_child() -> psutil.Process:
    (child,) = running_decoders()
    return child


def test_a_decoder_that_is_killed_is_worth_another_attempt(long_video: Media) -> None:
    records = decode(long_video, replace(request_of(index_of(long_video)), stride=1), lambda _: None)
    next(records)
    only_child().send_signal(signal.SIGKILL)
    with pytest.raises(DecoderDied, match="the decoder died: signal 9"):
        list(records)


def test_a_decoder_that_goes_silent_is_ended(long_video: Media) -> None:
    records = decode(long_video, replace(request_of(index_of(long_video)), stride=1), lambda _: None)
    next(records)
    child = only_child()
    child.suspend()
    with pytest.raises(DecoderDied, match="silent for 1 s"):
        list(records)
    assert not child.is_running()


def test_a_decoder_ends_with_its_reader(long_video: Media) -> None:
    records = decode(long_video, replace(request_of(index_of(long_video)), stride=1), lambda _: None)
    next(records)
    child = only_child()
    records.close()
    assert not child.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_decoder_inherits_no_secret_and_few_rights(
    long_video: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-tell")
    records = decode(long_video, replace(request_of(index_of(long_video)), stride=1), lambda _: None)
    next(records)
    process = Path("/proc") / str(only_child().pid)
    assert b"do-not-tell" not in (process / "environ").read_bytes()
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()
    }
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max address space"] == [str(4 << 30)] * 2
    assert limits["Max cpu time"] == ["43200", "43200"]
    assert limits["Max file size"] == ["65536", "65536"]
    assert limits["Max open files"] == ["64", "64"]
    assert "NoNewPrivs:\t1" in (process / "status").read_text()
    records.close()


_OWNER = """
import sys
from pathlib import Path
from services.detector.decode_protocol import FrameRequest, MediaLimits
from services.detector.media import decode, open_media
media = open_media(Path(sys.argv[1]), "mov", limits=MediaLimits(), threads=1)
wanted = FrameRequest(1, "off", 1280, 720, 25, 1, 0)
records = decode(media, wanted, print)
next(records)
print("decoding", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
def test_a_decoder_does_not_outlive_a_killed_worker(long_video: Media) -> None:
    command = [sys.executable, "-c", _OWNER, str(long_video.path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"decoding\n"
        (child,) = psutil.Process(owner.pid).children()
        child.suspend()  # so that it cannot end by itself, when its pipe breaks
        os.kill(owner.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs([child], timeout=10)
        for orphan in alive:
            orphan.kill()
    assert gone == [child]
