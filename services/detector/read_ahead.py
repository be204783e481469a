"""An iterator pulled by a thread of its own, so that producing and consuming overlap."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Semaphore
from typing import TypeVar

T = TypeVar("T")


def read_ahead(
    items: Iterator[T], *, is_heavy: Callable[[T], bool], depth: int, interrupt: Callable[[], None]
) -> Generator[T, None, None]:
    """`items` in order, with at most about `depth` heavy ones waiting; light ones are free.

    When the reader leaves early, `interrupt` must make a pull that is blocked end. What `items` raises is
    raised to the reader, after the items before it.
    """
    waiting: SimpleQueue[T | None] = SimpleQueue()
    room, is_over = Semaphore(depth), Event()

    def pull() -> None:
        try:
            for item in items:
                waiting.put(item)
                if is_heavy(item):
                    room.acquire()
                if is_over.is_set():
                    return
        finally:
            waiting.put(None)

    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as executor:
        pulled = executor.submit(pull)
        try:
            while (item := waiting.get()) is not None:
                if is_heavy(item):
                    room.release()
                yield item
            pulled.result()
        finally:
            is_over.set()
            room.release()
            interrupt()
