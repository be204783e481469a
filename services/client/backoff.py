"""How long to wait between tries, and when to give up."""

from __future__ import annotations

import random
import time

_FIRST_S = 0.1
_LONGEST_S = 2.0


class Backoff:
    """Exponential pauses with jitter (AWS "full jitter" halved), within a budget that starts at once."""

    def __init__(self, budget_s: float) -> None:
        self._deadline = time.monotonic() + budget_s
        self._next_s = _FIRST_S

    def pause(self, *, at_least_s: float = 0.0) -> bool:
        """Wait before the next try; False, without waiting, when the budget does not reach for that."""
        left_s = self._deadline - time.monotonic()
        if left_s <= at_least_s:
            return False
        time.sleep(min(left_s, at_least_s + self._next_s * random.uniform(0.5, 1.0)))
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        return True
