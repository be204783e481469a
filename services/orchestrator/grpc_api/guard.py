"""What stands around every call: its request is read, its errors are mapped, it is limited and counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from prometheus_client import Counter

from services.kit import tracing
from services.kit.errors import DeadlineExceeded, InvalidRequest, ScreenalyticsError
from services.kit.tracing import Span, SpanKind
from services.orchestrator.grpc_api.errors import code_of, message_of, trailers_of
from services.orchestrator.machine_faults import in_our_words

log = logging.getLogger(__name__)

CALLS = Counter("screenalytics_grpc_calls", "Calls to the gRPC API that have ended.", ["method", "code"])

OURS = "/screenalytics."

# It fetches a video, for as long as `SourcesSettings.max_fetch_s`.
_FETCHING = f"{OURS}v1.Episodes/RegisterEpisode"

Context = grpc.aio.ServicerContext[Any, Any]
# The stubs know only the handlers of servers with threads.
Handler = Any


class Guard(grpc.aio.ServerInterceptor):
    """The outermost interceptor, of the project's own services.

    `deadline_s` bounds every call that answers once, but the one that fetches a video; a stream, such as a
    download or a watch, lasts as long as its client wants, and no longer than it lives.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None or not method.startswith(OURS):
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(method, handler), None, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler), None, handler.response_serializer
        )

    def _unary(self, method: str, handler: Handler) -> Callable[[bytes, Context], Awaitable[Any]]:
        deadline_s = None if method == _FETCHING else self._deadline_s

        async def call(raw: bytes, context: Context) -> Any:
            async with _answering(method, context, tracing.span(**_told(method, context))):
                try:
                    async with asyncio.timeout(deadline_s) as limit:
                        return await handler.unary_unary(_read(handler, raw), context)
                except TimeoutError as error:
                    if not limit.expired():
                        raise
                    raise DeadlineExceeded(f"the call took longer than {deadline_s:g} s") from error

        return call

    def _streaming(self, method: str, handler: Handler) -> Callable[[bytes, Context], AsyncIterator[Any]]:
        async def call(raw: bytes, context: Context) -> AsyncIterator[Any]:
            async with (
                _answering(method, context, tracing.span_aside(**_told(method, context))) as span,
                aclosing(handler.unary_stream(_read(handler, raw), context)) as answers,
            ):
                while True:
                    with tracing.within(span):
                        answer = await anext(answers, None)
                    if answer is None:
                        return
                    yield answer

        return call


def _read(handler: Handler, raw: bytes) -> Any:
    try:
        return handler.request_deserializer(raw)
    except DecodeError as error:
        raise InvalidRequest("the request is not a message of this call") from error


def _told(method: str, context: Context) -> dict[str, Any]:
    """What the span of a call is made of."""
    service, _, name = method[1:].rpartition("/")
    return {
        "name": method[1:],
        "attributes": {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        "kind": SpanKind.SERVER,
        "carrier": {k: v for k, v in context.invocation_metadata() or () if isinstance(v, str)},
    }


@asynccontextmanager
async def _answering(method: str, context: Context, span: AbstractContextManager[Span]) -> AsyncIterator[Span]:
    fault = None
    with span as made:
        try:
            yield made
        except ScreenalyticsError as error:
            fault = error
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            fault = _foreseen_of_machine(method, error)
            if fault is None:
                log.exception("unforeseen failure of %s", method, exc_info=error)
                fault = ScreenalyticsError("the call failed for a reason that was logged")
        if fault is not None and fault.http_status >= 500:
            tracing.fail(fault.code, made)
    if fault is None:
        CALLS.labels(method, "OK").inc()
    else:
        await _abort(method, context, fault)


def _foreseen_of_machine(method: str, error: Exception) -> ScreenalyticsError | None:
    known = in_our_words(error) if isinstance(error, OSError) else None
    if known is not None:
        log.error("%s: %s", method, error)
    return known


async def _abort(method: str, context: Context, error: ScreenalyticsError) -> None:
    CALLS.labels(method, error.grpc_status).inc()
    await context.abort(code_of(error), message_of(error), trailers_of(error))
