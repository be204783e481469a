"""Certificates of an authority that a test makes, as files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme

from services.local.ports import LOOPBACK


@dataclass(frozen=True)
class Certificates:
    """Of one authority: for a server of this machine, and for a client."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path

    @classmethod
    def made(cls, folder: Path) -> Certificates:
        folder.mkdir()
        authority = trustme.CA()
        paths = cls(*(folder / f"{name}.pem" for name in ("ca", "cert", "key", "client-cert", "client-key")))
        authority.cert_pem.write_to_path(str(paths.ca))
        for cert, key in ((paths.server_cert, paths.server_key), (paths.client_cert, paths.client_key)):
            issued = authority.issue_cert(LOOPBACK, "localhost")
            issued.private_key_pem.write_to_path(str(key))
            for pem in issued.cert_chain_pems:
                pem.write_to_path(str(cert), append=True)
        return paths

    def listener(self, *, asks_clients: bool = False) -> dict[str, Path]:
        files = {"tls_cert_file": self.server_cert, "tls_key_file": self.server_key}
        return files | ({"tls_client_ca_file": self.ca} if asks_clients else {})

    def trusting(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if with_certificate:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context

    def of_grpc(self, *, with_certificate: bool) -> grpc.ChannelCredentials:
        own = (
            (self.client_key.read_bytes(), self.client_cert.read_bytes()) if with_certificate else (None, None)
        )
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), *own)
