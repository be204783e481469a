"""A span for each request, named by its route, never by its path, which may hold what a user has named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import tracing
from services.kit.tracing import Span, SpanKind
from services.orchestrator.http_api.requests import NOT_COUNTED, known_method, route_of

_SPAN = "screenalytics.span"  # in the request's scope, for what handles its failure outside of the block


class RequestTracer:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in NOT_COUNTED:
            await self._app(scope, receive, send)
            return
        method = known_method(scope)
        attributes = {"http.request.method": method}
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracing.span(method, attributes, kind=SpanKind.SERVER, carrier=carrier) as span:
            scope[_SPAN] = span

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start" and span.is_recording():
                    _tell(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, noted)


def _tell(span: Span, scope: Scope, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if route := route_of(scope):
        span.update_name(f"{known_method(scope)} {route.path}")
        span.set_attribute("http.route", route.path)
        span.set_attribute("screenalytics.operation", route.name)
    if status >= 500:
        tracing.fail(str(status))


@contextmanager
def within_request(scope: Scope) -> Iterator[None]:
    """The request's span is current inside the block, though the request has failed."""
    span = scope.get(_SPAN)
    if span is None:
        yield
        return
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        yield
