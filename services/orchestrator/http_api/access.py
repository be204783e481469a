"""Who may call what, in front of every route: by the table of operations, before a byte of a body is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from re import Pattern

from fastapi import Request
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from services.kit.errors import InvalidRequest, NotFound, PermissionDenied, ScreenalyticsError, TooLarge
from services.orchestrator.access.exposure import is_asked_from_here
from services.orchestrator.access.gate import CallSeen, Gate
from services.orchestrator.access.principal import Principal
from services.orchestrator.access.uploads import BytesBrought
from services.orchestrator.content_length import announced_bytes
from services.orchestrator.http_api.problems import problem
from services.orchestrator.operations import OPERATIONS, Operation
from services.orchestrator.operations import Scope as Needed

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")
_READING = frozenset({"GET", "HEAD"})
# The description of the API and the page that shows it.
_DESCRIPTION = {
    path: Operation("describe", f"GET {path}", Needed.READ, "REST's own description")
    for path in ("/openapi.json", "/docs", "/docs/oauth2-redirect")
}

# Their bodies go to the store as they come; any other is held in memory as a whole.
_STREAMED = frozenset({"register_episode", "create_upload", "append_upload", "put_import"})
_MAX_HELD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    operation: Operation
    method: str
    path: Pattern[str]
    kind: str


def _entry(operation: Operation) -> _Entry:
    method, template = operation.rest.split(" ")
    pattern, _, _ = compile_path(template)
    parts = template.split("/")
    return _Entry(operation, method, pattern, parts[2].partition(":")[0] if parts[1] == "v1" else "")


_ENTRIES = tuple(map(_entry, OPERATIONS))


@dataclass(frozen=True, slots=True)
class _Found:
    """`allowed`: the methods of the path, where there is no operation of the one that was asked for."""

    operation: Operation | None
    kind: str = ""
    name: str = ""
    allowed: tuple[str, ...] = ()


def _find(method: str, path: str) -> _Found:
    if method in _READING and path in _DESCRIPTION:
        return _Found(_DESCRIPTION[path])
    allowed = []
    for entry in _ENTRIES:
        match = entry.path.match(path)
        if match is None:
            continue
        if entry.method == method:
            return _Found(entry.operation, entry.kind, next(iter(match.groupdict().values()), ""))
        allowed.append(entry.method)
    return _Found(None, allowed=tuple(sorted(set(allowed))))


class AccessControl:
    """What stands in no table is never reached, but by an open system's own answer that it is not there."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers, found = Headers(scope=scope), _find(scope["method"], scope["path"])
        seen = _seen(scope, headers, found)
        state = scope.setdefault("state", {})
        state["operation"], state["request_id"] = found.operation, seen.request_id
        caller: Principal | None = None
        try:
            self._require_from_here(scope, headers)
            caller = await self._gate.identify(seen)
            self._gate.permit(seen, caller)
            if found.operation is None and not self._gate.exposure.is_open:
                raise _NotOffered(found)
            state["caller"] = caller
            state["brought"] = brought = BytesBrought(self._gate.uploads, caller)
            body = _CountedBody(brought, headers, receive, is_held=not _is_streamed(found.operation))
            await body.take_announced()
        except _NotOffered as error:
            await problem(error.told, status=error.status, headers=error.headers)(scope, receive, send)
            return
        except ScreenalyticsError as error:
            await self._gate.remember(seen, caller, error.code)
            await problem(error)(scope, receive, _naming(seen, send))
            return
        try:
            await self._app(scope, body.receive, self._remembering(seen, caller, state, send))
        finally:
            brought.end()

    def _require_from_here(self, scope: Scope, headers: Headers) -> None:
        """Raises `PermissionDenied` for what a stranger's page has a browser ask of an open system."""
        exposure = self._gate.exposure
        if not exposure.is_open or not exposure.is_local:
            return
        fetch_site = "" if scope["method"] in _READING else headers.get("sec-fetch-site", "")
        if not is_asked_from_here(headers.get("host", ""), fetch_site):
            raise PermissionDenied(
                "a page of another site asked this through a browser",
                hint="call it by a loopback address, from a program of this machine",
            )

    def _remembering(self, seen: CallSeen, caller: Principal, state: dict[str, object], send: Send) -> Send:
        named = _naming(seen, send)

        async def remembering(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._gate.remember(_with_made(seen, message), caller, _outcome(message["status"], state))
            await named(message)

        return remembering


class _NotOffered(Exception):
    def __init__(self, found: _Found) -> None:
        super().__init__()
        self.told: ScreenalyticsError = NotFound("there is nothing at this address")
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        if found.allowed:
            self.told, self.status = InvalidRequest("Method Not Allowed"), 405
            self.headers = {"Allow": ", ".join(found.allowed)}


class _CountedBody:
    """Counts what a caller sends against their allowance, and ends what is too much to be held."""

    def __init__(self, brought: BytesBrought, headers: Headers, receive: Receive, *, is_held: bool) -> None:
        self._brought = brought
        self._receive = receive
        self._is_held = is_held
        self._come = 0
        self._announced = announced_bytes(headers.get("content-length", "")) or 0

    async def take_announced(self) -> None:
        """Raises `RateLimited`, `TooLarge`."""
        self._require_fit(self._announced)
        await self._brought.announce(self._announced)

    async def receive(self) -> Message:
        message = await self._receive()
        size_bytes = len(message.get("body", b""))
        self._come += size_bytes
        self._require_fit(self._come)
        await self._brought.add(size_bytes)
        return message

    def _require_fit(self, size_bytes: int) -> None:
        if self._is_held and size_bytes > _MAX_HELD_BYTES:
            raise TooLarge(f"the body is longer than the {_MAX_HELD_BYTES} bytes that this call takes")


def _is_streamed(operation: Operation | None) -> bool:
    return operation is not None and operation.name in _STREAMED


def require_admitted(request: Request) -> None:
    """A dependency of every route: what runs is what was admitted. Raises `PermissionDenied`."""
    operation: Operation | None = getattr(request.state, "operation", None)
    if operation is None or operation.name != request.scope["route"].name:
        raise PermissionDenied("the table of operations does not have this one")


def _seen(scope: Scope, headers: Headers, found: _Found) -> CallSeen:
    given = headers.get("x-request-id", "")
    client = scope.get("client")
    return CallSeen(
        operation=found.operation,
        authorization=headers.get("authorization", ""),
        remote=str(client[0]) if client else "",
        request_id=given if _REQUEST_ID.fullmatch(given) else str(ULID()),
        resource_kind=found.kind,
        resource_name=found.name,
    )


def _with_made(seen: CallSeen, start: Message) -> CallSeen:
    """A call that made something names it in `Location`."""
    location = Headers(raw=start["headers"]).get("location", "")
    parts = location.split("/")
    if seen.resource_name or len(parts) < 4 or parts[1] != "v1":
        return seen
    return replace(seen, resource_kind=parts[2], resource_name=parts[3])


def _outcome(status: int, state: dict[str, object]) -> str:
    return "ok" if status < 400 else str(state.get("outcome") or f"http-{status}")


def _naming(seen: CallSeen, send: Send) -> Send:
    async def naming(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", seen.request_id.encode())]
        await send(message)

    return naming
