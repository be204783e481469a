"""Connections to addresses that were checked, and to no others."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore

from services.kit.errors import RemoteUnavailable
from services.orchestrator.outbound.addresses import Address

Resolve = Callable[[str], Awaitable[Sequence[Address]]]


async def resolve_host(host: str) -> Sequence[Address]:
    """Every address that the system's resolver knows, in a thread. Raises `RemoteUnavailable`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RemoteUnavailable(f"the name {host} cannot be resolved") from error
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Whatever host the pool asks for, the connection goes to one of `addresses`.

    TLS above it still checks the certificate against the name in the URL.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the seam's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
