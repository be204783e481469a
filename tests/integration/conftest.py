"""Real Postgres and NATS for the tests below: one server of each, no rows and no streams at the start of a test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from nats.aio.client import Client

from services.kit.bus_connection import connect
from services.local.nats import EmbeddedNats
from services.local.postgres import EmbeddedPostgres
from services.orchestrator.database import Database
from tests.integration.parts import Parts

_NUMBERS = itertools.count()
_FILLED_TABLES = """
SELECT tablename FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations', 'lifecycle_moves')
"""


def _administer(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres.running(tmp_path_factory.mktemp("postgres")) as server:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nothing here outlives the tests
            _administer(server.dsn, f"ALTER SYSTEM SET {setting} = off")
        _administer(server.dsn, "SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with EmbeddedNats.running(tmp_path_factory.mktemp("nats")) as server:
        yield server


@contextmanager
def _new_database(server: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{next(_NUMBERS)}"
    _administer(server.dsn, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server.dsn)._replace(path=f"/{name}"))
    finally:
        _administer(server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without a schema."""
    with _new_database(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def shared_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """One database for all tests that leave its schema alone: a new one takes longer than most tests."""
    with _new_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def own_database() -> None:
    """Requested by a test that changes the schema."""


@pytest.fixture
def dsn(request: pytest.FixtureRequest) -> str:
    """A database without rows; it gets this release's schema when it is opened."""
    if "own_database" in request.fixturenames:
        return str(request.getfixturevalue("empty_dsn"))
    dsn = str(request.getfixturevalue("shared_dsn"))
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(_FILLED_TABLES).fetchall()
        if found:
            connection.execute(f"TRUNCATE {', '.join(row[0] for row in found)} RESTART IDENTITY".encode())
    return dsn


@pytest.fixture
async def nc(nats_server: EmbeddedNats) -> AsyncIterator[Client]:
    """A connection to a broker without any stream."""
    client = await connect(nats_server.url, name="test")
    js = client.jetstream()
    for stream in await js.streams_info():
        await js.delete_stream(str(stream.config.name))
    yield client
    await client.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn, pool_size=8)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def parts(database: Database, nc: Client, tmp_path: Path) -> Parts:
    """The orchestrator's parts, with streams made and every route declared on the CPU."""
    made = Parts.of(database, nc, tmp_path / "store")
    await made.reaper.ensure_streams()
    return made
