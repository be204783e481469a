"""What Postgres itself holds: the moves, the closed sets, the migrations, and errors told apart."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from services.kit.errors import InvalidRequest, InvalidSettings, SystemUnavailable
from services.kit.messages import TaskOutcome
from services.kit.stages import Stage, TaskKind
from services.orchestrator import database as database_module
from services.orchestrator.database import Database, impatient
from services.orchestrator.feed import JobFeed
from services.orchestrator.job_request import JobKind
from services.orchestrator.lifecycle import MOVES, State
from services.orchestrator.sql import migrations
from tests.integration.parts import Parts, until


async def checked(parts: Parts, table: str, column: str) -> set[str]:
    """The values that a CHECK of the table allows the column."""
    rows = await parts.rows(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass",
        table,
    )
    (found,) = [row["text"] for row in rows if f"({column} = ANY" in row["text"]]
    return set(re.findall(r"'(\w+)'", found))


async def test_the_moves_are_those_of_the_lifecycle(parts: Parts) -> None:
    rows = await parts.rows("SELECT from_state, to_state FROM lifecycle_moves")
    assert {(row["from_state"], row["to_state"]) for row in rows} == MOVES


async def test_the_closed_sets_are_those_of_the_code(parts: Parts) -> None:
    assert await checked(parts, "stage_runs", "state") == set(State)
    assert await checked(parts, "jobs", "state") == set(State) - {State.SKIPPED}
    assert await checked(parts, "stage_runs", "stage") == set(Stage)
    assert await checked(parts, "jobs", "kind") == set(JobKind)
    assert await checked(parts, "tasks", "kind") == set(TaskKind)
    assert await checked(parts, "attempts", "state") == set(TaskOutcome) | {"open", "fenced", "abandoned"}


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("table", ["jobs", "stage_runs"])
async def test_every_move_that_the_table_does_not_name_is_refused(parts: Parts, table: str) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    states = [s for s in State if table == "stage_runs" or s is not State.SKIPPED]
    for before in states:
        for after in states:
            await parts.rows(f"ALTER TABLE {table} DISABLE TRIGGER {table}_move")
            await parts.rows(f"UPDATE {table} SET state = %s WHERE job_id = %s", before, job_id)
            await parts.rows(f"ALTER TABLE {table} ENABLE TRIGGER {table}_move")
            move = parts.rows(f"UPDATE {table} SET state = %s WHERE job_id = %s", after, job_id)
            if before is after or (before, after) in MOVES:
                await move
            else:
                with pytest.raises(psycopg.errors.CheckViolation, match="illegal move"):
                    await move


async def test_two_replicas_may_migrate_at_once(empty_dsn: str) -> None:
    databases = [Database(empty_dsn, pool_size=2) for _ in range(3)]
    await asyncio.gather(*(database.open() for database in databases))
    async with await psycopg.AsyncConnection.connect(empty_dsn) as connection:
        cursor = await connection.execute("SELECT number FROM schema_migrations ORDER BY number")
        assert [row[0] for row in await cursor.fetchall()] == [number for number, _ in migrations()]
    for database in databases:
        await database.close()


async def test_migrating_again_changes_nothing(database: Database, parts: Parts) -> None:
    job_id = await parts.submitted()
    await database.migrate()
    assert (await parts.states(job_id))[0] == "queued"


async def test_a_migration_that_comes_late_is_applied_whatever_its_number(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Branches that were made side by side merge in any order."""
    tables = [(number, f"CREATE TABLE t{number} ()") for number in (1, 2, 4)]
    database = Database(empty_dsn, pool_size=2)
    monkeypatch.setattr(database_module, "migrations", lambda: [tables[0], tables[2]])
    await database.open()
    monkeypatch.setattr(database_module, "migrations", lambda: tables)
    await database.migrate()
    await database.close()
    async with await psycopg.AsyncConnection.connect(empty_dsn) as connection:
        cursor = await connection.execute("SELECT number FROM schema_migrations ORDER BY number")
        assert [row[0] for row in await cursor.fetchall()] == [1, 2, 4]
        await connection.execute("SELECT FROM t2")


async def test_an_orchestrator_that_may_not_migrate_waits_until_another_has(empty_dsn: str) -> None:
    waiting = Database(empty_dsn, pool_size=2)
    with pytest.raises(SystemUnavailable, match="lacks the migrations 1"):
        await waiting.open(migrate=False)
    await waiting.close()
    env = {"SCREENALYTICS_POSTGRES__DSN": empty_dsn, "SCREENALYTICS_STORE__URL": "file:///unused"}
    migrating = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.orchestrator.migrate", env=os.environ | env
    )
    assert await migrating.wait() == 0
    after = Database(empty_dsn, pool_size=2)
    await after.open(migrate=False)
    assert await after.is_answering()
    await after.close()


async def test_a_block_that_fails_commits_nothing(parts: Parts) -> None:
    await parts.upload()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what is tested
        async with parts.database.transaction() as tx:
            await tx.run("supersede_episode", ep_id="show")
            raise ZeroDivisionError
    assert await parts.episodes.get("show")


async def test_postgres_that_is_away_is_the_systems_fault(dsn: str) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", pool_size=2)
    nowhere._pool.timeout = 0.1
    assert not await nowhere.is_answering()
    with pytest.raises(SystemUnavailable):
        async with nowhere.transaction():
            pass


async def test_a_server_that_ends_our_connections_is_used_again(parts: Parts) -> None:
    await parts.upload()
    await parts.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert await parts.episodes.get("show")


async def test_a_value_that_postgres_has_no_form_for_is_the_callers_fault(parts: Parts) -> None:
    with pytest.raises(InvalidRequest):
        await parts.episodes.get("nul\x00")


def waits_of(connection: psycopg.AsyncConnection[Any]) -> tuple[int, int]:
    """(seconds of silence after which its server is asked, ms that it may leave what is sent unconfirmed)."""
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as inside:
        return (
            inside.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            inside.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )


async def test_a_connection_does_not_outlive_the_machine_of_its_server(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[psycopg.AsyncConnection[Any]] = []
    connect = psycopg.AsyncConnection.connect

    async def noted(*given: Any, **options: Any) -> psycopg.AsyncConnection[Any]:
        made.append(await connect(*given, **options))
        return made[-1]

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", noted)
    pooled = Database(parts.database.dsn, pool_size=2)
    await pooled.open()
    feed = asyncio.create_task(JobFeed(parts.database.dsn, on_outbox=lambda: None).run())

    async def are_made() -> bool:
        return len(made) == 2

    await until(are_made)
    assert [waits_of(connection) for connection in made] == [(10, 20_000)] * 2
    feed.cancel()
    await pooled.close()


async def test_what_an_address_says_of_patience_holds() -> None:
    asked = conninfo_to_dict(impatient("postgresql://h/d?tcp_user_timeout=1000&sslmode=require"))
    assert (asked["tcp_user_timeout"], asked["keepalives_idle"], asked["sslmode"]) == ("1000", "10", "require")


def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidSettings, match="POSTGRES__DSN") as refused:
        Database("postgresql://me:hidden@host:5432/d?nothing=1", pool_size=2)
    assert "hidden" not in str(refused.value)
