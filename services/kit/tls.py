"""TLS of a listener: what its settings name, or a word on what is wrong with it before anybody connects."""

from __future__ import annotations

import ssl

from services.kit.errors import InvalidSettings
from services.kit.settings import ListenerSettings


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
    return context
