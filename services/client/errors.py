"""What a call can raise.

ClientError
|-- ApiError          the API answered with a problem (RFC 9457)
|-- ApiUnavailable    nothing answered, or nothing that could serve the call, within the retry time
|-- UnexpectedAnswer  something answered that is not this API
|-- InvalidAddress    a text that is no HTTP address
`-- InvalidCredentials  a token that no header can carry, a file that holds no authorities
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code", "hint"})


class ClientError(Exception):
    """Base of the tree."""


class ApiError(ClientError):
    """`code` is stable; `extras` are the problem's members beyond those of RFC 9457, `code` and `hint`."""

    def __init__(
        self, code: str, *, title: str, detail: str, hint: str, status: int, extras: Mapping[str, Any]
    ) -> None:
        super().__init__(f"{detail or title} ({hint})" if hint else detail or title)
        self.code = code
        self.title = title
        self.detail = detail
        self.hint = hint
        self.status = status
        self.extras = extras


class ApiUnavailable(ClientError):
    """No usable answer: refused or lost connections, timeouts, 502 to 504."""

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(f"no answer from {base_url}: {reason}")
        self.base_url = base_url
        self.reason = reason


class UnexpectedAnswer(ClientError):
    """An answer that no server of this API gives: a wrong address, or a proxy's own page."""


class InvalidAddress(ClientError):
    def __init__(self, address: str) -> None:
        super().__init__(f"{address!r} is no HTTP address")


class InvalidCredentials(ClientError):
    pass


def error_of(response: httpx.Response) -> ApiError | UnexpectedAnswer:
    """The error that an answer of 300 or above stands for; the body must have been read."""
    problem = _problem(response)
    if problem is None:
        where = f"{response.request.method} {response.request.url}"
        return UnexpectedAnswer(f"{where} answered {response.status_code} without a problem document")
    return ApiError(
        str(problem.get("code") or str(problem.get("type", "")).rpartition(":")[2]),
        title=str(problem.get("title", "")),
        detail=str(problem.get("detail", "")),
        hint=str(problem.get("hint") or ""),
        status=response.status_code,
        extras={name: value for name, value in problem.items() if name not in _PROBLEM_MEMBERS},
    )


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if "application/problem+json" not in response.headers.get("content-type", ""):
        return None
    try:
        problem = response.json()
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None
