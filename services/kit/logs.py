"""What a process writes to stderr: one record a line, as text, or as JSON with the keys below."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType

from services.kit import tracing
from services.kit.errors import ScreenalyticsError
from services.kit.settings import LogFormat, LogSettings

# Every key of a line, with what it holds; the first five are always there.
KEYS = {
    "time": "when, as RFC 3339 in UTC",
    "level": "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    "logger": "the module that speaks; names of libraries are theirs",
    "message": "the sentence",
    "service": "orchestrator, detector, embedder or clusterer",
    "job_id": "the job that the line is about",
    "task_id": "the task",
    "attempt_id": "the attempt at the task",
    "trace_id": "the trace, where one is recorded",
    "span_id": "the span in it",
    "code": "the stable code of the error that is told of",
    "exception": "its traceback",
    "event": "`refused`, on the last line of a process that does not start or go on",
    "reason": "why it refuses; the same as `message`",
    "hint": "what to do about it",
}
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_QUIETER = ("nats", "httpx", "uvicorn.access", "asyncio")
_IDS: ContextVar[Mapping[str, str]] = ContextVar("ids", default=MappingProxyType({}))

log = logging.getLogger(__name__)


@contextmanager
def logs_about(**ids: str) -> Iterator[None]:
    """Lines that are written inside the block, by this task or thread, bear the ids."""
    token = _IDS.set({**_IDS.get(), **ids})
    try:
        yield
    finally:
        _IDS.reset(token)


def configure(settings: LogSettings, service: str) -> None:
    """For the whole process: its own lines, those of libraries, and what nobody has caught."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.format is LogFormat.JSON
    handler.setFormatter(JsonLines(service) if is_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    for name in _QUIETER:
        logging.getLogger(name).setLevel(logging.WARNING)
    if is_json:
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda told: _log_uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def refusal_line(error: ScreenalyticsError, settings: LogSettings, service: str) -> str:
    """The last line of a process that does not start or go on: JSON in either format."""
    told = {"event": "refused", "code": error.code, "reason": error.message, "hint": error.hint}
    if settings.format is LogFormat.TEXT:
        return json.dumps(told)
    record = logging.LogRecord(__name__, logging.ERROR, "", 0, error.message, None, None)
    return json.dumps(JsonLines(service).fields(record) | told)


class JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record))

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
            **_IDS.get(),
        }
        if ids := tracing.current_ids():
            line["trace_id"], line["span_id"] = ids
        if code := _code_in(record):
            line["code"] = code
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return line


def _code_in(record: logging.LogRecord) -> str:
    """Of the error that is raised or quoted, if it is one of ours."""
    told = list(record.args) if isinstance(record.args, tuple) else []
    told += record.exc_info[1:2] if record.exc_info else []
    return next((one.code for one in told if isinstance(one, ScreenalyticsError)), "")


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("nobody caught a failure", exc_info=(kind, error or kind(), traceback))
