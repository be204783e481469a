"""How much a caller may send on one day (UTC), counted over all replicas.

A replica takes from the day's account in steps, so that most calls ask nobody; what it has not used when it
ends is lost to the caller for that day.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from services.kit.errors import RateLimited
from services.orchestrator.access.principal import Principal
from services.orchestrator.database import Database

_STEP_BYTES = 64 << 20


class UploadAllowance:
    """A limit of 0 limits nobody."""

    def __init__(self, database: Database, bytes_per_day: int) -> None:
        self._database = database
        self._bytes_per_day = bytes_per_day
        self._in_hand: dict[str, int] = {}
        self._day = datetime.now(UTC).date()

    async def take(self, who: str, size_bytes: int) -> None:
        """Raises `RateLimited`, and then has taken nothing."""
        if self._bytes_per_day == 0 or size_bytes == 0:
            return
        await self._begin_day()
        while size_bytes > (in_hand := self._in_hand.get(who, 0)):
            granted = await self._granted(who, size_bytes - in_hand)
            if granted == 0:
                raise self._used_up()
            self._in_hand[who] = self._in_hand.get(who, 0) + granted
        self._in_hand[who] = in_hand - size_bytes

    def give_back(self, who: str, size_bytes: int) -> None:
        """What was taken and then not sent."""
        if self._bytes_per_day and size_bytes > 0:
            self._in_hand[who] = self._in_hand.get(who, 0) + size_bytes

    async def _granted(self, who: str, needed: int) -> int:
        async with self._database.transaction() as tx:
            await tx.run("begin_upload_day", who=who, day=self._day)
            row = await tx.one(
                "take_upload_bytes",
                who=who,
                day=self._day,
                needed=needed,
                wanted=max(needed, _STEP_BYTES),
                most=self._bytes_per_day,
            )
        return 0 if row is None else int(row["granted"])

    async def _begin_day(self) -> None:
        today = datetime.now(UTC).date()
        if today != self._day:
            self._day = today
            self._in_hand.clear()
            async with self._database.transaction() as tx:
                await tx.run("forget_upload_days", before=today)

    def _used_up(self) -> RateLimited:
        midnight = datetime.combine(self._day + timedelta(days=1), time(), UTC)
        return RateLimited(
            f"this caller may send {self._bytes_per_day} bytes on one day, and has less than this left",
            retry_after_s=max(1.0, (midnight - datetime.now(UTC)).total_seconds()),
            hint="send it tomorrow (UTC), or let an operator raise SCREENALYTICS_ACCESS__UPLOAD_BYTES_PER_DAY",
        )


class BytesBrought:
    """What one call sends, or has the system fetch: what is announced at once, the rest as it comes."""

    def __init__(self, allowance: UploadAllowance, caller: Principal) -> None:
        self._allowance = allowance
        self._caller = caller
        self._come = 0
        self._taken = 0

    async def announce(self, size_bytes: int) -> None:
        """Raises `RateLimited`."""
        if not self._caller.is_anyone:
            await self._allowance.take(self._caller.name, size_bytes)
            self._taken += size_bytes

    async def add(self, size_bytes: int) -> None:
        """Raises `RateLimited`."""
        self._come += size_bytes
        if self._come > self._taken:
            await self.announce(self._come - self._taken)

    def end(self) -> None:
        """What was announced and did not come is given back."""
        if not self._caller.is_anyone:
            self._allowance.give_back(self._caller.name, self._taken - self._come)
