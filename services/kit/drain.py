"""How a worker ends: told to, or without what its models run on; what it has in hand gets some time first."""

from __future__ import annotations

import asyncio
from time import monotonic

from services.kit.errors import ScreenalyticsError


class Drain:
    """`stop`: whoever sets it tells the worker to end. `lost`: the first thing whose loss ended it."""

    def __init__(self, grace_s: float) -> None:
        self.stop = asyncio.Event()
        self.lost: ScreenalyticsError | None = None
        self._grace_s = grace_s
        self._grace_ends_at: float | None = None

    def lose(self, error: ScreenalyticsError) -> None:
        """There is nothing to end work with, so there is no grace."""
        self.lost = self.lost or error
        self._grace_ends_at = monotonic()
        self.stop.set()

    def has_spent_grace(self) -> bool:
        """Whether the time is over in which a worker that was told to stop may end what it has in hand."""
        if not self.stop.is_set():
            return False
        if self._grace_ends_at is None:
            self._grace_ends_at = monotonic() + self._grace_s
        return monotonic() >= self._grace_ends_at
