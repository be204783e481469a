"""Requests by method and kind of answer, for the API's error budget, and how long answers take to begin.

Probes and scrapes are not counted.
"""

from __future__ import annotations

from time import perf_counter

from fastapi.routing import APIRoute
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import tracing

REQUESTS = Counter(
    "screenalytics_http_requests", "Requests to the API that were answered.", ["method", "status"]
)
DURATION = Histogram(
    "screenalytics_http_request_duration_seconds",
    "Time until the answer to a request begins; an event stream goes on after that.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
NOT_COUNTED = frozenset({"/livez", "/readyz", "/metrics"})

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def known_method(scope: Scope) -> str:
    """Methods that nobody knows are one, so that a stranger cannot make series or names of spans."""
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def route_of(scope: Scope) -> APIRoute | None:
    """The route that was found, once it was."""
    route = scope.get("route")
    return route if isinstance(route, APIRoute) else None


class RequestCounter:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in NOT_COUNTED:
            await self._app(scope, receive, send)
            return
        status = 500  # what an exception becomes further out
        begun_at = perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _observe(scope, perf_counter() - begun_at)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            REQUESTS.labels(known_method(scope), f"{status // 100}xx").inc()


def _observe(scope: Scope, seconds: float) -> None:
    route = route_of(scope)
    DURATION.labels(route.name if route else "none").observe(seconds, tracing.exemplar())
