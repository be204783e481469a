"""The oldest FFmpeg that may open hostile media. Raise it when a wheel of PyAV carries newer fixes."""

from __future__ import annotations

import re

FLOOR = (8, 1, 2)


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version such as `8.1.2-static`; none for a build that tells no release."""
    match = re.match(r"n?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def floor_fault(text: str) -> str | None:
    """Why the FFmpeg of that version is too old; None when it is not."""
    found = parse_version(text)
    if found >= FLOOR:
        return None
    return f"FFmpeg {text} is older than {'.'.join(map(str, FLOOR))}: install a newer PyAV (pip install -U av)"
