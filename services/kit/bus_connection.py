"""How a process connects to NATS: with which credentials, by TLS or not, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from services.kit.errors import InvalidSettings, SystemUnavailable
from services.kit.settings import NatsSettings

log = logging.getLogger(__name__)

_FIRST_CONNECTION_WITHIN_S = 5.0
_CLOSED_WITHIN_S = 1.0
_PATIENCE: dict[str, Any] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 0.25,
    "connect_timeout": 5,
    "ping_interval": 10,
    "max_outstanding_pings": 2,
}
_REFUSED = "authorization violation"
_NO_TLS = "the server offers no TLS"


class _TlsClient(Client):
    """The library would go on in plain text, credentials and all, with a server that offers no TLS."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:
            if not info.get("tls_required") and not info.get("tls_available"):
                raise NatsError(_NO_TLS)
            self._server_info["tls_required"] = True
        await super()._process_info(info, initial_connection=initial_connection)


async def connect(where: NatsSettings | str, *, name: str) -> Client:
    """A connection that reconnects for ever, once it was made.

    `name` is the role: answers come to an inbox of it, which no other role may listen to. Raises
    `InvalidSettings`, and `SystemUnavailable` when it cannot be made: at once where credentials are no good.
    """
    settings = NatsSettings(url=where) if isinstance(where, str) else where
    client: Client = _TlsClient() if _wants_tls(settings) else Client()
    seen = _Watched(client)
    try:
        # The client itself would go on for ever with the first connection too.
        async with asyncio.timeout(_FIRST_CONNECTION_WITHIN_S):
            await client.connect(
                settings.url,
                name=name,
                inbox_prefix=f"_INBOX.{name}",
                error_cb=seen.on_error,
                disconnected_cb=seen.on_disconnect,
                reconnected_cb=seen.on_reconnected,
                **_PATIENCE,
                **_credentials(settings),
            )
    except (NatsError, OSError) as error:
        with suppress(NatsError, OSError):  # a timeout is an OSError; a half-made TLS connection can hang
            async with asyncio.timeout(_CLOSED_WITHIN_S):
                await client.close()
        raise seen.failure(settings.url, error) from error
    seen.has_connected = True
    return client


class _Watched:
    """What the library says of the connection. Before there is one, what no attempt can mend ends them."""

    def __init__(self, client: Client) -> None:
        self.has_connected = False
        self._client = client
        self._last: Exception | None = None

    async def on_error(self, error: Exception) -> None:
        log.debug("nats: %s", error or type(error).__name__)
        self._last = error
        if not self.has_connected and _is_final(error):
            raise NatsError(str(error))

    async def on_disconnect(self) -> None:
        if self.has_connected and not self._client.is_closed:
            log.info("nats: connection lost, reconnecting")

    async def on_reconnected(self) -> None:
        log.info("nats: connected again")

    def failure(self, url: str, error: Exception) -> SystemUnavailable:
        """In words that hold no password."""
        where = _without_login(url)
        if _REFUSED in f"{self._last} {error}".lower():
            return SystemUnavailable(
                f"NATS at {where} refuses the credentials",
                hint="see SCREENALYTICS_NATS__USER and what the server was told of it",
            )
        reason = str(self._last or error) or "no connection"
        return SystemUnavailable(f"NATS does not answer at {where}: {reason}")


def _is_final(error: Exception) -> bool:
    is_untrusted = isinstance(error, ssl.SSLCertVerificationError)
    return is_untrusted or _NO_TLS in str(error) or _REFUSED in str(error).lower()


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _wants_tls(settings: NatsSettings) -> bool:
    return settings.url.startswith("tls://") or settings.tls_ca_file is not None


def _credentials(settings: NatsSettings) -> dict[str, Any]:
    """Raises `InvalidSettings` for files that cannot be used."""
    given: dict[str, Any] = {
        "user": settings.user or None,
        "password": settings.password.get_secret_value() or None,
        "tls": _tls(settings) if _wants_tls(settings) else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _tls(settings: NatsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        if settings.tls_cert_file is not None:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:
        raise InvalidSettings(f"the files of SCREENALYTICS_NATS__TLS_... cannot be used: {error}") from error
    return context
