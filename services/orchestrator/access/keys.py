"""API keys as they stand in Postgres, and whom a presented one stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from services.kit.errors import Conflict, InvalidRequest, NotFound, Unauthenticated
from services.orchestrator.access.api_key import (
    digest,
    is_one_of,
    key_text,
    new_key_id,
    new_secret,
    presented,
)
from services.orchestrator.access.principal import Principal
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.operations import Scope

_TOUCH_EVERY_S = 60.0
_MOST_REMEMBERED = 10_000
_LONGEST_OVERLAP = timedelta(days=90)
_NO_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """`text` is shown once and kept nowhere."""

    row: Row
    text: str


class ApiKeys:
    """Rows are remembered for `remember_s`: that long another replica may go on taking a revoked key."""

    def __init__(self, database: Database, *, remember_s: float) -> None:
        self._database = database
        self._remember_s = remember_s
        self._remembered: dict[str, tuple[float, Row]] = {}
        self._changes = 0  # of keys, as this replica has made them
        self._touched_at: dict[str, float] = {}

    async def create(
        self, name: str, scopes: frozenset[Scope], *, created_by: str, expires_at: datetime | None = None
    ) -> IssuedKey:
        """Raises `InvalidRequest`."""
        _check(name, scopes, expires_at)
        async with self._database.transaction() as tx:
            return await _issue(tx, name, scopes, created_by=created_by, expires_at=expires_at)

    async def create_first(self, name: str) -> IssuedKey:
        """A key that may do everything. Raises `Conflict` where one that may make others is there."""
        _check(name, frozenset(Scope), None)
        async with self._database.transaction() as tx:
            await tx.run("lock_api_keys")
            found = await tx.one("usable_admin_key")
            if found is not None:
                raise Conflict(
                    f"the key {found['key_id']} may make others already",
                    hint="use it, or make another one with --another",
                )
            return await _issue(tx, name, frozenset(Scope), created_by="bootstrap", expires_at=None)

    async def list(self) -> list[Row]:
        return await self._database.read("api_keys")

    async def revoke(self, key_id: str) -> Row:
        """Raises `NotFound`. A second time changes nothing."""
        async with self._database.transaction() as tx:
            row = await tx.one("revoke_api_key", key_id=key_id)
        self._forget(key_id)
        if row is None:
            raise NotFound(f"no key {key_id!r}")
        return row

    async def rotate(self, key_id: str, *, overlap: timedelta) -> IssuedKey:
        """A new secret; that of now works on for `overlap`. Raises `NotFound`, `Conflict`, `InvalidRequest`."""
        if not timedelta(0) <= overlap <= _LONGEST_OVERLAP:
            raise InvalidRequest(f"an overlap is 0 to {_LONGEST_OVERLAP.days} days")
        secret = new_secret()
        async with self._database.transaction() as tx:
            row = await tx.one(
                "rotate_api_key_if_usable",
                key_id=key_id,
                secret_sha256=digest(secret),
                overlap_s=overlap.total_seconds(),
            )
        self._forget(key_id)
        if row is None:
            if await self._database.read("api_key", key_id=key_id):
                raise Conflict(f"the key {key_id} is revoked or has expired", hint="make a new key")
            raise NotFound(f"no key {key_id!r}")
        return IssuedKey(row, key_text(key_id, secret))

    async def principal(self, text: str) -> Principal:
        """Whom a key stands for. Raises `Unauthenticated`, with the same words whatever is wrong with it."""
        key = presented(text)
        row = None if key is None else await self._row(key.key_id)
        now = datetime.now(UTC)
        known = [_NO_KEY] if row is None else _secrets(row, now)
        is_right = key is not None and is_one_of(key.secret_sha256, known)
        if row is None or not is_right or not _is_usable(row, now):
            raise Unauthenticated(
                "the key is not valid", hint="it is unknown, revoked or expired; ask an admin for a new one"
            )
        await self._touch(row["key_id"])
        return Principal(f"key:{row['key_id']}", frozenset(map(Scope, row["scopes"])))

    async def _row(self, key_id: str) -> Row | None:
        until, row = self._remembered.get(key_id, (0.0, None))
        if row is not None and monotonic() < until:
            return row
        changes = self._changes
        found = await self._database.read("api_key", key_id=key_id)
        if not found:
            return None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        if changes == self._changes:  # else it may have been read before the change
            self._remembered[key_id] = (monotonic() + self._remember_s, found[0])
        return found[0]

    def _forget(self, key_id: str) -> None:
        self._changes += 1
        self._remembered.pop(key_id, None)

    async def _touch(self, key_id: str) -> None:
        """At most once a minute: a call must not cost a write."""
        now_s = monotonic()
        if now_s - self._touched_at.get(key_id, -_TOUCH_EVERY_S) < _TOUCH_EVERY_S:
            return
        self._touched_at[key_id] = now_s
        async with self._database.transaction() as tx:
            await tx.run("touch_api_key", key_id=key_id)


async def _issue(
    tx: Transaction, name: str, scopes: frozenset[Scope], *, created_by: str, expires_at: datetime | None
) -> IssuedKey:
    while True:  # an id that is taken, one time in a trillion
        key_id, secret = new_key_id(), new_secret()
        row = await tx.one(
            "insert_api_key",
            key_id=key_id,
            key_name=name,
            scopes=sorted(scopes),
            secret_sha256=digest(secret),
            created_by=created_by,
            expires_at=expires_at,
        )
        if row is not None:
            return IssuedKey(row, key_text(key_id, secret))


def _check(name: str, scopes: frozenset[Scope], expires_at: datetime | None) -> None:
    if not name.isprintable() or not 1 <= len(name) <= 100:
        raise InvalidRequest("the name of a key is 1 to 100 printable characters")
    if not scopes:
        raise InvalidRequest("a key needs a scope", hint=f"one or more of {', '.join(Scope)}")
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidRequest("expires_at needs a time zone, such as Z")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest("expires_at is over")


def _secrets(row: Row, now: datetime) -> list[bytes]:
    is_overlapping = row["previous_until"] is not None and row["previous_until"] > now
    return [row["secret_sha256"], row["previous_sha256"] if is_overlapping else _NO_KEY]


def _is_usable(row: Row, now: datetime) -> bool:
    return row["revoked_at"] is None and (row["expires_at"] is None or row["expires_at"] > now)
