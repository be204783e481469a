"""PostgreSQL by TLS: the right authority and name work; anything else is refused, and says why.

The PostgreSQL of the tests is built without TLS, so it is served by one who speaks it for the real server.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest

from services.kit.errors import SystemUnavailable
from services.local.ports import LOOPBACK
from services.orchestrator.database import Database
from tests.integration.certificates import Certificates
from tests.integration.remote import listening

# https://www.postgresql.org/docs/current/protocol-message-formats.html: a client's first message.
_SSL_REQUEST, _ENCRYPTED_GSS_REQUEST = 80877103, 80877104


@dataclass
class Terminator:
    """Speaks TLS with clients, and plain text with the server at `port`."""

    server_port: int
    tls: ssl.SSLContext
    port: int = 0
    # Of each connection: whether it was encrypted when its first words to the server came.
    encrypted: list[bool] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(8)
            if int.from_bytes(first[4:]) == _ENCRYPTED_GSS_REQUEST:
                writer.write(b"N")
                first = await reader.readexactly(8)
            if int.from_bytes(first[4:]) != _SSL_REQUEST:
                self.encrypted.append(False)
                return
            writer.write(b"S")
            await writer.start_tls(self.tls)
            first = await reader.readexactly(8)
            self.encrypted.append(True)
            of_server, to_server = await asyncio.open_connection(LOOPBACK, self.server_port)
            to_server.write(first)
            await asyncio.wait(
                [
                    asyncio.create_task(passed_on(reader, to_server)),
                    asyncio.create_task(passed_on(of_server, writer)),
                ]
            )
        except (OSError, asyncio.IncompleteReadError):
            pass


async def passed_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(1 << 16):
            target.write(piece)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()


@pytest.fixture
def ours(tmp_path: Path) -> Certificates:
    return Certificates.made(tmp_path / "ours")


@pytest.fixture
async def by_tls(dsn: str, ours: Certificates) -> AsyncIterator[Terminator]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ours.server_cert, ours.server_key)
    server = Terminator(urlsplit(dsn).port or 0, tls)
    async with listening(server.serve) as server.port:
        yield server


def address(dsn: str, port: int, ca: Path, host: str = LOOPBACK) -> str:
    parts = urlsplit(dsn)
    asked = {"sslmode": "verify-full", "sslrootcert": str(ca), "hostaddr": LOOPBACK}
    netloc = f"{parts.username}:{parts.password}@{host}:{port}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(asked)))


async def refusal(dsn: str) -> str:
    database = Database(dsn, pool_size=2)
    try:
        with pytest.raises(SystemUnavailable) as refused:
            await database.open(within_s=0.5)
    finally:
        await database.close()
    return str(refused.value)


async def test_the_right_authority_is_trusted_and_every_connection_is_encrypted(
    by_tls: Terminator, dsn: str, ours: Certificates
) -> None:
    database = Database(address(dsn, by_tls.port, ours.ca), pool_size=2)
    await database.open()
    try:
        assert await database.is_answering()
        assert await database.read("list_workers", expiry_s=60.0) == []
    finally:
        await database.close()
    assert set(by_tls.encrypted) == {True}


async def test_another_authority_is_refused_and_the_reason_told(
    by_tls: Terminator, dsn: str, tmp_path: Path
) -> None:
    strange = Certificates.made(tmp_path / "strange")
    told = await refusal(address(dsn, by_tls.port, strange.ca))
    assert "certificate verify failed" in told
    assert str(urlsplit(dsn).password) not in told
    assert "does not exist" in await refusal(address(dsn, by_tls.port, tmp_path / "absent.pem"))
    assert by_tls.encrypted == []


async def test_a_certificate_for_another_name_is_refused(
    by_tls: Terminator, dsn: str, ours: Certificates
) -> None:
    told = await refusal(address(dsn, by_tls.port, ours.ca, host="database.test"))
    assert "does not match host name" in told
    assert by_tls.encrypted == []


async def test_a_server_without_tls_is_not_spoken_to(dsn: str, ours: Certificates) -> None:
    told = await refusal(address(dsn, urlsplit(dsn).port or 0, ours.ca))
    assert "does not support SSL" in told
