"""PostgreSQL by TLS. The server of the tests is built without it, so that TLS ends on a doorkeeper before it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from services.kit.errors import SystemUnavailable
from services.orchestrator import database as database_module
from services.orchestrator.database import Database
from tests.integration.remote import Authority, listening

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # of PostgreSQL's protocol, before anything else


class Doorkeeper:
    """Does what PostgreSQL does of TLS, and hands on what is said inside; plain text it does not take."""

    def __init__(self, server_port: int, tls: ssl.SSLContext) -> None:
        self._server_port = server_port
        self._tls = tls
        self.handshakes = 0
        self.plain = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                self.plain += 1
                return
            writer.write(b"S")
            await writer.start_tls(self._tls)
        except (OSError, asyncio.IncompleteReadError):
            return
        self.handshakes += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            await asyncio.gather(_carry(reader, server_writer), _carry(server_reader, writer))
        finally:
            server_writer.transport.abort()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
        target.close()
    except OSError:
        target.transport.abort()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def strange(tmp_path: Path) -> Authority:
    (tmp_path / "strange").mkdir()
    return Authority(tmp_path / "strange")


class Door:
    def __init__(self, dsn: str, port: int, keeper: Doorkeeper) -> None:
        self._dsn = dsn
        self._port = port
        self.keeper = keeper

    def dsn(self, query: str, host: str = "127.0.0.1") -> str:
        parts = urlsplit(self._dsn)
        user, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}@{host}:{self._port}", query=query))


@pytest.fixture
async def door(dsn: str, authority: Authority) -> AsyncIterator[Door]:
    port = urlsplit(dsn).port
    assert port is not None
    keeper = Doorkeeper(port, authority.server("127.0.0.1"))
    async with listening(keeper.serve) as door_port:
        yield Door(dsn, door_port, keeper)


async def refusal(dsn: str) -> str:
    database = Database(dsn, pool_size=2)
    try:
        with pytest.raises(SystemUnavailable) as refused:
            await database.open()
    finally:
        await database.close()
    assert "SCREENALYTICS_POSTGRES__DSN" in str(refused.value.hint)
    return str(refused.value)


async def test_the_database_is_used_by_tls_alone(door: Door, authority: Authority) -> None:
    database = Database(door.dsn(f"sslmode=verify-full&sslrootcert={authority.file}"), pool_size=2)
    await database.open()
    try:
        assert await database.read("list_webhooks") == []
    finally:
        await database.close()
    assert door.keeper.handshakes > 0
    assert door.keeper.plain == 0


async def test_what_is_not_the_server_of_the_authority_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, door: Door, dsn: str, authority: Authority, strange: Authority
) -> None:
    monkeypatch.setattr(database_module, "_POOL_TIMEOUT_S", 0.2)
    trusted = f"sslmode=verify-full&sslrootcert={authority.file}"
    for address, said in (
        (door.dsn(f"sslmode=verify-full&sslrootcert={strange.file}"), "certificate verify failed"),
        (door.dsn(trusted, host="localhost"), "does not match host name"),
        (door.dsn(f"sslmode=verify-full&sslrootcert={authority.file}.absent"), "does not exist"),
        (f"{dsn}?{trusted}", "does not support SSL"),
    ):
        told = await refusal(address)
        assert said in told, address
        assert "loopback-only" not in told, "the password is told to nobody"
    assert door.keeper.plain == 0


async def test_why_a_database_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setattr(database_module, "_POOL_TIMEOUT_S", 0.2)
    for address, said in (
        (dsn.replace("loopback-only", "guess"), "password authentication failed"),
        (dsn + "_absent", "does not exist"),
        ("nonsense", "nonsense"),
        ("postgresql://127.0.0.1:1/x", "refused"),
    ):
        assert said in await refusal(address)
