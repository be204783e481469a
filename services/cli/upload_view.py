"""How far an upload has come: a line every few seconds, so that short ones say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.cli.screen import Screen

_LINE_EVERY_S = 5.0


class UploadView:
    def __init__(self, screen: Screen, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._said_at = clock()

    def show(self, sent_bytes: int, size_bytes: int) -> None:
        now = self._clock()
        if now - self._said_at >= _LINE_EVERY_S:
            self._said_at = now
            self._screen.say(f"sent {sent_bytes / size_bytes:.0%} of {size_bytes / 1e6:.0f} MB")
