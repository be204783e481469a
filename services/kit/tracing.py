"""Spans by OpenTelemetry. A process that exports none (`services.kit.trace_export`) makes none.

One trace follows a job: from the request through each task, its result and the tasks that follow from that.
The context travels as W3C `traceparent`: a header over HTTP, gRPC and NATS, and a field of a task, which waits
in Postgres. Attributes are ids, names of ours and numbers; nothing that a user has named, no message of an
error, no path of a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.kit.errors import ScreenalyticsError

__all__ = ["Span", "SpanKind"]

TRACEPARENT = "traceparent"
Value = str | int | float | bool

_TRACER = trace.get_tracer("screenalytics")
_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    carrier: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    """The current span inside the block. `carrier`: headers that may name another parent."""
    with span_aside(name, attributes, kind=kind, carrier=carrier) as made, within(made):
        yield made


@contextmanager
def span_aside(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    carrier: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    """Current in each `within` alone: for a block that may be left by another task than entered it."""
    made = _TRACER.start_span(name, context_from(carrier), kind, attributes)
    try:
        yield made
    except Exception as error:
        fail(error.code if isinstance(error, ScreenalyticsError) else type(error).__name__, made)
        raise
    finally:
        made.end()


def within(span: Span) -> AbstractContextManager[Span]:
    """The span is current inside the block, which does not end it."""
    # Both would copy an error's message, which may quote a user's words.
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


def context_from(carrier: Mapping[str, str] | None) -> Context | None:
    """None where the headers name no parent: then the current span is."""
    if not carrier or TRACEPARENT not in carrier:
        return None
    return _PROPAGATOR.extract(carrier)


def fail(error_type: str, span: Span | None = None) -> None:
    """The span, else the current one, has failed."""
    failed = span or trace.get_current_span()
    failed.set_attribute("error.type", error_type)
    failed.set_status(Status(StatusCode.ERROR))


def is_on() -> bool:
    """Whether this process exports spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def headers() -> dict[str, str]:
    """What carries the current span to another process; empty where there is none."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier


def traceparent() -> str:
    """The current span as one text, or an empty one."""
    return headers().get(TRACEPARENT, "")


def note(**facts: str) -> None:
    """What the current span is about: ids and states of ours."""
    current = trace.get_current_span()
    if current.is_recording():
        current.set_attributes(about(**facts))


def about(**ids: str) -> dict[str, Value]:
    return {f"screenalytics.{name}": value for name, value in ids.items()}


def messaging(operation: str, destination: str, **ids: str) -> tuple[str, dict[str, Value]]:
    """Name and attributes of a span about a message, by the semantic conventions.

    `operation` is send or process; an id of a subject is a placeholder in `{}`.
    """
    place = "messaging.destination.template" if "{" in destination else "messaging.destination.name"
    attributes = {
        "messaging.system": "nats",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        place: destination,
        **about(**ids),
    }
    return f"{operation} {destination}", attributes


def current_ids() -> tuple[str, str] | None:
    """(trace id, span id) of the current span, in hexadecimal, where it is recorded."""
    current = trace.get_current_span()
    if not current.is_recording():
        return None
    context = current.get_span_context()
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def exemplar() -> dict[str, str] | None:
    """What ties an observation to the current trace."""
    ids = current_ids()
    return None if ids is None else {"trace_id": ids[0]}
