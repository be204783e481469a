"""Counts round trips on the way to Postgres, from outside: how often a client speaks after it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.local.ports import LOOPBACK

_CHUNK_BYTES = 1 << 16


class CountingProxy:
    def __init__(self, target_port: int, port: int) -> None:
        self._target_port = target_port
        self.port = port
        self.round_trips = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = await asyncio.open_connection(LOOPBACK, self._target_port)
        is_answered = [True]

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_client: bool) -> None:
            with suppress(ConnectionError):
                while data := await source.read(_CHUNK_BYTES):
                    if is_client and is_answered[0]:
                        self.round_trips += 1
                    is_answered[0] = not is_client
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, near[1], is_client=True), pump(near[0], writer, is_client=False))
