"""A way to Postgres on which the answer to a commit is lost, as it is when a server or a network dies over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_COMMITTED = b"COMMIT\x00"  # the command's tag, as the server sends it


@asynccontextmanager
async def without_answers_to_commits(dsn: str) -> AsyncIterator[str]:
    """The address to use instead of `dsn`: each connection is cut when the server says that it has committed."""
    far = urlsplit(dsn)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(far.hostname, far.port)
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer, until=_COMMITTED))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield dsn.replace(f":{far.port}", f":{port}")
    finally:
        server.close()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: bytes | None = None
) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            if until is not None and until in data:
                break
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
