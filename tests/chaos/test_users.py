"""Many users at once."""

from __future__ import annotations

import asyncio

from chaos import audit

from tests.chaos.conftest import Begin
from tests.sizes import sized


async def test_a_key_that_many_clients_use_at_once_makes_one_job(begin: Begin) -> None:
    clients, keys = sized(10, 50), sized(6, 40)
    async with begin(workers={}) as (system, users):
        names = [f"ep-{n}" for n in range(keys)]
        await users.register_all(names)
        asked = [(name, f"key-of-{name}") for _ in range(clients) for name in names]
        answers = await asyncio.gather(*(users.submit(name, key=key) for name, key in asked))
        made: dict[str, set[str]] = {}
        for (_, key), job_id in zip(asked, answers, strict=True):
            made.setdefault(key, set()).add(job_id)
        assert {len(job_ids) for job_ids in made.values()} == {1}
        assert len(await audit.rows(system.dsn, "SELECT 1 FROM jobs")) == keys
        assert set(users.answers) <= {200, 201, 202}
