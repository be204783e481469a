"""Spans of calls over gRPC that stream: below the caller's, and ended also where the stream is left."""

from __future__ import annotations

import logging

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

from services.kit import tracing
from services.orchestrator.job_request import JobKind
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import Rpcs
from tests.integration.parts import Parts, until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METADATA = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
WATCH = "screenalytics.v1.Jobs/WatchJob"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What has ended, of this process, where the global provider can be set but once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_TRACER", provider.get_tracer("test"))
    return exporter


async def ended(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    async def found() -> list[ReadableSpan]:
        return [span for span in exporter.get_finished_spans() if span.name == name]

    (only,) = await until(found)
    assert (only.kind, format_trace_id(only.context.trace_id)) == (SpanKind.SERVER, TRACE)
    assert only.parent is not None
    assert format_span_id(only.parent.span_id) == CALLER
    return only


async def test_a_stream_that_ends_has_a_span_below_its_callers(
    both: Served, parts: Parts, spans: InMemorySpanExporter
) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.finish(job_id)
    watch = Rpcs(both.grpc, metadata=METADATA)("WatchJob", job_id=job_id)
    assert [event async for event in watch]
    span = await ended(spans, WATCH)
    assert span.status.is_unset
    assert dict(span.attributes or {})["rpc.method"] == "WatchJob"


async def test_a_stream_that_is_left_ends_its_span_and_says_nothing(
    both: Served, parts: Parts, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    watch = Rpcs(both.grpc, metadata=METADATA)("WatchJob", job_id=job_id)
    await anext(aiter(watch))
    with caplog.at_level(logging.WARNING):
        watch.cancel()
        assert (await ended(spans, WATCH)).status.is_unset
    assert caplog.records == []


async def test_a_stream_that_is_refused_has_a_span_that_has_not_failed(
    both: Served, spans: InMemorySpanExporter
) -> None:
    watch = Rpcs(both.grpc, metadata=METADATA)("WatchJob", job_id="none")
    with pytest.raises(grpc.aio.AioRpcError):
        await anext(aiter(watch))
    assert (await ended(spans, WATCH)).status.is_unset
