"""Claims: who may run a task, as which generation, and when nobody may any more."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from ulid import ULID

from services.kit import bus
from services.kit.codec import decode, encode
from services.kit.messages import ClaimReply, ClaimRequest, Decision, Task, TaskOutcome
from services.orchestrator.job_request import JobKind
from services.orchestrator.settings import JobsSettings
from tests.integration.parts import Parts, until


@pytest.fixture
async def job_id(parts: Parts) -> str:
    return await parts.submitted(JobKind.DETECT_TRACK)


@pytest.fixture
async def task(parts: Parts, job_id: str) -> Task:
    return await parts.task(job_id)


async def test_a_claim_is_answered_run_and_the_job_runs(parts: Parts, job_id: str, task: Task) -> None:
    _, reply = await parts.claim(task)
    assert reply == ClaimReply(Decision.RUN, 1)
    assert await parts.states(job_id) == ("running", ["running"])


async def test_the_same_attempt_asked_again_gets_the_same_answer_and_counts_once(
    parts: Parts, task: Task
) -> None:
    attempt_id, first = await parts.claim(task)
    _, second = await parts.claim(task, attempt_id)
    assert first == second
    assert await parts.rows("SELECT attempts, generation FROM tasks") == [{"attempts": 1, "generation": 1}]


async def test_generations_grow_with_every_attempt(parts: Parts, task: Task) -> None:
    generations = [(await parts.claim(task))[1].generation for _ in range(3)]
    assert generations == [1, 2, 3]


async def test_claims_at_once_get_generations_of_their_own(parts: Parts, task: Task) -> None:
    replies = await asyncio.gather(*(parts.claim(task) for _ in range(4)))
    assert sorted(reply.generation for _, reply in replies) == [1, 2, 3, 4]


async def test_one_attempt_asked_many_times_at_once_is_one_attempt(parts: Parts, task: Task) -> None:
    attempt_id = str(ULID())
    replies = await asyncio.gather(*(parts.claim(task, attempt_id) for _ in range(5)))
    assert {reply.generation for _, reply in replies} == {1}
    assert len(await parts.rows("SELECT 1 FROM attempts")) == 1


async def test_an_unknown_task_is_dropped(parts: Parts) -> None:
    reply = await parts.desk.claim(ClaimRequest("nobody", "a", "w"))
    assert reply.decision is Decision.DROP


async def test_a_task_of_a_cancelled_job_is_dropped(parts: Parts, job_id: str, task: Task) -> None:
    await parts.jobs.cancel(job_id)
    _, reply = await parts.claim(task)
    assert reply.decision is Decision.DROP
    assert "cancelled" in reply.reason


async def test_a_finished_task_is_dropped_while_its_run_goes_on(parts: Parts, task: Task) -> None:
    await parts.do(task)
    _, reply = await parts.claim(task)
    assert reply.decision is Decision.DROP


async def test_a_task_that_used_up_its_attempts_is_dead_and_its_job_failed(
    parts: Parts, job_id: str, task: Task
) -> None:
    for _ in range(JobsSettings().max_attempts):
        assert (await parts.claim(task))[1].decision is Decision.RUN
    assert (await parts.claim(task))[1].decision is Decision.DEAD
    assert await parts.states(job_id) == ("failed", ["failed"])
    error = (await parts.records.job(job_id))["error"]
    assert error["code"] == "stage-failed"
    assert "died without a word" in error["message"]


async def test_a_dead_letter_tells_the_last_error(parts: Parts, job_id: str, task: Task) -> None:
    for number in range(JobsSettings().max_attempts - 1):
        attempt_id, _ = await parts.claim(task)
        await parts.report(task, attempt_id, TaskOutcome.RETRY, error_message=f"disk {number} is full")
    await parts.claim(task)  # an attempt that says nothing
    assert (await parts.claim(task))[1].decision is Decision.DEAD
    error = (await parts.records.job(job_id))["error"]
    assert "disk 2 is full" in error["message"]


async def test_a_task_that_is_dead_is_dropped_from_then_on(parts: Parts, task: Task) -> None:
    for _ in range(JobsSettings().max_attempts + 1):
        await parts.claim(task)
    assert (await parts.claim(task))[1].decision is Decision.DROP


async def test_a_claim_over_the_broker_is_answered(parts: Parts, task: Task) -> None:
    await parts.desk.start()
    request = ClaimRequest(task.task_id, str(ULID()), "w")
    message = await parts.nc.request(bus.CLAIM, encode(request), timeout=5)
    assert decode(ClaimReply, message.data) == ClaimReply(Decision.RUN, 1)


async def test_bytes_that_are_no_claim_do_not_end_the_desk(parts: Parts, task: Task) -> None:
    await parts.desk.start()
    await parts.nc.publish(bus.CLAIM, b"\xff\xff")
    await parts.nc.publish(bus.CLAIM, encode(ClaimRequest("nul\x00", "nul\x00", "nul\x00")))
    message = await parts.nc.request(bus.CLAIM, encode(ClaimRequest(task.task_id, "a1", "w")), timeout=5)
    assert decode(ClaimReply, message.data).decision is Decision.RUN


async def test_a_desk_that_stops_answers_what_has_come_and_takes_no_more(parts: Parts, task: Task) -> None:
    def asked(attempt_id: str) -> asyncio.Task[Msg]:
        request = encode(ClaimRequest(task.task_id, attempt_id, "a worker"))
        return asyncio.create_task(parts.nc.request(bus.CLAIM, request, 10))

    await parts.desk.start()
    async with await psycopg.AsyncConnection.connect(parts.database.dsn) as holder:
        await holder.execute("SELECT 1 FROM jobs FOR UPDATE")
        begun = asked("first")

        async def is_in_work() -> bool:
            return bool(await parts.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

        await until(is_in_work)
        stopping = asyncio.create_task(parts.desk.stop())

        async def is_deaf() -> bool:
            try:
                await parts.nc.request(bus.CLAIM, b"", 0.1)
            except NoRespondersError:
                return True
            except NatsTimeout:
                return False
            return False

        await until(is_deaf)
        assert not stopping.done()
    await stopping
    assert decode(ClaimReply, (await begun).data) == ClaimReply(Decision.RUN, 1)
