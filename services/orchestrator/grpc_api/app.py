"""The gRPC server over the core: the services, their health, and reflection where it is wanted."""

from __future__ import annotations

import logging
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kit.errors import PortInUse
from services.kit.tls import CertificatePair, listener_context
from services.orchestrator.core import Core
from services.orchestrator.grpc_api.access import AccessControl
from services.orchestrator.grpc_api.episodes import Episodes
from services.orchestrator.grpc_api.guard import Guard
from services.orchestrator.grpc_api.jobs import Jobs
from services.orchestrator.grpc_api.system import System
from services.orchestrator.settings import GrpcSettings
from services.pb.screenalytics.v1 import api_pb2, api_pb2_grpc

log = logging.getLogger(__name__)

SERVICES = tuple(service.full_name for service in api_pb2.DESCRIPTOR.services_by_name.values())

_SERVING = health_pb2.HealthCheckResponse.SERVING
# Clients may look as often for a connection that has died.
_LEAST_PING_INTERVAL_MS = 10_000
_GRACE_S = 3.0


class GrpcServer:
    """The guard stands around the access control, and maps what it raises."""

    def __init__(self, core: Core, settings: GrpcSettings) -> None:
        self._settings = settings
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[Guard(settings.deadline_s), AccessControl(core.gate)], options=_options(settings)
        )
        api_pb2_grpc.add_EpisodesServicer_to_server(Episodes(core), self._server)
        api_pb2_grpc.add_JobsServicer_to_server(Jobs(core), self._server)
        api_pb2_grpc.add_SystemServicer_to_server(System(core), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME), self._server)

    async def serve(self) -> None:
        """Until `stop`. Raises `PortInUse`, `InvalidSettings`."""
        address = f"{self._settings.host}:{self._settings.port}"
        credentials = _credentials(self._settings)
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise PortInUse(f"cannot listen on {address}") from error
        for service in SERVICES:
            await self._health.set(service, _SERVING)
        await self._server.start()
        log.info("gRPC listens on %s:%d", self._settings.host, port)
        await self._server.wait_for_termination()

    async def stop(self) -> None:
        """Tells those who watch its health, takes no more calls, and gives those it has a moment to end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_GRACE_S)


def _credentials(settings: GrpcSettings) -> grpc.ServerCredentials | None:
    """None for plain text. Raises `InvalidSettings`."""
    if listener_context(settings) is None:  # which judges the files as well
        return None
    assert settings.tls_cert_file is not None
    pair = CertificatePair(settings.tls_cert_file, settings.tls_key_file)
    clients = None if settings.tls_client_ca_file is None else settings.tls_client_ca_file.read_bytes()

    def read() -> grpc.ServerCertificateConfiguration:
        files = (pair.key_file.read_bytes(), pair.cert_file.read_bytes())
        return grpc.ssl_server_certificate_configuration([files], clients)

    def at_handshake() -> Any:
        """None keeps what is, which the stubs do not know."""
        return read() if pair.was_renewed() else None

    return grpc.dynamic_ssl_server_credentials(read(), at_handshake, clients is not None)


def _options(settings: GrpcSettings) -> list[tuple[str, int]]:
    return [
        # Else a second server would share the port in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", round(settings.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(settings.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
    ]
