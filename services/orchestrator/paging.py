"""Pages of a list, in the shape of AIP-158. Pure.

A page token holds where the next page begins, by the sort key of the last item shown and not by a count, so
that what is inserted meanwhile makes no gap and no double. It is bound to its query by a digest; it grants
nothing that the query would not show without it, so the digest takes no secret and holds over replicas and
restarts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.kit.errors import InvalidPageToken, InvalidRequest
from services.kit.messages import canonical_json

DEFAULT_SIZE, MAX_SIZE = 100, 500
_DIGEST_BYTES = 12
_NUMBER = re.compile(r"[0-9]{1,18}")

T = TypeVar("T")
Position = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_page_token` is empty on the last page."""

    items: list[T]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """As a caller gives it: a size of 0 is the default, one past the limit is the limit."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        """Raises `InvalidRequest`."""
        if self.size < 0:
            raise InvalidRequest("page_size is negative")
        return min(self.size or DEFAULT_SIZE, MAX_SIZE)


def begin_after(page: PageRequest, query: Mapping[str, Any], *, parts: int) -> Position | None:
    """The position of `parts` texts in the token; None for the first page. Raises `InvalidPageToken`."""
    if not page.token:
        return None
    try:
        raw = base64.b64decode(page.token.encode("ascii"), altchars=b"-_", validate=True)
        position = json.loads(raw[_DIGEST_BYTES:])
    except (ValueError, RecursionError):  # no ASCII, no base64, no UTF-8, no JSON
        raise _unknown("it is none that this API has given") from None
    is_position = isinstance(position, list) and len(position) == parts
    if not is_position or not all(isinstance(part, str) for part in position):
        raise _unknown("it is none that this API has given")
    if raw[:_DIGEST_BYTES] != _digest(query, position):
        raise _unknown("it belongs to another query")
    return tuple(position)


def begin_before_number(page: PageRequest, query: Mapping[str, Any]) -> int | None:
    """As `begin_after`, of a list that goes down by the numbers of its items."""
    begin = begin_after(page, query, parts=1)
    if begin is None:
        return None
    if not _NUMBER.fullmatch(begin[0]):
        raise _unknown("it is none that this API has given")
    return int(begin[0])


def page_of(
    rows: Sequence[T], page: PageRequest, query: Mapping[str, Any], key: Callable[[T], Position]
) -> Page[T]:
    """`rows`: those asked for and one more, if there is one."""
    items = list(rows[: page.limit])
    is_last = len(rows) <= page.limit
    return Page(items, "" if is_last else _token(query, key(items[-1])))


def _token(query: Mapping[str, Any], position: Position) -> str:
    raw = _digest(query, position) + canonical_json(position).encode()
    return base64.urlsafe_b64encode(raw).decode()


def _digest(query: Mapping[str, Any], position: Sequence[str]) -> bytes:
    text = canonical_json([query, position])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _unknown(why: str) -> InvalidPageToken:
    return InvalidPageToken(
        f"the page token cannot be used: {why}",
        hint="send the next_page_token of a page with the query that gave it, or begin without one",
    )
