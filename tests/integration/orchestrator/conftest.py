"""The whole orchestrator, served over HTTP on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from services.kit.settings import NatsSettings
from services.local.nats import EmbeddedNats
from services.local.ports import LOOPBACK, choose_ports
from services.orchestrator.app import serve
from services.orchestrator.settings import HttpSettings
from tests.integration.parts import Parts, until

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve_api(parts: Parts, nats_server: EmbeddedNats) -> Serve:
    """Starts an orchestrator in this process, on the database and broker of `parts`, with a client of it.

    Groups of settings that are given take the place of those of `parts`.
    """

    @asynccontextmanager
    async def served(**groups: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = parts.settings.model_copy(
            update={
                "http": HttpSettings(host=LOOPBACK, port=choose_ports(1)[0]),
                "nats": NatsSettings(url=nats_server.url),
                **groups,
            }
        )
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(settings, stop))
        base_url = f"http://{LOOPBACK}:{settings.http.port}"
        async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client:

            async def is_ready() -> bool:
                if serving.done():
                    serving.result()
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield client
        stop.set()
        await serving

    return served


@pytest.fixture
async def api(serve_api: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_api() as client:
        yield client
