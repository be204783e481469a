"""What an attempt says for its job's log: numbered lines, bounded, of which the last are kept at hand.

A line is known by its attempt and its number, so that one that arrives twice is kept once. Whatever the
handler's thread logs, its libraries and the traceback of a failure included, belongs to the job as well.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.kit.messages import LogLine, Task, now_at

log = logging.getLogger(__name__)

TAIL_LINES = 40
# A handler in a loop must not fill the broker; nor must one line.
MAX_LINES = 5_000
MAX_CHARS = 4_000
_LEFT_OUT = "further lines of this attempt are left out"
_OWN = "services."


class JobLog:
    """Its methods may be called from any thread."""

    def __init__(self, task: Task, attempt_id: str, publish: Callable[[LogLine], None]) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._task = task
        self._attempt_id = attempt_id
        self._publish = publish
        self._lock = threading.Lock()
        self._lines = 0

    def say(self, message: str, *, level: str, is_noisy: bool) -> None:
        log.log(_number(level), "%s", message, extra={"is_job_line": True})
        self._add(message, level, is_noisy)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Adds what the current thread logs: ours from INFO on, that of libraries from WARNING on."""
        handler = _Capture(self._add, threading.get_ident())
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)

    def _add(self, message: str, level: str, is_noisy: bool = False) -> None:
        with self._lock:
            if self._lines >= MAX_LINES:
                return
            self._lines += 1
            if self._lines == MAX_LINES:
                message, level = _LEFT_OUT, "warning"
            self._send(self._lines, message[:MAX_CHARS], level, is_noisy)

    def _send(self, number: int, message: str, level: str, is_noisy: bool) -> None:
        at, task = now_at(), self._task
        self.tail.append(f"{at} {level} {message}")
        self._publish(
            LogLine(
                job_id=task.job_id,
                run_id=task.run_id,
                task_id=task.task_id,
                attempt_id=self._attempt_id,
                stage=task.stage,
                level=level,
                message=message,
                is_noisy=is_noisy,
                at=at,
                line=number,
            )
        )


class _Capture(logging.Handler):
    def __init__(self, add: Callable[[str, str], None], thread: int) -> None:
        super().__init__(logging.INFO)
        self._add = add
        self._thread = thread
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        is_wanted = record.name.startswith(_OWN) or record.levelno >= logging.WARNING
        if record.thread == self._thread and is_wanted and not getattr(record, "is_job_line", False):
            self._add(self.format(record), record.levelname.lower())


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
