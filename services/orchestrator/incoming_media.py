"""Videos on their way into the store: noted before their first byte, so that what a crash leaves is removed."""

from __future__ import annotations

import asyncio

from services.kit.errors import InvalidRequest
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database, Row, Transaction

_LONGEST_S = 86_400.0  # that the bytes of one request may take


async def expect_media(tx: Transaction, prefix: str) -> None:
    """Nothing else may ever lie below `prefix`."""
    await tx.run("expect_media", prefix=prefix)


async def take_in_media(tx: Transaction, prefix: str, ep_id: str) -> Row | None:
    """The episode of that name, if there is one; what lies below `prefix` stays.

    Raises `InvalidRequest` where it was given up meanwhile.
    """
    taken, named = await tx.together(("take_in_media", {"prefix": prefix}), ("named_episode", {"ep_id": ep_id}))
    if not taken:
        raise InvalidRequest(
            f"the video took longer than {_LONGEST_S / 3_600:.0f} hours to come", hint="send it in parts (tus)"
        )
    return named[0] if named else None


async def give_up_media(database: Database, store: ObjectStore, *, older_than_s: float = _LONGEST_S) -> int:
    """How many there were whose request is long over, also half-written. Several replicas may do it at once."""
    given_up = 0
    while True:
        async with database.transaction() as tx:
            row = await tx.one("give_up_media", older_than_s=older_than_s)
            if row is None:
                return given_up
            await asyncio.to_thread(store.delete_prefix, row["prefix"])
        given_up += 1
