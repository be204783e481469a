"""HTTP requests to URLs that users have given, after OWASP's advice against server-side request forgery.

A host is resolved once, every one of its addresses must be public, and the connection goes to one of those that
were checked. A redirect is a new URL: it is read, resolved and checked anew.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import monotonic

import httpcore

from services.kit.errors import AddressRefused, InvalidSettings, RemoteUnavailable, TooLarge
from services.orchestrator.content_length import announced_bytes
from services.orchestrator.outbound.addresses import Address, is_public, is_within
from services.orchestrator.outbound.connections import PinnedBackend, Resolve, resolve_host
from services.orchestrator.outbound.targets import Target, is_listed, parse_target
from services.orchestrator.settings import OutboundSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_USER_AGENT = "screenalytics"


@dataclass(frozen=True, slots=True)
class Reply:
    """`head`: the first bytes of the body."""

    status: int
    latency_ms: int
    head: bytes


class Fetched:
    """The body of an answer, to be read once. `size_bytes`: as it was announced."""

    def __init__(self, response: httpcore.Response, target: Target, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.file_name = target.file_name
        self.size_bytes = announced_bytes(_header(response, b"content-length"))
        if self.size_bytes is not None and self.size_bytes > max_bytes:
            raise TooLarge(f"the source is larger than {max_bytes} bytes")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises `TooLarge`, `RemoteUnavailable`."""
        size = 0
        with _failures():
            async for chunk in self._response.aiter_stream():
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(f"the source is larger than {self._max_bytes} bytes")
                yield chunk


class Outbound:
    """`resolve` is asked once for each URL, redirects included."""

    def __init__(self, settings: OutboundSettings, *, resolve: Resolve = resolve_host) -> None:
        """Raises `InvalidSettings`."""
        self._settings = settings
        self._resolve = resolve
        try:
            cafile = None if settings.ca_file is None else str(settings.ca_file)
            self._ssl = ssl.create_default_context(cafile=cafile)
        except OSError as error:
            raise InvalidSettings(f"the certificates of outbound.ca_file cannot be read: {error}") from error

    async def check(self, url: str, *, hosts: tuple[str, ...]) -> None:
        """Whether a request would be made now. Raises `AddressRefused`, `RemoteUnavailable`."""
        await self._addresses(parse_target(url), hosts)

    @asynccontextmanager
    async def fetch(
        self, url: str, *, hosts: tuple[str, ...], max_bytes: int, within_s: float
    ) -> AsyncIterator[Fetched]:
        """The body behind a URL, through redirects.

        Raises `AddressRefused`, `RemoteUnavailable`, `TooLarge`; `within_s` bounds all of it, the reading too.
        """
        target = parse_target(url)
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        async with _time_limit(target, within_s):
            for _ in range(self._settings.max_redirects + 1):
                async with self._exchange("GET", target, hosts, headers, b"") as response:
                    if response.status not in _REDIRECTS:
                        _require_success(target, response)
                        yield Fetched(response, target, max_bytes)
                        return
                    location = _header(response, b"location")
                target = target.joined(location)
            raise RemoteUnavailable(f"{target.host} redirects more than {self._settings.max_redirects} times")

    async def post(
        self,
        url: str,
        *,
        hosts: tuple[str, ...],
        headers: Mapping[str, str],
        body: bytes,
        within_s: float,
        head_bytes: int,
    ) -> Reply:
        """One request, without following redirects. Raises `AddressRefused`, `RemoteUnavailable`."""
        target, started, head = parse_target(url), monotonic(), b""
        async with (
            _time_limit(target, within_s),
            self._exchange("POST", target, hosts, headers, body) as response,
        ):
            async for chunk in response.aiter_stream():
                head += chunk[: head_bytes - len(head)]
                if len(head) >= head_bytes:
                    break
        return Reply(response.status, round((monotonic() - started) * 1000), head)

    @asynccontextmanager
    async def _exchange(
        self, method: str, target: Target, hosts: tuple[str, ...], headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[httpcore.Response]:
        addresses = await self._addresses(target, hosts)
        sent = {"Host": target.authority, "User-Agent": _USER_AGENT, "Connection": "close", **headers}
        if body:
            sent["Content-Length"] = str(len(body))
        waits = {"connect": self._settings.connect_timeout_s}
        waits |= dict.fromkeys(("read", "write", "pool"), self._settings.idle_timeout_s)
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path_and_query.encode(),
        )
        with _failures():
            async with (
                self._pool(addresses) as pool,
                pool.stream(
                    method, url, headers=_encoded(sent), content=body or None, extensions={"timeout": waits}
                ) as response,
            ):
                yield response

    def _pool(self, addresses: Sequence[Address]) -> httpcore.AsyncConnectionPool:
        """For one request: no connection is used for another."""
        if self._settings.proxy_url:
            proxy = httpcore.Proxy(self._settings.proxy_url)
            return httpcore.AsyncConnectionPool(ssl_context=self._ssl, proxy=proxy)
        return httpcore.AsyncConnectionPool(ssl_context=self._ssl, network_backend=PinnedBackend(addresses))

    async def _addresses(self, target: Target, hosts: tuple[str, ...]) -> Sequence[Address]:
        """Checked; none for a name that a proxy is to resolve. Raises `AddressRefused`, `RemoteUnavailable`."""
        if target.scheme not in self._settings.schemes:
            raise AddressRefused(f"URLs of the scheme {target.scheme!r} are not taken", hint="use https")
        if target.port not in self._settings.ports:
            raise AddressRefused(f"port {target.port} is not one that this system may call")
        if not is_listed(target.host, hosts):
            raise AddressRefused(f"{target.host} is not a host that this system may call")
        if target.literal is not None:
            addresses: Sequence[Address] = [target.literal]
        elif self._settings.proxy_url:
            return []
        else:
            async with _time_limit(target, self._settings.connect_timeout_s):
                addresses = await self._resolve(target.host)
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise AddressRefused(
                f"{target.host} does not lead to the public internet alone",
                hint="an administrator can allow a network by SCREENALYTICS_OUTBOUND__ALLOW_NETWORKS",
            )
        return addresses

    def _is_allowed(self, address: Address) -> bool:
        return is_public(address) or is_within(address, self._settings.allow_networks)


@asynccontextmanager
async def _time_limit(target: Target, within_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise RemoteUnavailable(f"{target.host} took longer than {within_s:.0f} s") from error


@contextmanager
def _failures() -> Iterator[None]:
    """Raises `RemoteUnavailable` for what the HTTP library raises."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise RemoteUnavailable("the other side fell silent") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
        raise RemoteUnavailable(f"the other side cannot be reached: {str(error)[:200]}") from error


def _require_success(target: Target, response: httpcore.Response) -> None:
    if response.status != 200:
        raise RemoteUnavailable(f"{target.host} answered {response.status}", hint="is it open to others?")
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise RemoteUnavailable(f"{target.host} sends the file compressed, which was not asked for")


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
