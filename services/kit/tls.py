"""TLS of a listener: what its settings name, or a word on what is wrong with it before anybody connects.

A certificate that has been renewed is taken up while the process runs: at a handshake, for those that follow.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from services.kit.errors import InvalidSettings
from services.kit.settings import ListenerSettings

log = logging.getLogger(__name__)


def listener_context(settings: ListenerSettings) -> ssl.SSLContext | None:
    """None without a certificate: plain text. With `tls_client_ca_file`, clients without a certificate of it
    are refused. Raises `InvalidSettings`.
    """
    if settings.tls_cert_file is None:
        if settings.tls_key_file is not None or settings.tls_client_ca_file is not None:
            raise InvalidSettings("TLS_KEY_FILE or TLS_CLIENT_CA_FILE is set without TLS_CERT_FILE")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
        if settings.tls_client_ca_file is not None:
            context.load_verify_locations(settings.tls_client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        named = (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
        files = ", ".join(map(str, filter(None, named)))
        raise InvalidSettings(f"the certificate files {files} cannot be used: {error}") from error
    pair = CertificatePair(settings.tls_cert_file, settings.tls_key_file)

    def at_handshake(_connection: ssl.SSLObject, _server_name: str | None, _: ssl.SSLContext) -> None:
        if pair.was_renewed():
            context.load_cert_chain(pair.cert_file, pair.key_file)

    context.sni_callback = at_handshake  # called for clients that name no server as well
    return context


class CertificatePair:
    """The files of a certificate and its key; several threads may ask."""

    def __init__(self, cert_file: Path, key_file: Path | None) -> None:
        self.cert_file = cert_file
        self.key_file = key_file or cert_file
        self._lock = threading.Lock()
        self._seen = self._stamps()

    def was_renewed(self) -> bool:
        """Once for each change to another pair that can be used; one that cannot is said, and left."""
        with self._lock:
            try:
                stamps = self._stamps()
                if stamps == self._seen:
                    return False
                self._seen = stamps
                # A context of its own: half a pair must not end up in the one that serves.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert_file, self.key_file)
            except OSError as error:
                log.warning("the renewed certificate %s cannot be used: %s", self.cert_file, error)
                return False
        log.info("the certificate %s was renewed", self.cert_file)
        return True

    def _stamps(self) -> list[tuple[int, int, int]]:
        looks = [path.stat() for path in (self.cert_file, self.key_file)]
        return [(look.st_mtime_ns, look.st_ino, look.st_size) for look in looks]
