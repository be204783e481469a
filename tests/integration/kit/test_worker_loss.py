"""A worker whose models are lost while it works: not ready at once, its task handed back, its process ended."""

from __future__ import annotations

import pytest

from services.kit.errors import AcceleratorUnavailable, InferenceUnavailable, ScreenalyticsError
from services.kit.stages import Outcome, TaskContext
from services.orchestrator.job_request import JobKind
from tests.integration.kit.conftest import StartWorker
from tests.integration.kit.handlers import Held, work
from tests.integration.parts import Parts, until


async def is_handed_back(parts: Parts) -> bool:
    found = await parts.rows("SELECT state FROM attempts")
    return [row["state"] for row in found] == ["handed_back"]


async def test_a_loss_that_the_watch_sees_hands_the_task_back_and_another_worker_finishes_it(
    agents: Parts, start_worker: StartWorker
) -> None:
    held = Held()
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held, drain_grace_s=60) as worker:
        await until(held.is_entered)
        worker.worker.lose(AcceleratorUnavailable("the GPU is gone"))
        assert "the GPU is gone" in str(worker.worker.readiness_fault())
        with pytest.raises(AcceleratorUnavailable, match="the GPU is gone"):
            await worker.ended()
        await until(lambda: is_handed_back(agents))
    assert await agents.rows("SELECT attempts FROM tasks") == [{"attempts": 0}]
    async with start_worker(work):

        async def is_done() -> bool:
            return (await agents.states(job_id))[0] == "succeeded"

        await until(is_done)


@pytest.mark.parametrize("error", [AcceleratorUnavailable("no GPU"), InferenceUnavailable("no server")])
async def test_a_loss_that_the_handler_meets_does_not_count_as_an_attempt(
    agents: Parts, start_worker: StartWorker, error: ScreenalyticsError
) -> None:
    def meet(_: TaskContext) -> Outcome:
        raise error

    await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(meet) as worker:
        with pytest.raises(type(error)):
            await worker.ended()
        await until(lambda: is_handed_back(agents))
    assert await agents.rows("SELECT attempts FROM tasks") == [{"attempts": 0}]
