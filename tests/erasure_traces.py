"""Everything that a system has written down, so that a test can look for what must not be in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from psycopg import sql

_TABLES = """
SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


def database_dump(dsn: str) -> dict[str, bytes]:
    """Every table as `COPY` writes it, by name."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        names = [str(row[0]) for row in connection.execute(_TABLES).fetchall()]
        return {name: _copied(connection, name) for name in names}


def _copied(connection: psycopg.Connection, name: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.SQL(name))) as rows:  # type: ignore[arg-type]
        return b"".join(bytes(row) for row in rows)


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file's path and content; one that vanishes meanwhile is left out."""
    for path in folder.rglob("*"):
        if path.is_file():
            try:
                yield path.as_posix(), path.read_bytes()
            except FileNotFoundError:
                continue


def traces_in_database(dsn: str, canaries: Iterable[bytes]) -> list[str]:
    wanted = tuple(canaries)
    return [name for name, text in database_dump(dsn).items() if any(canary in text for canary in wanted)]


def traces_in_files(folder: Path, canaries: Iterable[bytes]) -> list[str]:
    """Paths that hold a canary, in their content or in their own name."""
    wanted = tuple(canaries)
    return [
        path
        for path, content in files_below(folder)
        if any(canary in content or canary in path.encode() for canary in wanted)
    ]
