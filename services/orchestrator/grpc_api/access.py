"""Who may call what over gRPC: by the same gate and the same table of operations as REST."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import grpc
from ulid import ULID

from services.kit.errors import PermissionDenied, ScreenalyticsError
from services.orchestrator.access.gate import CallSeen, Gate
from services.orchestrator.access.principal import ANYONE, Principal
from services.orchestrator.access.uploads import BytesBrought
from services.orchestrator.grpc_api.errors import code_of, message_of, trailers_of
from services.orchestrator.grpc_api.guard import OURS, Context, Handler
from services.orchestrator.operations import OPERATIONS, Operation, Scope

_CANCELLED = "cancelled"  # the outcome of a call that nobody waits for any longer
_HEALTH = "/grpc.health."
_DESCRIPTION = Operation("describe", "GET /grpc.reflection", Scope.READ)
_BY_METHOD = {operation.grpc_name: operation for operation in OPERATIONS if not operation.rest_only}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")
_PEER = re.compile(r"ipv[46]:\[?(.*?)\]?:\d+")

_caller: ContextVar[Principal] = ContextVar("caller", default=ANYONE)
_brought: ContextVar[BytesBrought] = ContextVar("brought")


def caller() -> Principal:
    """Who makes the call that is being answered."""
    return _caller.get()


def brought() -> BytesBrought:
    """The account of what the call that is being answered sends, or has the system fetch."""
    return _brought.get()


class AccessControl(grpc.aio.ServerInterceptor):
    """Inside the guard, which maps what is raised. Health is for everybody, a description for readers."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None or method.startswith(_HEALTH):
            return handler
        if not method.startswith(OURS):
            return grpc.stream_stream_rpc_method_handler(
                self._describing(handler), handler.request_deserializer, handler.response_serializer
            )
        operation = _BY_METHOD.get(method.rpartition("/")[2])
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(operation, handler), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(operation, handler), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, operation: Operation | None, handler: Handler) -> Callable[[Any, Context], Any]:
        async def call(request: Any, context: Context) -> Any:
            seen = _seen(operation, request, context)
            async with self._admitted(seen, request) as made:
                answer = await handler.unary_unary(request, context)
                made.append(getattr(answer, "job_id", ""))
                return answer

        return call

    def _streaming(
        self, operation: Operation | None, handler: Handler
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                self._admitted(_seen(operation, request, context), request),
                aclosing(handler.unary_stream(request, context)) as answers,
            ):
                async for answer in answers:
                    yield answer

        return call

    def _describing(self, handler: Handler) -> Callable[[AsyncIterator[Any], Context], AsyncIterator[Any]]:
        """Not one of ours, so outside of the guard."""

        async def call(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            try:
                async with self._admitted(_seen(_DESCRIPTION, None, context), None):
                    async for answer in handler.stream_stream(requests, context):
                        yield answer
            except ScreenalyticsError as error:
                await context.abort(code_of(error), message_of(error), trailers_of(error))

        return call

    @asynccontextmanager
    async def _admitted(self, seen: CallSeen, request: Any) -> AsyncIterator[list[str]]:
        """Yields where the id of a job that was made is put."""
        known: Principal | None = None
        made: list[str] = []
        try:
            known = await self._gate.identify(seen)
            self._gate.permit(seen, known)
            if seen.operation is None:
                raise PermissionDenied("the table of operations does not have this one")
            account = BytesBrought(self._gate.uploads, known)
            await account.add(0 if request is None else request.ByteSize())
            _caller.set(known)
            _brought.set(account)
            try:
                yield made
            finally:
                account.end()
        except ScreenalyticsError as error:
            await self._gate.remember(seen, known, error.code)
            raise
        except asyncio.CancelledError:  # of the client or by the deadline, and what was asked for may be done
            await self._gate.remember(seen, known, _CANCELLED)
            raise
        except Exception:  # raised again for the guard; what was tried is remembered whatever became of it
            await self._gate.remember(seen, known, ScreenalyticsError.code)
            raise
        if made and made[0] and seen.resource_kind != "jobs":
            seen = replace(seen, resource_kind="jobs", resource_name=made[0])
        await self._gate.remember(seen, known, "ok")


def _seen(operation: Operation | None, request: Any, context: Context) -> CallSeen:
    metadata = {str(name): value for name, value in context.invocation_metadata() or ()}
    given = str(metadata.get("x-request-id", ""))
    peer = _PEER.fullmatch(unquote(context.peer() or ""))
    kind, name = _resource(request)
    return CallSeen(
        operation=operation,
        authorization=str(metadata.get("authorization", "")),
        remote=peer[1] if peer else "",
        request_id=given if _REQUEST_ID.fullmatch(given) else str(ULID()),
        resource_kind=kind,
        resource_name=name,
    )


def _resource(request: Any) -> tuple[str, str]:
    for kind, field in (("jobs", "job_id"), ("episodes", "ep_id")):
        if name := str(getattr(request, field, "")):
            return kind, name
    return "", ""
