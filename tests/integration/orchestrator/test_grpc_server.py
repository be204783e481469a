"""The gRPC server as a server: health, drain, reflection, deadlines and its port."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import fields
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from services.kit.errors import PortInUse
from services.local.ports import LOOPBACK, choose_ports
from services.orchestrator.core import Core
from services.orchestrator.grpc_api.app import SERVICES, GrpcServer
from services.orchestrator.grpc_api.guard import Context
from services.orchestrator.settings import GrpcSettings
from tests.integration.orchestrator.conftest import ServeBoth, Served
from tests.integration.orchestrator.grpc_client import METHODS, Rpcs, fault_of
from tests.integration.parts import Parts

SERVING, NOT_SERVING = (health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING)
UNASKED: Any = dict.fromkeys((field.name for field in fields(Core)), None)


async def test_every_service_has_its_health(both: Served) -> None:
    health = health_pb2_grpc.HealthStub(both.grpc)
    for service in ("", *SERVICES):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING, service
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_drain_is_told_to_whoever_watches_the_health_of_any_service(both: Served) -> None:
    health = health_pb2_grpc.HealthStub(both.grpc)
    watches = [health.Watch(health_pb2.HealthCheckRequest(service=service)) for service in SERVICES]
    assert [(await watch.read()).status for watch in watches] == [SERVING] * len(SERVICES)
    both.stop.set()
    assert [(await watch.read()).status for watch in watches] == [NOT_SERVING] * len(SERVICES)


async def test_a_watch_ends_with_the_server_and_says_unavailable(both: Served, parts: Parts) -> None:
    job_id = await parts.submitted()
    watch = aiter(Rpcs(both.grpc)("WatchJob", job_id=job_id))
    await anext(watch)
    both.stop.set()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async for _ in watch:
            pass
    assert ended.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_the_api_describes_itself_where_it_is_asked_to(serve_both: ServeBoth) -> None:
    async with serve_both(reflection=True) as both:
        with grpc.insecure_channel(both.grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            found = await asyncio.to_thread(_reflected, channel)
    assert set(SERVICES) <= set(found)
    assert {name for names in found.values() for name in names} >= set(METHODS)


def _reflected(channel: grpc.Channel) -> dict[str, list[str]]:
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    names = [name for name in database.get_services() if name.startswith("screenalytics.")]
    return {name: [method.name for method in pool.FindServiceByName(name).methods] for name in names}


async def test_the_api_does_not_describe_itself_by_default(both: Served) -> None:
    with grpc.insecure_channel(both.grpc_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(database.get_services)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


async def test_a_call_past_the_servers_limit_ends_with_the_reason(serve_both: ServeBoth, parts: Parts) -> None:
    job_id = await parts.submitted()
    async with serve_both(deadline_s=0.3) as both:
        rpcs = Rpcs(both.grpc)
        async with await psycopg.AsyncConnection.connect(parts.database.dsn) as locking:
            await locking.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            fault = await fault_of(rpcs("GetJob", job_id=job_id))
            await locking.rollback()
        assert fault[:2] == ("DEADLINE_EXCEEDED", "deadline-exceeded")
        assert (await rpcs("GetJob", job_id=job_id)).job_id == job_id


async def test_a_client_decides_how_long_it_waits(both: Served, parts: Parts) -> None:
    job_id = await parts.submitted()
    async with await psycopg.AsyncConnection.connect(parts.database.dsn) as locking:
        await locking.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await Rpcs(both.grpc, timeout=0.3)("GetJob", job_id=job_id)
        await locking.rollback()
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await Rpcs(both.grpc)("GetJob", job_id=job_id)).job_id == job_id


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = GrpcServer(Core(**UNASKED), GrpcSettings(port=port))
        with pytest.raises(PortInUse, match=str(port)):
            await server.serve()
        await server.stop()


class _Refusing(grpc.aio.ServerInterceptor):
    """Refuses every call, as one that asks for a name would."""

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(details)

        async def refuse(_request: Any, _context: Context) -> Any:
            raise PortInUse(f"refused {details.method}", hint="go away")

        return grpc.unary_unary_rpc_method_handler(
            refuse, handler.request_deserializer, handler.response_serializer
        )


async def test_what_an_interceptor_raises_is_mapped_as_any_other_error() -> None:
    (port,) = choose_ports(1)
    server = GrpcServer(Core(**UNASKED), GrpcSettings(port=port), [_Refusing()])
    serving = asyncio.create_task(server.serve())
    address = f"{LOOPBACK}:{port}"
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        fault = await fault_of(Rpcs(channel, wait_for_ready=True)("GetJob", job_id="x"))
    assert fault == ("UNAVAILABLE", "port-in-use", {"hint": "go away"})
    await server.stop()
    await serving
