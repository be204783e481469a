"""A way to Postgres on which the answer to a commit is lost, as it is when a server or a network dies over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_COMMITTED = b"COMMIT\x00"  # the command's tag, as the server sends it


@asynccontextmanager
async def without_answers_to_commits(dsn: str, *, after: int = 0) -> AsyncIterator[str]:
    """The address to use instead of `dsn`: each connection is cut when the server says that it has committed.

    The first `after` times it is heard.
    """
    far = urlsplit(dsn)
    left = after

    def is_lost(data: bytes) -> bool:
        nonlocal left
        left -= _COMMITTED in data
        return left < 0

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(far.hostname, far.port)
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer, is_lost=is_lost))
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
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    is_lost: Callable[[bytes], bool] = lambda _: False,
) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            if is_lost(data):
                break
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
