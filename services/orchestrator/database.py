"""Postgres: the pool, transactions over named queries, and migrations under an advisory lock."""

from __future__ import annotations

import logging
import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.kit.errors import InvalidRequest, InvalidSettings, SystemUnavailable
from services.orchestrator.sql import migrations, queries

log = logging.getLogger(__name__)

_MIGRATION_LOCK = 0x5C12EE2  # any number that no other user of the database takes
_POOL_TIMEOUT_S = 10.0
# A server whose machine is gone refuses nothing: with the system's own patience, a connection to it hangs for a
# quarter of an hour while it is written to, and for two hours while it is listened to. Of libpq; s, and ms.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

Row = dict[str, Any]
Asked = tuple[str, Mapping[str, Any]]  # a query's name and its parameters


class CommitUnanswered(SystemUnavailable):
    """The connection broke over the commit: what the transaction wrote stands, or does not."""


class Transaction:
    """Named queries inside one transaction.

    What is only written is not waited for: it travels with the next read or with the commit, so that a
    transaction costs one round trip for each read that depends on another, and one for its commit. A write
    that fails therefore raises at the next read, or at the end of the block.
    """

    def __init__(self, connection: AsyncConnection[DictRow], pipeline: AsyncExitStack) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._is_committed = False
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, told: Callable[[], None]) -> None:
        """`told` is called once what was written stands, and never if the transaction fails."""
        self._after_commit.append(told)

    async def run(self, name: str, **parameters: Any) -> None:
        await self._ask(name, parameters)

    async def one(self, name: str, **parameters: Any) -> Row | None:
        return await (await self._ask(name, parameters)).fetchone()

    async def all(self, name: str, **parameters: Any) -> list[Row]:
        return await (await self._ask(name, parameters)).fetchall()

    async def together(self, *asked: Asked) -> list[list[Row]]:
        """The rows of several queries, run in this order, for one round trip."""
        cursors = [await self._ask(name, parameters) for name, parameters in asked]
        # The last answer brings those before it.
        return [await cursor.fetchall() for cursor in reversed(cursors)][::-1]

    async def last(self, name: str, **parameters: Any) -> Row | None:
        """A query that ends the transaction: its answer comes with the commit's."""
        cursor = await self._ask(name, parameters)
        await self.commit()
        return await cursor.fetchone()

    async def commit(self) -> None:
        """Raises `CommitUnanswered`."""
        if not self._is_committed:
            self._is_committed = True
            try:
                await self._connection.execute("COMMIT")
                await self._pipeline.aclose()  # waits for what is left to be answered
            except psycopg.OperationalError as error:
                if error.sqlstate is not None:
                    raise  # the server has refused
                raise CommitUnanswered("Postgres has not answered a commit") from error
            for told in self._after_commit:
                told()

    async def _ask(self, name: str, parameters: Mapping[str, Any]) -> AsyncCursor[DictRow]:
        return await self._connection.execute(queries()[name], _adapted(parameters))


def impatient(dsn: str) -> str:
    """The same database, by connections that end within half a minute of its machine.

    What `dsn` says itself holds. Raises `InvalidSettings`.
    """
    try:
        return make_conninfo(dsn, **{**_PATIENCE, **conninfo_to_dict(dsn)})
    except psycopg.ProgrammingError:  # which quotes the address, password and all
        raise InvalidSettings(
            "SCREENALYTICS_POSTGRES__DSN is no address of a database",
            hint="postgresql://user:password@host:5432/name",
        ) from None


class Database:
    def __init__(self, dsn: str, *, pool_size: int) -> None:
        """Raises `InvalidSettings`."""
        self.dsn = dsn
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            impatient(dsn),
            min_size=1,
            max_size=pool_size,
            open=False,
            # Transactions are opened by hand: the driver would wait for the answer to its BEGIN.
            kwargs={"row_factory": dict_row, "autocommit": True},
            timeout=_POOL_TIMEOUT_S,
            check=_check_if_suspect,
        )

    async def open(self, *, migrate: bool = True, within_s: float = _POOL_TIMEOUT_S) -> None:
        """Raises `SystemUnavailable` when Postgres does not answer, or lacks what it was not to be given."""
        try:
            await self._pool.open(wait=True, timeout=within_s)
            await (self.migrate() if migrate else self._require_schema())
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise SystemUnavailable(
                f"Postgres does not answer: {await self._obstacle() or error}",
                hint="look at SCREENALYTICS_POSTGRES__DSN",
            ) from error

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits at the end of the block.

        Raises `SystemUnavailable` when Postgres is away (`CommitUnanswered` when what was written may stand all
        the same), `InvalidRequest` for a value that it has no form for.
        """
        async with self._connection() as connection, AsyncExitStack() as pipeline:
            await pipeline.enter_async_context(connection.pipeline())
            await connection.execute("BEGIN")
            transaction = Transaction(connection, pipeline)
            yield transaction
            await transaction.commit()

    async def read(self, name: str, **parameters: Any) -> list[Row]:
        """The rows of one query, which is a transaction by itself. Raises as `transaction` does."""
        async with self._connection() as connection:
            return await (await connection.execute(queries()[name], _adapted(parameters))).fetchall()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SystemUnavailable(f"Postgres does not answer: {type(error).__name__}") from error
        except (psycopg.DataError, UnicodeEncodeError) as error:
            raise InvalidRequest(f"a value cannot be stored: {error}") from error

    async def migrate(self) -> None:
        """Brings the schema to this release's; several replicas may call it at once."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations "
                "(number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            cursor = await connection.execute("SELECT number FROM schema_migrations")
            applied = {row["number"] for row in await cursor.fetchall()}
            for number, text in migrations():
                if number not in applied:
                    log.info("applying migration %d", number)
                    await connection.execute(text)
                    await connection.execute("INSERT INTO schema_migrations (number) VALUES (%s)", [number])

    async def _require_schema(self) -> None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL AS is_made")
            is_made = (await cursor.fetchone() or {})["is_made"]
            cursor = await connection.execute(
                "SELECT number FROM schema_migrations" if is_made else "SELECT 0 AS number WHERE false"
            )
            applied = {row["number"] for row in await cursor.fetchall()}
        if lacking := [number for number, _ in migrations() if number not in applied]:
            raise SystemUnavailable(
                f"the schema lacks the migrations {', '.join(map(str, lacking))}",
                hint="run: python -m services.orchestrator.migrate",
            )

    async def _obstacle(self) -> str:
        """Why no connection comes about, which the pool does not tell; empty when one does."""
        try:
            connection = await AsyncConnection.connect(self.dsn, connect_timeout=2)
        except psycopg.Error as error:
            return " ".join(str(error).split())
        await connection.close()
        return ""

    async def is_answering(self) -> bool:
        try:
            async with self._pool.connection(timeout=2) as connection:
                await connection.execute("SELECT 1")
        except (PoolTimeout, psycopg.Error):
            return False
        return True


async def _check_if_suspect(connection: AsyncConnection[DictRow]) -> None:
    """An idle connection has nothing to read unless its server has ended. Asking costs a round trip."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def _adapted(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {k: Jsonb(v) if isinstance(v, dict | tuple) else v for k, v in parameters.items()}


def as_json(value: Any) -> Any:
    """Row values as JSON values: times become RFC 3339."""
    return value.isoformat() if isinstance(value, datetime | date) else value
