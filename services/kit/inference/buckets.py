"""Batches of few fixed sizes. Pure.

A GPU runtime plans, compiles or searches kernels anew for every input shape it meets, so batches are padded up
to the next of a few sizes, and what is larger than the largest is cut. On the CPU padding would be work for
nothing, and images of a batch push each other out of the caches, so there they run one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_BATCH = 64
CPU_BATCH = 1  # measured by bench/inference.py: a detector needs a fifth less CPU than in batches of eight


@dataclass(frozen=True, slots=True)
class Piece:
    """Items `start` to `stop` of a batch, run as a batch of `size`."""

    start: int
    stop: int
    size: int


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `largest`."""
    powers = [1 << exponent for exponent in range(largest.bit_length()) if 1 << exponent < largest]
    return (*powers, largest)


def pieces(count: int, largest: int, *, is_padded: bool) -> Iterator[Piece]:
    """How `count` items are run when at most `largest` go at once."""
    sizes = bucket_sizes(largest)
    for start in range(0, count, largest):
        stop = min(start + largest, count)
        held = stop - start
        yield Piece(start, stop, next(size for size in sizes if size >= held) if is_padded else held)
