"""Lists page by page: no gap and no double, whatever is inserted meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.integration.orchestrator.test_http import is_problem, submit, upload
from tests.integration.parts import Parts

LISTS = {"/v1/episodes": ("episodes", "ep_id"), "/v1/jobs": ("jobs", "job_id")}


async def paged(
    api: httpx.AsyncClient, path: str, between: Callable[[], Awaitable[Any]] | None = None, **query: Any
) -> list[str]:
    """Ids over all pages; `between` happens after each."""
    member, key = LISTS[path]
    found, token = [], ""
    while True:
        page = (await api.get(path, params={**query, "page_token": token})).json()
        found += [item[key] for item in page[member]]
        token = page["next_page_token"]
        if not token:
            return found
        if between is not None:
            await between()


async def many(parts: Parts, names: list[str]) -> dict[str, list[str]]:
    """Ids by list, each with a job that has ended."""
    jobs = []
    for name in names:
        await parts.upload(name)
        jobs.append(await parts.submit(ep_id=name))
        await parts.jobs.cancel(jobs[-1])
    return {"/v1/episodes": names, "/v1/jobs": jobs}


@pytest.mark.parametrize("path", LISTS)
async def test_the_union_of_pages_is_what_was_there_under_concurrent_inserts(
    api: httpx.AsyncClient, parts: Parts, path: str
) -> None:
    there = (await many(parts, [f"m{n:02}" for n in range(20)]))[path]
    inserted: list[str] = []

    async def insert() -> None:
        """Before, behind and among those that are listed."""
        for letter in ("a", "m", "z"):
            name = f"{letter}{len(inserted):02}x"
            await parts.upload(name)
            inserted.append(name if path == "/v1/episodes" else await parts.submit(ep_id=name))

    found = await paged(api, path, insert, page_size=3)
    assert len(found) == len(set(found))
    assert set(there) <= set(found) <= set(there) | set(inserted)
    assert len(inserted) > 12


async def test_inserts_at_the_same_time_lose_nothing(api: httpx.AsyncClient, parts: Parts) -> None:
    there = (await many(parts, [f"m{n:02}" for n in range(12)]))["/v1/episodes"]
    stop = asyncio.Event()

    async def insert() -> None:
        number = 0
        while not stop.is_set():
            await parts.upload(f"m{number % 12:02}-{number:04}")
            number += 1

    inserting = asyncio.create_task(insert())
    try:
        for _ in range(5):
            found = await paged(api, "/v1/episodes", page_size=2)
            assert len(found) == len(set(found))
            assert set(there) <= set(found)
    finally:
        stop.set()
        await inserting


async def test_jobs_made_at_one_moment_are_each_on_one_page(api: httpx.AsyncClient, parts: Parts) -> None:
    there = (await many(parts, [f"m{n}" for n in range(7)]))["/v1/jobs"]
    await parts.rows("UPDATE jobs SET created_at = '2026-01-01T00:00:00.123456Z'")
    assert sorted(await paged(api, "/v1/jobs", page_size=2)) == sorted(there)


async def test_a_garbled_token_or_one_of_another_query_is_a_problem_with_a_code(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await many(parts, ["a", "b", "c"])
    of_jobs = (await api.get("/v1/jobs", params={"page_size": 1})).json()["next_page_token"]
    of_episodes = (await api.get("/v1/episodes", params={"page_size": 1})).json()["next_page_token"]
    for path, query in (
        ("/v1/jobs", {"ep_id": "a", "page_token": of_jobs}),
        ("/v1/jobs", {"active": True, "page_token": of_jobs}),
        ("/v1/jobs", {"page_token": of_episodes}),
        ("/v1/episodes", {"page_token": of_jobs}),
    ):
        assert is_problem(await api.get(path, params=query), 400, "invalid-page-token"), query
    for garbled in (of_jobs[:-4], of_jobs + "AAAA", of_jobs.swapcase(), "m00", "é", "\x00"):
        answer = await api.get("/v1/jobs", params={"page_token": garbled})
        assert is_problem(answer, 400, "invalid-page-token"), garbled
        assert "next_page_token" in answer.json()["hint"]


async def test_a_page_may_be_of_another_size_than_the_one_before(api: httpx.AsyncClient, parts: Parts) -> None:
    await many(parts, ["a", "b", "c"])
    token = (await api.get("/v1/episodes", params={"page_size": 1})).json()["next_page_token"]
    rest = (await api.get("/v1/episodes", params={"page_size": 10**6, "page_token": token})).json()
    assert [e["ep_id"] for e in rest["episodes"]] == ["b", "c"]


async def test_the_older_limit_works_and_says_until_when(api: httpx.AsyncClient) -> None:
    await upload(api)
    await submit(api)
    older, newer = [await api.get("/v1/jobs", params={name: 1}) for name in ("limit", "page_size")]
    assert older.json() == newer.json()
    assert older.headers["deprecation"].startswith("@")
    assert older.headers["sunset"].endswith("GMT")
    assert "deprecation" not in newer.headers
