"""An iterator pulled by a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from services.detector.read_ahead import read_ahead


def test_items_keep_their_order() -> None:
    ahead = read_ahead(iter(range(100)), is_heavy=lambda i: i % 3 == 0, depth=2, interrupt=lambda: None)
    assert list(ahead) == list(range(100))


def test_what_the_source_raises_comes_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    ahead = read_ahead(failing(), is_heavy=lambda _: True, depth=5, interrupt=lambda: None)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_no_more_heavy_items_wait_than_allowed() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    ahead = read_ahead(source(), is_heavy=lambda _: True, depth=3, interrupt=lambda: None)
    for taken, item in enumerate(ahead, 1):
        assert item == taken - 1
        assert len(made) <= taken + 3 + 1


def test_a_reader_that_leaves_interrupts_a_blocked_source() -> None:
    interrupted = Event()

    def blocked() -> Iterator[int]:
        yield 1
        interrupted.wait()

    ahead = read_ahead(blocked(), is_heavy=lambda _: True, depth=1, interrupt=interrupted.set)
    assert next(ahead) == 1
    ahead.close()
    assert interrupted.is_set()
