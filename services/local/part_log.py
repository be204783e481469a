"""The log file of one part, and what a part says in it before it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from services.kit.errors import ScreenalyticsError, error_class

ROTATE_AT_BYTES = 8 << 20
_TAIL_BYTES = 64 << 10


@contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """The log opened for appending; one that has grown past `ROTATE_AT_BYTES` becomes `<name>.1` first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > ROTATE_AT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    with path.open("ab") as log:
        yield log


def log_tail(path: Path, *, lines: int, start_byte: int = 0) -> list[str]:
    """At most the last `lines` lines written at or after `start_byte`; none for a missing file."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(start_byte, size - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def refusal_in(lines: Sequence[str]) -> ScreenalyticsError | None:
    """The error of the last `{"event": "refused", "code": ..., "reason": ..., "hint": ...}` line."""
    for line in reversed(lines):
        if line.startswith("{") and (refusal := _as_refusal(line)) is not None:
            return refusal
    return None


def _as_refusal(line: str) -> ScreenalyticsError | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if record.get("event") != "refused":
        return None
    error = error_class(str(record.get("code", "")))
    return error(str(record.get("reason", "no reason given")), hint=str(record.get("hint", "")))
