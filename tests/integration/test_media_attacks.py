"""Files that are made to read other files or to call out: the decoder reads nothing but the upload.

Each file first shows that it bites: FFmpeg without our pins follows it, by path and as a file object.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import av
import av.error
import pytest

from services.detector.decode_protocol import DecodeRequest, MediaLimits
from services.detector.decoder_process import DecoderDied, running_decoder
from services.detector.media import open_media, probe
from services.kit.errors import InvalidMedia
from services.kit.media_types import ContainerFormat
from tests.conftest import REPOSITORY, required_tool
from tests.inotify import Watch, watching
from tests.made_media import square_frames, write_video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")


class Listener:
    """A port of this machine that counts who calls."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                self.connections += 1
                caller.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with closing(Listener()) as listener:
        yield listener


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A video beside the upload that nobody has uploaded."""
    folder = tmp_path / "secret"
    folder.mkdir()
    return write_video(folder / "secret.ts", square_frames(5), container_format="mpegts")


@pytest.fixture
def watch(secret: Path) -> Iterator[Watch]:
    with watching(secret.parent) as watch:
        yield watch


def hls(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n".encode()


def concat(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def dash(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


PLAYLISTS = {"hls": hls, "concat": concat, "dash": dash}


def drain(source: Any) -> None:
    """Opens and decodes as one does who has read no further than the first page of the manual."""
    with suppress(av.error.FFmpegError), av.open(source) as container:
        for _ in container.decode(video=0):
            pass


@pytest.mark.parametrize("as_file", [False, True], ids=["by path", "as a file object"])
def test_without_pins_a_playlist_reads_a_file_that_was_not_uploaded(
    tmp_path: Path, secret: Path, watch: Watch, as_file: bool
) -> None:
    path = tmp_path / "upload.m3u8"
    path.write_bytes(hls(str(secret)))
    with path.open("rb") as file:
        drain(file if as_file else str(path))
    assert "secret.ts" in watch.opened()


def test_without_pins_a_playlist_calls_out(tmp_path: Path, listener: Listener) -> None:
    path = tmp_path / "upload.m3u8"
    path.write_bytes(hls(f"http://{listener.address}/a.ts"))
    with path.open("rb") as file:
        drain(file)
    assert listener.connections > 0


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".mpd", ".ts"])
def test_a_playlist_is_refused_whatever_its_name(
    tmp_path: Path, secret: Path, watch: Watch, listener: Listener, kind: str, suffix: str
) -> None:
    path = tmp_path / f"upload{suffix}"
    for target in (str(secret), secret.as_uri(), f"http://{listener.address}/a.ts"):
        path.write_bytes(PLAYLISTS[kind](target))
        for container in ContainerFormat:
            with pytest.raises(InvalidMedia):
                open_media(path, container, limits=MediaLimits(), threads=1)
    assert (watch.opened(), listener.connections) == ([], 0)


def ask_decoder(path: Path, container: str) -> list[Any]:
    """Its records, past the sniffer, as if that had been fooled."""
    request = DecodeRequest(str(path), container, 1, os.getpid(), MediaLimits(stall_s=20))
    with running_decoder(request) as child:
        return list(child.records(lambda: None))


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_that_got_past_the_sniffer_reads_nothing_else(
    tmp_path: Path, secret: Path, watch: Watch, listener: Listener, kind: str
) -> None:
    path = tmp_path / "upload.m3u8"
    path.write_bytes(PLAYLISTS[kind](str(secret)) + PLAYLISTS[kind](f"http://{listener.address}/a.ts"))
    for container in (ContainerFormat.MP4, ContainerFormat.MATROSKA, ContainerFormat.MPEGTS):
        with pytest.raises((InvalidMedia, DecoderDied)):
            ask_decoder(path, container)
    assert (watch.opened(), listener.connections) == ([], 0)


def test_a_movie_whose_samples_lie_in_another_file_does_not_read_it(
    tmp_path: Path, secret: Path, watch: Watch
) -> None:
    """QuickTime's data references: the flag "in this file" is taken away and a path is put there."""
    data = bytearray(write_video(tmp_path / "upload.mp4", square_frames(5)).read_bytes())
    at = data.index(b"dref")
    entry = data.index(b"url ", at)
    data[entry : entry + 8] = b"alis\0\0\0\0"
    (tmp_path / "upload.mp4").write_bytes(data)
    with suppress(InvalidMedia, DecoderDied):
        probe(
            open_media(tmp_path / "upload.mp4", "mov", limits=MediaLimits(), threads=1), on_alive=lambda: None
        )
    assert watch.opened() == []


def test_a_small_file_of_huge_pictures_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "huge.mp4", square_frames(1, width=8192, height=8192))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InvalidMedia, match="pixels; at most"):
        probe(open_media(path, "mov", limits=MediaLimits(), threads=1), on_alive=lambda: None)


def test_a_decoder_that_is_never_done_is_ended(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", square_frames(3))
    media = open_media(path, "mov", limits=MediaLimits(wall_s=0.01), threads=1)
    with pytest.raises(DecoderDied, match="not done within"):
        probe(media, on_alive=lambda: None)


_OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)"')


def test_the_kernel_sees_a_confined_decoder_open_the_upload_alone_and_no_socket(tmp_path: Path) -> None:
    strace, path = required_tool("strace"), tmp_path / "upload.mp4"
    write_video(path, square_frames(5))
    request = f"""
import json, os, sys
from services.detector.decode_protocol import DecodeRequest, MediaLimits
from services.detector import decoder
sys.stdin = __import__("io").StringIO(
    DecodeRequest({str(path)!r}, "mov", 1, os.getppid(), MediaLimits()).to_json())
sys.exit(decoder.main())
"""
    trace = tmp_path / "trace"
    command = [strace, "-f", "-e", "trace=open,openat,socket,connect,execve,prctl", "-o", trace]
    subprocess.run(
        [*command, sys.executable, "-c", request], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
    )
    lines = trace.read_text().splitlines()
    confined = next(n for n, line in enumerate(lines) if "PR_SET_NO_NEW_PRIVS" in line)
    rest = "\n".join(lines[confined:])
    ours = (sys.prefix, sys.base_prefix, str(REPOSITORY))  # modules that are only imported when they are needed
    opened = {name for name in _OPENED.findall(rest) if not name.startswith(ours)}
    assert opened == {str(path)}
    assert not re.search(r"\b(socket|connect|execve)\(", rest)


def test_media_is_opened_in_one_place_alone() -> None:
    """Nothing else of the product hands a stranger's file to a media library."""
    reading = re.compile(r"\bav\.open\(|VideoCapture\(|imread\(")
    found = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "services").rglob("*.py")
        if reading.search(path.read_text("utf-8"))
    }
    assert found <= {"services/detector/video_file.py", "services/cli/sample/video.py"}
