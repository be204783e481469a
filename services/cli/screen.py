"""The two ends of the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

# Wide enough for no column to be cut where nobody sees the edge of a window.
_PIPE_WIDTH = 160


class Screen:
    """With `as_json`, stdout carries the one JSON line and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.err = Console(stderr=True, highlight=False)
        self._out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)

    def say(self, text: str) -> None:
        self.err.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.err.print(f"warning: {text}", markup=False, soft_wrap=True, style="bold yellow")

    def fail(self, message: str, hint: str) -> None:
        self.err.print(f"error: {message}", markup=False, soft_wrap=True, style="bold red")
        if hint:
            self.err.print(f"hint: {hint}", markup=False, soft_wrap=True)

    def result(self, text: str) -> None:
        """A line of the result for people."""
        if not self.as_json:
            self._out.print(text, markup=False, soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table of the result for people."""
        if not self.as_json:
            self._out.print(table)

    def json_line(self, record: Any) -> None:
        """The result for programs."""
        if self.as_json:
            self._out.file.write(json.dumps(record, default=str) + "\n")
            self._out.file.flush()
