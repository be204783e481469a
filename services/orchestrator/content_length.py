"""What a Content-Length says, if it says anything."""

from __future__ import annotations

_MOST_DIGITS = 19  # Python reads no number of any length, and nobody has so many bytes


def announced_bytes(content_length: str) -> int | None:
    """None for one that is missing or that is no plain number."""
    is_number = content_length.isascii() and content_length.isdecimal() and len(content_length) <= _MOST_DIGITS
    return int(content_length) if is_number else None
