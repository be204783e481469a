"""Why a job is as it is: one sentence that says what it waits for or why it ended, and the next step. Pure.

The cases stand in one order, the first that holds answers; tests/unit/test_orchestrator_why.py is their table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.kit import bus
from services.orchestrator.job_facts import JobFacts, TaskFacts
from services.orchestrator.lifecycle import State

_UNSENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Why:
    """`case` is stable, for programs; `sentence` and `next_step` are for people."""

    case: str
    sentence: str
    next_step: str


def why(job: JobFacts) -> Why:
    match job.state:
        case State.SUCCEEDED:
            return _succeeded(job)
        case State.CANCELLED:
            return _cancelled(job)
        case State.FAILED:
            return _failed(job)
        case _:
            return _active(job)


# -- ended jobs ---------------------------------------------------------------------------------


def _succeeded(job: JobFacts) -> Why:
    if job.empty_stage:
        return Why(
            "zero-rows",
            f"It succeeded: {job.empty_stage} found nothing, so there was nothing to do after it.",
            "See whether faces are in the video and large enough, or run it again with a lower stride.",
        )
    results = f"See the results: screenalytics export {job.ep_id} --out FOLDER"
    if job.reused:
        return Why(
            "reused",
            "It succeeded at once: an equal run had left its results, which were used again.",
            f"{results}; force works anew.",
        )
    took = "" if job.runtime_s is None else f" after {_span(job.runtime_s)}"
    return Why("succeeded", f"It succeeded{took}.", f"{results}.")


def _cancelled(job: JobFacts) -> Why:
    done = f", with {job.tasks_done} of {job.tasks_total} tasks of {job.stage} done" if job.tasks_done else ""
    step = "Go on from there" if job.tasks_done else "Start it again"
    return Why("cancelled", f"It was cancelled{done}.", f"{step}: screenalytics resume {job.job_id}")


_BY_CODE: dict[str, Callable[[JobFacts], Why]] = {
    "invalid-media": lambda job: Why(
        "invalid-media",
        f"It failed: the video cannot be used ({job.error}).",
        "Register a video that plays from its start to its end, then submit a new job.",
    ),
    "accelerator-unavailable": lambda job: Why(
        "no-worker-in-time",
        f"It failed: {job.error}.",
        f"Start a worker of {job.stage} on {job.provider}, then: screenalytics resume {job.job_id}; "
        "or submit it for the CPU with --device cpu.",
    ),
    "model-unusable": lambda job: Why(
        "model-unusable",
        f"It failed: a model cannot be used ({job.error}).",
        f"Put the file of the catalog in place, then: screenalytics resume {job.job_id}",
    ),
    "insufficient-disk": lambda job: Why(
        "no-room",
        f"It failed: {job.error}.",
        f"Free some space, then: screenalytics resume {job.job_id}",
    ),
    "conflict": lambda job: Why(
        "replaced", f"It failed: {job.error}.", f"Submit a new job for episode {job.ep_id}."
    ),
}


def _failed(job: JobFacts) -> Why:
    if job.error_code in _BY_CODE:
        return _BY_CODE[job.error_code](job)
    error = job.error or "no reason was given"
    where = "" if error.startswith(job.stage) else f" in {job.stage}"
    return Why(
        "stage-failed",
        f"It failed{where}: {error}.",
        f"See what was said: screenalytics logs {job.job_id}; "
        f"then go on from what is done: screenalytics resume {job.job_id}",
    )


# -- jobs that are not over ----------------------------------------------------------------------


def _active(job: JobFacts) -> Why:
    for case in (_unsent, _silent, _between_attempts, _working, _unserved, _draining, _behind_others):
        if (answer := case(job)) is not None:
            return answer
    return Why(
        "about-to-be-taken",
        f"Its next task of {job.stage} is in the queue, and a worker is free to take it.",
        "Wait some seconds.",
    )


def _unsent(job: JobFacts) -> Why | None:
    unsent = [t.unsent_s for t in job.open_tasks if t.unsent_s is not None and t.unsent_s > _UNSENT_S]
    if not unsent:
        return None
    return Why(
        "unsent",
        f"It waits for the message broker, which has not taken its task for {_span(max(unsent))}.",
        "See whether NATS runs and has room: the task is sent as soon as it does.",
    )


def _silent(job: JobFacts) -> Why | None:
    """A worker at work is heard every few seconds; the broker gives the task of a silent one to another."""
    for task in job.open_tasks:
        attempt = task.attempt
        if attempt is None or attempt.state != "open":
            continue
        if attempt.silent_s is None or attempt.silent_s > bus.WORKER_EXPIRY_S:
            heard = (
                "was never heard"
                if attempt.silent_s is None
                else f"was last heard {_span(attempt.silent_s)} ago"
            )
            return Why(
                "worker-silent",
                f"Its worker {attempt.worker_id} {heard}; another takes {_name(job, task)} over.",
                f"Wait: it goes on by itself where a worker of {job.stage} on {job.provider} is free.",
            )
    return None


def _between_attempts(job: JobFacts) -> Why | None:
    """Nothing is worked on, and the newest attempt has ended."""
    attempts = [(task, task.attempt) for task in job.open_tasks if task.attempt is not None]
    if not attempts or any(attempt.state == "open" for _, attempt in attempts):
        return None
    if not _is_served(job):
        return None
    task, attempt = max(attempts, key=lambda pair: pair[1].generation)
    if attempt.state == "handed_back":
        return Why(
            "handed-back",
            f"The worker of {_name(job, task)} was stopped and handed it back; it waits for another.",
            "Wait: a free worker takes it, and no attempt was counted.",
        )
    return Why(
        "tries-again",
        f"Attempt {task.attempts} of {task.max_attempts} at {_name(job, task)} failed "
        f"({attempt.error or 'without a word'}), and the next one is due.",
        f"Wait, or see what was said: screenalytics logs {job.job_id}",
    )


def _working(job: JobFacts) -> Why | None:
    if not any(t.attempt is not None and t.attempt.state == "open" for t in job.open_tasks):
        return None
    again = max((t.attempts for t in job.open_tasks), default=0)
    tries = f" (attempt {again})" if again > 1 else ""
    return Why(
        "working",
        f"It works on {job.stage}{tries}{_how_far(job)}.",
        f"Wait, or watch it: screenalytics logs -f {job.job_id}",
    )


def _unserved(job: JobFacts) -> Why | None:
    if _is_served(job) or any(worker.state == "draining" for worker in job.workers):
        return None
    route = f"{job.stage} on {job.provider}"
    step = (
        f"Start one, or cancel the job and submit it for another device; "
        f"without one it fails after {_span(job.queue_timeout_s)}."
    )
    refusals = [worker.reason for worker in job.workers if worker.state == "refused"]
    if refusals:
        return Why(
            "worker-refused",
            f"It waits for a worker of {route}, and the one that tried refused to start: {refusals[0]}.",
            step,
        )
    return Why("no-worker", f"It waits for a worker of {route}, and none is running.", step)


def _draining(job: JobFacts) -> Why | None:
    if _is_served(job):
        return None
    return Why(
        "workers-stopping",
        f"It waits for a worker of {job.stage} on {job.provider}: those that were there are stopping.",
        "Wait for their successors, or start a worker.",
    )


def _behind_others(job: JobFacts) -> Why | None:
    if any(worker.state == "ready" for worker in job.workers):
        return None
    busy = sum(worker.state == "busy" for worker in job.workers)
    ahead = f", and {_count(job.ahead, 'task')} of other jobs came first" if job.ahead else ""
    return Why(
        "workers-busy",
        f"It waits for its turn: {_count(busy, 'worker')} of {job.stage} on {job.provider} "
        f"{'is' if busy == 1 else 'are'} busy{ahead}.",
        "Wait, or start more workers.",
    )


# -- words ---------------------------------------------------------------------------------------


def _is_served(job: JobFacts) -> bool:
    return any(worker.state in ("ready", "busy") for worker in job.workers)


def _name(job: JobFacts, task: TaskFacts) -> str:
    return f"segment {task.ordinal} of {job.stage}" if task.kind == "segment" else f"{task.kind} of {job.stage}"


def _how_far(job: JobFacts) -> str:
    if job.progress is None:
        return ""
    eta = job.progress.get("eta_s")
    left = "" if eta is None else f", about {_span(eta)} left"
    return f": {job.progress['phase']}, {job.progress['fraction']:.0%} done{left}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"
