"""Erasing episodes, and the trash before it.

An erasure removes every row in one transaction, so that the episode is gone for every reader at once; the
`Eraser` then removes files and messages until nothing can follow. Its receipt says how far that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import psycopg
from ulid import ULID

from services.kit import bus
from services.kit.errors import Conflict, NotFound, SystemUnavailable
from services.orchestrator.database import Database, Row, Transaction, as_json
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.lifecycle import TERMINAL
from services.orchestrator.settings import RetentionSettings
from services.orchestrator.transitions import cancel_job

_TRIES = 5
_DAY_S = 86_400.0
_SHOWN = ("erasure_id", "state", "reason", "ep_id_hash", "counts", "open_attempts", "unemptied_streams")
_TRASHED = ("ep_id", "episode_uid", "trashed_at", "purge_at")
_TIMES = ("requested_at", "settled_at", "done_at")


class ErasureReason(StrEnum):
    REQUESTED = "requested"
    TRASH = "trash"  # its time in the trash is over
    RETENTION = "retention"  # it is older than episodes are kept


class Erasures:
    def __init__(self, database: Database, names: KeyedHash, retention: RetentionSettings) -> None:
        self._database = database
        self._names = names
        self._retention = retention

    async def erase(self, ep_id: str) -> dict[str, Any]:
        """The receipt of the erasure of everything that was ever uploaded under the name and made of it.

        Asked again while it is pending, the same receipt. Raises `NotFound`.
        """
        hashed = await self._names.of(ep_id)
        async with self._database.transaction() as tx:
            uids = [row["episode_uid"] for row in await tx.all("uploads_of_name", ep_id=ep_id)]
        erasure_id = await self.erase_uploads(uids, hashed, ErasureReason.REQUESTED) if uids else None
        if erasure_id is None:
            rows = await self._database.read("pending_erasure_of_name", ep_id_hash=hashed)
            if not rows:
                raise NotFound(f"no episode {ep_id!r}")
            erasure_id = str(rows[0]["erasure_id"])
        return await self.get(erasure_id)

    async def get(self, erasure_id: str) -> dict[str, Any]:
        """Raises `NotFound`."""
        rows = await self._database.read("get_erasure", erasure_id=erasure_id)
        if not rows:
            raise NotFound(f"no erasure {erasure_id!r}")
        return {name: as_json(rows[0][name]) for name in (*_SHOWN, *_TIMES)}

    async def erase_uploads(
        self, episode_uids: Sequence[str], ep_id_hash: str, reason: ErasureReason
    ) -> str | None:
        """The erasure's id; None when another one was first."""
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._database.transaction() as tx:
                    return await _erase(tx, list(episode_uids), ep_id_hash, reason)
            except SystemUnavailable as error:
                # Somebody took the same locks the other way round; Postgres has refused one of the two.
                if not tries_left or not isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
                    raise
        return None

    async def trash(self, ep_id: str) -> dict[str, Any]:
        """Hides the episode from readers and cancels its jobs, until it is restored or its time is over.

        Raises `NotFound`.
        """
        keep_s = self._retention.trash_days * _DAY_S or None
        async with self._database.transaction() as tx:
            known = await tx.one("named_episode", ep_id=ep_id)
            if known is None:
                raise NotFound(f"no episode {ep_id!r}")
            uid = known["episode_uid"]
            for job in await tx.all("lock_jobs_of_episodes", episode_uids=[uid]):
                if job["state"] not in TERMINAL:
                    await cancel_job(tx, job)
            await tx.run("trash_episode", episode_uid=uid, keep_s=keep_s)
            trashed = await tx.one("named_episode", ep_id=ep_id)
        if trashed is None:
            raise NotFound(f"no episode {ep_id!r}")
        return {name: as_json(trashed[name]) for name in _TRASHED}

    async def restore(self, ep_id: str) -> Row:
        """Raises `NotFound`, and `Conflict` for an episode that is not in the trash."""
        async with self._database.transaction() as tx:
            row = await tx.one("restore_episode", ep_id=ep_id)
            if row is None and await tx.one("named_episode", ep_id=ep_id):
                raise Conflict(f"episode {ep_id} is not in the trash")
        if row is None:
            raise NotFound(f"no episode {ep_id!r}", hint="what was erased cannot be restored")
        return row


async def _erase(
    tx: Transaction, episode_uids: list[str], ep_id_hash: str, reason: ErasureReason
) -> str | None:
    await tx.all("lock_jobs_of_episodes", episode_uids=episode_uids)
    episode_uids = [row["episode_uid"] for row in await tx.all("lock_episodes", episode_uids=episode_uids)]
    if not episode_uids:
        return None
    # A job that was submitted in between is there now, and after the lock of its episode none can follow.
    job_ids = [row["job_id"] for row in await tx.all("lock_jobs_of_episodes", episode_uids=episode_uids)]
    counts = await tx.one("count_of_episodes", episode_uids=episode_uids, job_ids=job_ids)
    assert counts is not None
    erasure_id = str(ULID())
    await tx.run(
        "insert_erasure",
        erasure_id=erasure_id,
        reason=reason,
        ep_id_hash=ep_id_hash,
        counts={**counts, "objects": 0, "messages": 0},
        episode_uids=episode_uids,
        job_ids=job_ids,
        unemptied_streams=[bus.TASKS_STREAM, bus.RESULTS_STREAM] if job_ids else [],
    )
    await tx.run("keep_open_attempts", erasure_id=erasure_id, job_ids=job_ids)
    await tx.run("forget_unsent", job_ids=job_ids)
    await tx.run("delete_episodes", episode_uids=episode_uids)
    await tx.run("tell_of_erased_jobs", job_ids=job_ids)
    return erasure_id
