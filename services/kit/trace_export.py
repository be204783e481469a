"""Sends spans by OTLP, where the settings name a collector; else OpenTelemetry's SDK is not even imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import trace

from services.kit.errors import InvalidSettings
from services.kit.settings import TracesSettings

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

_EXPORT_TIMEOUT_S = 5.0
# A collector that is away must not keep a process from ending.
_LAST_EXPORT_WITHIN_S = 3.0


@contextmanager
def exported_traces(settings: TracesSettings, service: str) -> Iterator[None]:
    """Once a process. Raises `InvalidSettings` for a CA file that cannot be read."""
    if not settings.endpoint:
        yield
        return
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  a process without traces does not pay for it
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    resource = {
        "service.namespace": "screenalytics",
        "service.name": service,
        "service.version": version("screenalytics"),
        "service.instance.id": f"{os.uname().nodename}-{os.getpid()}",
    }
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
        resource=Resource.create(resource),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(_exporter(settings), schedule_delay_millis=1_000))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        ending = threading.Thread(target=provider.shutdown, name="last-traces", daemon=True)
        ending.start()
        ending.join(_LAST_EXPORT_WITHIN_S)


def _exporter(settings: TracesSettings) -> OTLPSpanExporter:
    import grpc  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    scheme, _, address = settings.endpoint.partition("://")
    is_plain = scheme == "http"
    return OTLPSpanExporter(
        endpoint=address,
        insecure=is_plain,
        credentials=None if is_plain else grpc.ssl_channel_credentials(_trusted(settings)),
        headers=tuple(settings.headers.items()),
        timeout=_EXPORT_TIMEOUT_S,
    )


def _trusted(settings: TracesSettings) -> bytes | None:
    """None trusts gRPC's own roots."""
    if settings.ca_file is None:
        return None
    try:
        return settings.ca_file.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"SCREENALYTICS_TRACES__CA_FILE cannot be read: {error.strerror}") from error
