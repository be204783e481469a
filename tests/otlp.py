"""A real receiver of OTLP over gRPC on the loopback address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from services.local.ports import LOOPBACK


@dataclass(frozen=True)
class Received:
    """One span, with the process that has sent it."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_failed: bool


@dataclass
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        with self._news:
            self.spans += _received(request)
            self.headers.append({key: str(value) for key, value in context.invocation_metadata()})
            self._news.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def until(self, condition: Callable[[list[Received]], bool], *, within_s: float = 60.0) -> list[Received]:
        """All spans so far, once `condition` holds of them."""
        with self._news:
            assert self._news.wait_for(lambda: condition(self.spans), within_s), [s.name for s in self.spans]
            return list(self.spans)


@contextmanager
def receiving(credentials: grpc.ServerCredentials | None = None) -> Iterator[tuple[Receiver, int]]:
    """A receiver and its port, until the block ends."""
    receiver, server = Receiver(), grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    address = f"{LOOPBACK}:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield receiver, port
    finally:
        server.stop(grace=1).wait()


def _received(request: Any) -> Iterator[Received]:
    for resource in request.resource_spans:
        service = _values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    service=service,
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=_values(span.attributes) | {f"event {e.name}": True for e in span.events},
                    is_failed=span.status.code == 2,
                )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
