"""What FFmpeg says never passes through Python, where a thread that decodes could wait for ever to say it."""

from __future__ import annotations

import subprocess
import sys

_SPEAK = """
import logging
from av.logging import ERROR, INFO, get_level, log
from services.detector.decoder import let_ffmpeg_speak_for_itself

logging.basicConfig(format="by way of Python: %(message)s")
let_ffmpeg_speak_for_itself()
log(ERROR, "codec", "a remark")
log(INFO, "codec", "small talk")
assert get_level() is None
"""


def test_ffmpeg_writes_its_warnings_by_its_own_hand() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _SPEAK], capture_output=True, text=True, check=True, timeout=60
    )
    assert "a remark" in ended.stderr
    assert "small talk" not in ended.stderr
    assert "by way of Python" not in ended.stderr
