"""Whole systems that are broken on purpose, in a quick form and, with SCREENALYTICS_TEST__CHAOS=full, as claimed.

The quick form has fewer jobs, and waits that hang on the broker's patience are a tenth as long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chaos import audit
from chaos.load import Users
from chaos.system import ChaosSystem, Shape

from tests.sizes import IS_FULL

SCALE = 1.0 if IS_FULL else 0.1
_TIMEOUT_S = 3_600 if IS_FULL else 900  # whole systems share the machine with whatever else runs

Begin = Callable[..., AbstractAsyncContextManager[tuple[ChaosSystem, Users]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chaos" in item.path.parts:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """A running system and its users; the fields of `Shape` may be given."""

    @asynccontextmanager
    async def begin(**fields: Any) -> AsyncIterator[tuple[ChaosSystem, Users]]:
        shape = replace(Shape(scale=SCALE, fsync=IS_FULL), **fields)
        async with ChaosSystem(tmp_path / "system", shape).running() as system:
            users = Users(system.urls)
            try:
                yield system, users
            finally:
                await users.close()

    return begin


async def finished(system: ChaosSystem, *, within_s: float = 120) -> None:
    """Waits until no job is active; the waits of a full run may be long ones."""

    async def is_over() -> bool:
        return await audit.unfinished_jobs(system.dsn) == 0

    assert await audit.until(is_over, within_s=within_s if not IS_FULL else 20 * within_s)


async def assert_exact(system: ChaosSystem, jobs: int) -> None:
    """Every job succeeded with every task taken in once, and nothing is left over."""

    async def is_settled() -> bool:
        return await audit.unsent_outbox(system.dsn) == 0

    assert await audit.until(is_settled, within_s=30)
    assert await audit.lost_jobs(system.dsn, jobs) == []
    assert await audit.duplicates(system.dsn) == []
