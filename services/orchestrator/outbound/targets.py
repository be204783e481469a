"""URLs of strangers, read once and strictly: what is not plain is refused."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

import idna

from services.kit.errors import AddressRefused
from services.orchestrator.outbound.addresses import Address

_MAX_CHARS = 2048
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is in lower case ASCII, without a trailing dot or brackets."""

    scheme: str
    host: str
    port: int
    path_and_query: str

    @property
    def literal(self) -> Address | None:
        """The host as an IP address, if it is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """As it stands in a `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def file_name(self) -> str:
        """The last part of the path; empty where there is none."""
        return PurePosixPath(unquote(self.path_and_query.partition("?")[0], errors="replace")).name

    def joined(self, location: str) -> Target:
        """Where a redirect leads. Raises `AddressRefused`."""
        return parse_target(urljoin(f"{self.scheme}://{self.authority}{self.path_and_query}", location))


def parse_target(url: str) -> Target:
    """Raises `AddressRefused`. Nothing is looked up here."""
    if len(url) > _MAX_CHARS:
        raise AddressRefused(f"the URL is longer than {_MAX_CHARS} characters")
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise AddressRefused("the URL holds a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(f"not a URL: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise AddressRefused(f"URLs of the scheme {scheme[:20]!r} are not taken", hint="give an https:// URL")
    if "@" in parts.netloc:
        raise AddressRefused("the URL holds credentials", hint="use a signed URL instead")
    path = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    query = f"?{quote(parts.query, safe=_KEPT_IN_PATHS + '?')}" if parts.query else ""
    return Target(
        scheme,
        _host(parts.hostname or "", is_bracketed="[" in parts.netloc),
        _DEFAULT_PORTS[scheme] if port is None else port,
        path + query,
    )


def is_listed(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern names the host: `example.com`, `*.example.com` for those below it, `*` for any."""
    return any(
        pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        for pattern in (p.lower() for p in patterns)
    )


def _host(text: str, *, is_bracketed: bool) -> str:
    if is_bracketed:
        return _ipv6(text)
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode()
        except idna.IDNAError as error:
            raise AddressRefused("the host is no valid international name") from error
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the URL has no valid host")
    # Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; only the plain spelling is one here.
    if _NUMBER.fullmatch(labels[-1]) and not _is_plain_ipv4(host):
        raise AddressRefused("the host is a number in an unusual spelling", hint="write it as 192.0.2.1")
    return host


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise AddressRefused("the host is no valid IPv6 address") from error
    if address.scope_id is not None:
        raise AddressRefused("the host is an address of one link")
    return str(address)


def _is_plain_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
