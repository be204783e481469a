"""Token buckets, one a caller: a rate that is kept on average, with a burst that is let through at once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_MOST_CALLERS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


class CallRate:
    """Of one process: each replica counts for itself. A rate of 0 limits nobody."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, caller: str, now_s: float) -> float:
        """0 when the caller may go on, which takes a token; else how long until one is there."""
        if self._per_second == 0:
            return 0.0
        bucket = self._buckets.setdefault(caller, _Bucket(self._burst, now_s))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)  # the one that has called least lately
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.filled_at_s) * self._per_second)
        bucket.filled_at_s = now_s
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self._per_second
