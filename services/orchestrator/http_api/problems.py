"""Every error as RFC 9457 problem+json; nothing else ever leaves the API."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.kit.errors import InvalidRequest, NotFound, RateLimited, ScreenalyticsError, Unauthenticated
from services.orchestrator.http_api.tracing import within_request
from services.orchestrator.machine_faults import in_our_words

log = logging.getLogger(__name__)

_TYPE = "urn:screenalytics:problem:"
_RETRY_AFTER_S = "2"
_CHALLENGE = 'Bearer realm="screenalytics"'


def problem(
    error: ScreenalyticsError, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    number = status or error.http_status
    body = {
        "type": _TYPE + error.code,
        "title": error.title,
        "status": number,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        **error.extras,
    }
    # Escaped, since what is quoted from a request may be no text that UTF-8 can carry.
    return Response(
        json.dumps(body),
        number,
        {**_headers(error, number), **(headers or {})},
        media_type="application/problem+json",
    )


def _headers(error: ScreenalyticsError, status: int) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": _CHALLENGE}
    if isinstance(error, RateLimited):
        return {"Retry-After": str(math.ceil(error.retry_after_s))}
    return {"Retry-After": _RETRY_AFTER_S} if status == 503 else {}


def install(app: FastAPI) -> None:
    @app.exception_handler(ScreenalyticsError)
    async def foreseen(request: Request, error: ScreenalyticsError) -> Response:
        request.state.outcome = error.code
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        return problem(InvalidRequest(faults))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, ScreenalyticsError):  # it came up while a body was being read
            return await foreseen(request, error.__cause__)
        if error.status_code == NotFound.http_status:
            return problem(NotFound("there is nothing at this address", hint="GET /docs shows every call"))
        return problem(InvalidRequest(str(error.detail)), status=error.status_code)

    # Nobody hears this answer, but it is counted: a caller who goes away is no failure of this system.
    @app.exception_handler(ClientDisconnect)
    async def cut_off(request: Request, _: ClientDisconnect) -> Response:
        return await foreseen(request, InvalidRequest("the caller went away before the request was whole"))

    @app.exception_handler(OSError)
    async def refused_by_machine(request: Request, error: OSError) -> Response:
        if (known := in_our_words(error)) is None:
            return await unforeseen(request, error)
        with within_request(request.scope):
            log.error("%s %s: %s", request.method, request.url.path, error)
        return await foreseen(request, known)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        with within_request(request.scope):
            log.exception("unforeseen failure of %s %s", request.method, request.url.path, exc_info=error)
        return problem(ScreenalyticsError("the request failed for a reason that was logged"))
