"""What is to be seen while a job runs: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from services.cli.screen import Screen, harmless
from services.client import JobEvent, LogLine, StageProgress, StateChange

_LINE_EVERY_S = 5.0
_LOUD_LEVELS = frozenset({"warning", "error", "critical"})


class ProgressView(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, event: JobEvent) -> None: ...


class LineView:
    """A line per change of state, and for each stage that moves one every few seconds."""

    def __init__(self, screen: Screen, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def show(self, event: JobEvent) -> None:
        match event:
            case StateChange() if event.stage:
                self._screen.say(f"{event.stage}: {state_words(event)}")
            case StageProgress():
                self._progress(event)
            case LogLine() if is_loud(event):
                self._screen.say(log_words(event))
            case _:
                pass

    def _progress(self, event: StageProgress) -> None:
        now = self._clock()
        if now - self._said_at.get(event.stage, float("-inf")) >= _LINE_EVERY_S:
            self._said_at[event.stage] = now
            self._screen.say(f"{event.stage}: {event.fraction:.0%} {progress_words(event)}")


class BarView:
    """A bar per stage."""

    def __init__(self, screen: Screen, stages: Sequence[str]) -> None:
        self._screen = screen
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
        )
        self._bars = Progress(*columns, console=screen.err)
        self._tasks: dict[str, TaskID] = {
            stage: self._bars.add_task(stage, total=1.0, detail="waiting") for stage in stages
        }

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def show(self, event: JobEvent) -> None:
        match event:
            case StateChange(stage=str(stage)) if stage in self._tasks:
                completed = 1.0 if event.state == "succeeded" else None
                self._bars.update(self._tasks[stage], completed=completed, detail=harmless(state_words(event)))
            case StageProgress(stage=stage) if stage in self._tasks:
                bar = self._tasks[stage]
                self._bars.update(bar, completed=event.fraction, detail=harmless(progress_words(event)))
            case LogLine() if is_loud(event):
                self._screen.say(log_words(event))
            case _:
                pass


def progress_view(screen: Screen, stages: Sequence[str]) -> ProgressView:
    return BarView(screen, stages) if screen.err.is_terminal else LineView(screen)


def is_loud(line: LogLine) -> bool:
    return not line.is_noisy and line.level.lower() in _LOUD_LEVELS


def log_words(line: LogLine) -> str:
    return f"{line.stage or 'job'}: {line.level}: {line.message}"


def state_words(change: StateChange) -> str:
    return f"{change.state} ({change.reason})" if change.reason else change.state


def progress_words(progress: StageProgress) -> str:
    eta = "" if progress.eta_s is None else f", {duration_words(progress.eta_s)} left"
    fps = "" if progress.fps is None else f", {progress.fps:.0f} fps"
    return f"{progress.phase} {progress.done:.0f}/{progress.total:.0f} {progress.unit}{fps}{eta}"


def duration_words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
