"""Reading records from what the API answered."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from services.client.errors import UnexpectedAnswer

T = TypeVar("T")


def parse(cls: type[T], value: Any) -> T:
    """The record in decoded JSON. Raises `UnexpectedAnswer` when required members are missing."""
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"the answer is no {cls.__name__}: {str(value)[:200]}")
    try:
        return cls(**value)
    except ValidationError as error:
        raise UnexpectedAnswer(f"the answer is no {cls.__name__}: {error}") from error


def parse_each(cls: type[T], answer: Any, member: str) -> list[T]:
    """The records in `answer[member]`. Raises `UnexpectedAnswer`."""
    if not isinstance(answer, dict) or not isinstance(answer.get(member), list):
        raise UnexpectedAnswer(f"the answer has no list {member!r}")
    return [parse(cls, item) for item in answer[member]]
