"""The whole orchestrator, served over HTTP on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest

from services.kit.settings import NatsSettings
from services.local.nats import EmbeddedNats
from services.local.ports import LOOPBACK, choose_ports
from services.orchestrator.app import serve
from services.orchestrator.settings import GrpcSettings, HttpSettings
from tests.integration.parts import Parts, until

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True)
class Served:
    """`stop` asks the orchestrator to end in order."""

    http: httpx.AsyncClient
    grpc: grpc.aio.Channel
    grpc_address: str
    stop: asyncio.Event


ServeBoth = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve_both(parts: Parts, nats_server: EmbeddedNats) -> ServeBoth:
    """Starts an orchestrator in this process, on the database and broker of `parts`, with clients of it.

    Groups of settings that are given take the place of those of `parts`; further arguments are fields of the
    gRPC settings.
    """

    @asynccontextmanager
    async def served(groups: Mapping[str, Any] | None = None, **of_grpc: Any) -> AsyncIterator[Served]:
        http_port, grpc_port = choose_ports(2)
        settings = parts.settings.model_copy(
            update={
                "http": HttpSettings(host=LOOPBACK, port=http_port),
                "grpc": GrpcSettings(host=LOOPBACK, port=grpc_port, **of_grpc),
                "nats": NatsSettings(url=nats_server.url),
                **(groups or {}),
            }
        )
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(settings, stop))
        base_url, address = f"http://{LOOPBACK}:{http_port}", f"{LOOPBACK}:{grpc_port}"
        # Else calls would go by way of a proxy that the environment names.
        channel = grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client, channel:

            async def is_ready() -> bool:
                if serving.done():
                    serving.result()
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield Served(client, channel, address, stop)
        stop.set()
        await serving

    return served


@pytest.fixture
def serve_api(serve_both: ServeBoth) -> Serve:
    @asynccontextmanager
    async def served(**groups: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with serve_both(groups) as both:
            yield both.http

    return served


@pytest.fixture
async def both(serve_both: ServeBoth) -> AsyncIterator[Served]:
    async with serve_both() as served:
        yield served


@pytest.fixture
async def api(both: Served) -> httpx.AsyncClient:
    return both.http
