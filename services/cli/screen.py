"""The two ends of the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

# Wide enough for no column to be cut where nobody sees the edge of a window.
_PIPE_WIDTH = 160
# Control characters, but for the ends of lines and tabs, and bytes that are no text.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def harmless(text: str) -> str:
    """What would steer the terminal as escapes: texts come from videos, from files and from other machines."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Screen:
    """With `as_json`, stdout carries the one JSON line and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.err = Console(stderr=True, highlight=False)
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)

    def say(self, text: str) -> None:
        self.err.print(harmless(text), markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.err.print(f"warning: {harmless(text)}", markup=False, soft_wrap=True, style="bold yellow")

    def fail(self, message: str, hint: str) -> None:
        self.err.print(f"error: {harmless(message)}", markup=False, soft_wrap=True, style="bold red")
        if hint:
            self.err.print(f"hint: {harmless(hint)}", markup=False, soft_wrap=True)

    def result(self, text: str) -> None:
        """A line of the result for people."""
        if not self.as_json:
            self._out.print(harmless(text), markup=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table of the result for people."""
        if not self.as_json:
            self._out.print(table)

    def json_line(self, record: Any) -> None:
        """The result for programs."""
        if self.as_json:
            self._out.file.write(json.dumps(record, default=str) + "\n")
            self._out.file.flush()
