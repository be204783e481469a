"""`python -m services.orchestrator.bootstrap_key`: makes the first API key and prints it, once.

Needs the database's address alone: who has that may do everything anyway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from pydantic_settings import BaseSettings

from services.kit.errors import ScreenalyticsError
from services.kit.settings import ServiceSettings, read_settings
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.database import Database
from services.orchestrator.operations import Scope
from services.orchestrator.settings import PostgresSettings


class BootstrapSettings(BaseSettings):
    model_config = ServiceSettings.model_config

    postgres: PostgresSettings


async def make_key(settings: BootstrapSettings, name: str, *, another: bool) -> str:
    """Raises `Conflict` where a key is there that may make others, unless it is to be `another`."""
    database = Database(settings.postgres.dsn, pool_size=2)
    try:
        await database.open(migrate=settings.postgres.migrate_at_start)
        keys = ApiKeys(database, remember_s=0)
        if another:
            return (await keys.create(name, frozenset(Scope), created_by="bootstrap")).text
        return (await keys.create_first(name)).text
    finally:
        await database.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.orchestrator.bootstrap_key",
        description="Make a key with every scope and print it. It is shown this once.",
    )
    parser.add_argument("--name", default="first", help="what the list of keys shows (%(default)s)")
    parser.add_argument("--another", action="store_true", help="although a key is there that may make others")
    options = parser.parse_args(argv)
    try:
        text = asyncio.run(make_key(read_settings(BootstrapSettings), options.name, another=options.another))
    except ScreenalyticsError as error:
        line = {"event": "refused", "code": error.code, "reason": error.message, "hint": error.hint}
        print(json.dumps(line), file=sys.stderr)
        return error.exit_status
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
