"""A worker that dies at one chosen statement between taking a task and letting go of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from services.kit import attempt, delivery, worker

# The modules whose statements stand between fetch and acknowledgement.
_FILES = {str(module.__file__): Path(str(module.__file__)).name for module in (worker, delivery, attempt)}
_FIRST = "_take"  # what a worker does with a task begins and ends with this


@dataclass(frozen=True)
class Point:
    """A statement by file and line. With neither: write those that are met to `record`, and do not die."""

    file: str = ""
    line: int = 0
    record: Path | None = None


def arm(point: Point) -> None:
    """Every thread that is started from here on is watched too."""
    tracer = _Tracer(point)
    threading.settrace(tracer.enter)
    sys.settrace(tracer.enter)


class _Tracer:
    def __init__(self, point: Point) -> None:
        self._point = point
        self._has_task = False
        self._met: dict[tuple[str, int], None] = {}

    def enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in _FILES:
            return None
        if frame.f_code.co_name == _FIRST:
            self._has_task = True
        return self.step if self._has_task else None

    def step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event != "line":
            return self.step
        here = (_FILES[frame.f_code.co_filename], frame.f_lineno)
        if self._point.record is not None:
            self._note(here, self._point.record)
        elif here == (self._point.file, self._point.line):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.step

    def _note(self, here: tuple[str, int], record: Path) -> None:
        if here not in self._met:
            self._met[here] = None
            record.write_text("".join(f"{file} {line}\n" for file, line in self._met))


def recorded(record: Path) -> list[Point]:
    lines = [line.split() for line in record.read_text().splitlines()]
    return [Point(file, int(number)) for file, number in lines]
