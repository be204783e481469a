"""What the methods of the client share: reading answers and lists, and how values are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from services.client.parsing import parse_each
from services.client.transport import Call, Transport

T = TypeVar("T")


class Calls:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _pages(self, cls: type[T], path: str, member: str, params: Mapping[str, str]) -> Iterator[T]:
        token = ""
        while True:
            answer = self._get(path, {**params, "page_token": token} if token else params)
            yield from parse_each(cls, answer, member)
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self._transport.call(Call("GET", path, params=params)).json()


def if_match_header(etag: str | None) -> dict[str, str] | None:
    return None if etag is None else {"If-Match": f'"{etag}"'}


def flag(value: bool) -> str:
    return "true" if value else "false"
