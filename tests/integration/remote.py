"""Servers on this machine that stand for strangers: they answer as each test says, and count who connects."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import trustme

from services.orchestrator.outbound.addresses import Address
from services.orchestrator.settings import OutboundSettings

LOOPBACK_NETWORK = ip_network("127.0.0.0/8")


class Request:
    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, _ = line.split(" ")
        self.headers = headers
        self.body = body


Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
Handler = Callable[[Request], Answer]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    given = {"Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Remote:
    """`connections` counts sockets that were accepted, also such on which nothing was asked."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.connections = 0
        self.requests: list[Request] = []
        self.names: list[str | None] = []  # as asked for in TLS
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Request(head[0], headers, body)
            self.requests.append(request)
            reply = self.handle(request)
            if isinstance(reply, bytes):
                writer.write(reply)
            else:
                await reply(writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """On the port that it yields; whoever is still connected at the end is cut off."""
    open_ones: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await serve(reader, writer)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
        finally:
            open_ones.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in (left := list(open_ones)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Remote]:
    remote = Remote(handle)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: remote.names.append(name)
    async with listening(remote.serve, tls) as remote.port:
        yield remote


class Authority:
    """Certificates for the names that tests use."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def settings(self, *ports: int, **fields: object) -> OutboundSettings:
        """For servers of this machine alone."""
        plain = {"ports": ports, "ca_file": self.file, "allow_networks": (LOOPBACK_NETWORK,)}
        return OutboundSettings.model_validate(plain | fields)


class Names:
    """A resolver that knows what it was told, answers each name in turn, and remembers what it was asked."""

    def __init__(self, **known: Sequence[Sequence[str]]) -> None:
        self._known = {name.replace("_", "."): list(answers) for name, answers in known.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        answers = self._known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(text) for text in found]
