"""A submit that is said twice is one job, however it is said twice."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from services.kit.errors import Conflict, IdempotencyKeyReused
from services.orchestrator.idempotency import Origin
from services.orchestrator.job_request import JobRequest
from tests.integration.parts import Parts

CPU = {"ep_id": "show", "device": "cpu"}


async def post(api: httpx.AsyncClient, key: str | None = None, **fields: object) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.post("/v1/jobs", json=CPU | fields, headers=headers)


async def test_the_same_key_answers_the_same_job_while_it_runs_and_after(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await parts.upload()
    first, second = await post(api, "k1"), await post(api, "k1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["job_id"] == second.json()["job_id"]
    await parts.jobs.cancel(first.json()["job_id"])
    third = (await post(api, "k1")).json()
    assert (third["job_id"], third["state"]) == (first.json()["job_id"], "cancelled")


async def test_the_same_key_with_another_body_is_unprocessable_and_names_its_job(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await parts.upload()
    job_id = (await post(api, "k1")).json()["job_id"]
    answer = await post(api, "k1", profile="low_power")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    body = answer.json()
    assert (body["code"], body["job_id"]) == ("idempotency-key-reused", job_id)
    assert "new key" in body["hint"]


async def test_what_a_body_leaves_out_is_the_same_as_its_default(api: httpx.AsyncClient, parts: Parts) -> None:
    await parts.upload()
    first = await post(api, "k1", overrides={"stride": 4})
    second = await post(api, "k1", overrides={"stride": 4}, profile="balanced", kind="pipeline", force=False)
    assert first.json()["job_id"] == second.json()["job_id"]


async def test_a_quoted_key_is_the_key_without_its_quotes(api: httpx.AsyncClient, parts: Parts) -> None:
    await parts.upload()
    assert (await post(api, '"k1"')).json()["job_id"] == (await post(api, "k1")).json()["job_id"]


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "\xe9"])
async def test_a_key_that_is_none_is_bad_input(api: httpx.AsyncClient, parts: Parts, key: str) -> None:
    await parts.upload()
    answer = await api.post("/v1/jobs", json=CPU, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")


async def test_without_the_key_or_with_another_a_second_submit_conflicts(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    await parts.upload()
    job_id = (await post(api, "k1")).json()["job_id"]
    for key in (None, "k2"):
        answer = await post(api, key)
        assert (answer.status_code, answer.json()["job_id"]) == (409, job_id)


async def test_two_hundred_at_once_with_one_key_are_one_job(api: httpx.AsyncClient, parts: Parts) -> None:
    await parts.upload()
    answers = await asyncio.gather(*(post(api, "k1") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert len(await parts.rows("SELECT 1 FROM jobs")) == 1
    assert len(await parts.rows("SELECT 1 FROM outbox")) == 1


async def test_a_key_that_was_refused_can_be_used_for_what_is_then_accepted(parts: Parts) -> None:
    running = await parts.submitted()
    request = JobRequest("show", device="cpu")  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        await parts.jobs.submit(request, submitted_by="a test", origin=Origin("k1"))
    await parts.jobs.cancel(running)
    assert await parts.jobs.submit(request, submitted_by="a test", origin=Origin("k1")) != running


async def test_a_retry_may_be_said_twice_and_is_no_submit_of_the_same_body(parts: Parts) -> None:
    ended = await parts.submitted()
    await parts.jobs.cancel(ended)
    first, second = [
        await parts.successors.retry(ended, submitted_by="a test", idempotency_key="k1") for _ in range(2)
    ]
    assert first == second
    with pytest.raises(IdempotencyKeyReused):
        await parts.successors.resume(ended, submitted_by="a test", idempotency_key="k1")
