"""SQL stays SQL: named queries of `queries/*.sql`, and the numbered migrations."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def _literal(text: str) -> LiteralString:
    """For text that comes from files of this package, never from a caller."""
    return cast(Any, text)  # type: ignore[no-any-return]


@cache
def queries() -> dict[str, LiteralString]:
    """Every named query by its name. The text comes from this package alone, never from a caller."""
    found: dict[str, LiteralString] = {}
    for file in sorted(files(__name__).joinpath("queries").iterdir(), key=lambda f: f.name):
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two queries are named {name}")
            found[name] = _literal(body.strip())
    return found


def migrations() -> list[tuple[int, LiteralString]]:
    """(number, text) in order."""
    folder = files(__name__).joinpath("migrations")
    numbered = [(int(f.name.partition("_")[0]), _literal(f.read_text("utf-8"))) for f in folder.iterdir()]
    return sorted(numbered)
