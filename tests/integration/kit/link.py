"""A connection to a server that can be cut and mended, as a network is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Link:
    """Passes bytes between `url` and the server at another address, unless it is cut."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.url = ""

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    @classmethod
    @asynccontextmanager
    async def to(cls, server_url: str) -> AsyncIterator[Link]:
        link = cls(server_url)
        server = await asyncio.start_server(link._join, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link.url = server_url.replace(f":{link._server.port}", f":{port}")
        try:
            yield link
        finally:
            server.close()
            link.cut()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
