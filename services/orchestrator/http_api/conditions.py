"""`ETag`, `If-None-Match` and `If-Match` of RFC 9110, around tags that the core knows without quotes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from services.kit.errors import InvalidRequest
from services.orchestrator.http_api.description import Described, header
from services.orchestrator.preconditions import IfMatch

_ANY = "*"
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"\s*{_TAG.pattern}\s*(,\s*{_TAG.pattern}\s*)*")

TAGGED = {"ETag": header("The body's `etag`, in quotes.")}
NOT_MODIFIED: Described = {
    200: {"headers": TAGGED},
    304: {"description": "What the caller has is still so.", "headers": TAGGED},
}


class Seen:
    """What the caller has: the answer to a read is left out where it is the same."""

    def __init__(self, if_none_match: Annotated[str | None, Header()] = None) -> None:
        self._is_any = if_none_match is not None and if_none_match.strip() == _ANY
        self._tags = [] if if_none_match is None or self._is_any else _tags(if_none_match, "If-None-Match")

    def has(self, tag: str) -> bool:
        return self._is_any or tag in (opaque for _, opaque in self._tags)

    def answer(self, shown: dict[str, Any], response: Response) -> Any:
        tagged(shown, response)
        return Response(status_code=304, headers=response.headers) if self.has(shown["etag"]) else shown


def _if_match(if_match: Annotated[str | None, Header()] = None) -> IfMatch:
    """Strongly compared: a weak tag matches nothing."""
    if if_match is None or if_match.strip() == _ANY:
        return None
    return [opaque for weak, opaque in _tags(if_match, "If-Match") if not weak]


IfNoneMatch = Annotated[Seen, Depends()]
Unchanged = Annotated[IfMatch, Depends(_if_match)]


def tagged(shown: dict[str, Any], response: Response) -> dict[str, Any]:
    response.headers["ETag"] = quoted(shown["etag"])
    return shown


def quoted(tag: str) -> str:
    return f'"{tag}"'


def _tags(text: str, name: str) -> list[tuple[str, str]]:
    """(weakness, opaque tag) of each. Raises `InvalidRequest`."""
    if not _LIST.fullmatch(text):
        raise InvalidRequest(f"{name} is no list of entity tags", hint='a tag stands in quotes: "abc"')
    return _TAG.findall(text)
