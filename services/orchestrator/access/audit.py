"""The audit log: who did or was refused what, when and from where. No body, no name of a person or a file.

A resource stands in it as a keyed hash of its name: what is erased leaves no name here, and an operator
who knows a name still finds what was done with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from prometheus_client import Counter

from services.kit.errors import SystemUnavailable
from services.orchestrator.access.api_key import is_key_id
from services.orchestrator.database import Database, Row
from services.orchestrator.keyed_hash import KeyedHash
from services.orchestrator.paging import Page, PageRequest, begin_before_number, page_of

log = logging.getLogger(__name__)

DROPPED = Counter("screenalytics_audit_entries_dropped", "Refusals that the audit log had no room for.")

_WRITE_EVERY_S = 1.0
_MOST_WAITING = 1_000
_FORGET_EVERY_S = 600.0
_BATCH = 10_000
_HASH_CHARS = 24
_PURPOSE = "audit"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    who: str
    operation: str
    resource: str
    outcome: str
    request_id: str
    remote: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


class AuditLog:
    """What changed something is written before its caller hears of it; refusals are written once a second.

    Refusals are bounded, so that callers without a credential cannot fill the database: more than a thousand a
    second are counted and dropped.
    """

    def __init__(self, database: Database, retention_days: float) -> None:
        self._database = database
        self._retention_days = retention_days
        self._waiting: deque[AuditEntry] = deque()
        self._names = KeyedHash(database, _PURPOSE)

    async def resource(self, kind: str, name: str) -> str:
        """How a resource stands in the log; a key is named by its public id."""
        if not name:
            return ""
        if kind == "keys" and is_key_id(name):
            return f"{kind}/{name}"
        _, _, digest = (await self._names.of(f"{kind}/{name}")).partition(":")
        return f"{kind}/{digest[:_HASH_CHARS]}"

    async def record(self, entries: Iterable[AuditEntry]) -> None:
        """Raises `SystemUnavailable`."""
        rows = tuple(asdict(entry) for entry in entries)
        async with self._database.transaction() as tx:
            await tx.run("insert_audit_entries", entries=rows)

    def note(self, entry: AuditEntry) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            DROPPED.inc()
            return
        self._waiting.append(entry)

    async def entries(
        self, page: PageRequest, *, who: str | None, operation: str | None, resource: str | None
    ) -> Page[Row]:
        """The newest first. `resource` as in the API's own paths, such as `episodes/film`.

        Raises `InvalidRequest`, `InvalidPageToken`.
        """
        query = {"who": who, "operation": operation, "resource": resource}
        rows = await self._database.read(
            "audit_entries",
            who=who,
            operation=operation,
            resource=None if resource is None else await self.resource(*_parted(resource)),
            before=begin_before_number(page, query),
            limit=page.limit + 1,
        )
        return page_of(rows, page, query, lambda row: (str(row["audit_id"]),))

    async def run(self) -> None:
        """Writes what was noted until it is cancelled, and then what is left."""
        forget_in_s = 0.0
        try:
            while True:
                await self.flush()
                if forget_in_s <= 0:
                    await self.forget()
                    forget_in_s = _FORGET_EVERY_S
                await asyncio.sleep(_WRITE_EVERY_S)
                forget_in_s -= _WRITE_EVERY_S
        finally:
            await self.flush()

    async def flush(self) -> None:
        taken = list(self._waiting)
        if not taken:
            return
        try:
            await self.record(taken)
        except SystemUnavailable as error:
            log.debug("audit: %s", error)  # they stay, as far as there is room
            return
        for _ in taken:
            self._waiting.popleft()

    async def forget(self) -> None:
        try:
            gone = _BATCH
            while gone == _BATCH:
                async with self._database.transaction() as tx:
                    gone = len(
                        await tx.all("forget_audit_entries", older_than_days=self._retention_days, limit=_BATCH)
                    )
        except SystemUnavailable as error:
            log.debug("audit retention: %s", error)


def _parted(resource: str) -> tuple[str, str]:
    kind, _, name = resource.partition("/")
    return kind, name
