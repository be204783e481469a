"""`/livez`, `/readyz` and `/metrics` of a worker, on a thread of their own so that a busy loop is seen."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from services.kit.errors import PortInUse

_QUIET_FOR_S = 10.0  # a client that says nothing for so long is let go

log = logging.getLogger(__name__)

# None means healthy; a text says what is wrong.
Check = Callable[[], str | None]


def _handler(live: Check, ready: Check, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _QUIET_FOR_S

        def do_GET(self) -> None:
            checks = {"/livez": live, "/readyz": ready}
            if self.path == "/metrics":
                # OpenMetrics, which has exemplars, for whoever accepts it.
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, encode(registry), content_type)
            elif self.path in checks:
                fault = checks[self.path]()
                self._answer(200 if fault is None else 503, (fault or "ok").encode(), "text/plain")
            else:
                self._answer(404, b"not found", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler


@contextmanager
def serve_health(
    host: str,
    port: int,
    *,
    live: Check,
    ready: Check,
    registry: CollectorRegistry,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Serves until the block ends; yields the bound port. Raises `PortInUse`."""
    try:
        server = ThreadingHTTPServer((host, port), _handler(live, ready, registry))
    except OSError as error:
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    server.daemon_threads = True
    if tls is not None:
        # The handshake is the connection's own thread's: a client that says nothing must not hold up the rest.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
