"""The table of cases behind `screenalytics why`: what is known, and the sentence that follows."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

import pytest

from services.orchestrator import why as module
from services.orchestrator.job_facts import AttemptFacts, JobFacts, TaskFacts, WorkerFacts
from services.orchestrator.lifecycle import State
from services.orchestrator.why import why

QUEUED = JobFacts("j1", "show", State.QUEUED, "detect_track", "cuda", queue_timeout_s=3600)
RUNNING = replace(QUEUED, state=State.RUNNING)
FAILED = replace(QUEUED, state=State.FAILED)
DONE = replace(QUEUED, state=State.SUCCEEDED, stage="cluster")
READY, BUSY, DRAINING = WorkerFacts("ready"), WorkerFacts("busy"), WorkerFacts("draining")
PLAN = TaskFacts("plan", 0, max_attempts=4)


def at_work(state: str = "open", **fields: Any) -> AttemptFacts:
    return replace(AttemptFacts(state, 1, "w1", silent_s=1.0), **fields)


def segment(ordinal: int, attempt: AttemptFacts | None = None, **fields: Any) -> TaskFacts:
    return replace(TaskFacts("segment", ordinal, attempts=1, max_attempts=4, attempt=attempt), **fields)


PROGRESS = {"phase": "detect", "fraction": 0.42, "eta_s": 75.0}

# (what is known, the case, what the sentence says, what the next step says)
CASES: list[tuple[JobFacts, str, str, str]] = [
    # -- it waits
    (
        replace(QUEUED, open_tasks=[PLAN]),
        "no-worker",
        "a worker of detect_track on cuda, and none is running",
        "it fails after 60 min",
    ),
    (
        replace(QUEUED, open_tasks=[PLAN], workers=[WorkerFacts("refused", "no CUDA device")]),
        "worker-refused",
        "refused to start: no CUDA device",
        "cancel the job",
    ),
    (
        replace(QUEUED, open_tasks=[PLAN], workers=[WorkerFacts("refused", "no CUDA device"), READY]),
        "about-to-be-taken",
        "a worker is free",
        "Wait",
    ),
    (
        replace(QUEUED, open_tasks=[PLAN], workers=[DRAINING]),
        "workers-stopping",
        "those that were there are stopping",
        "start a worker",
    ),
    (
        replace(QUEUED, open_tasks=[PLAN], workers=[BUSY]),
        "workers-busy",
        "1 worker of detect_track on cuda is busy.",
        "more workers",
    ),
    (
        replace(QUEUED, open_tasks=[PLAN], workers=[BUSY, BUSY], ahead=3),
        "workers-busy",
        "2 workers of detect_track on cuda are busy, and 3 tasks of other jobs came first",
        "more workers",
    ),
    (
        replace(QUEUED, open_tasks=[replace(PLAN, unsent_s=2.0)], workers=[READY]),
        "about-to-be-taken",
        "in the queue",
        "Wait",
    ),
    (
        replace(QUEUED, open_tasks=[replace(PLAN, unsent_s=40.0)], workers=[READY]),
        "unsent",
        "the message broker, which has not taken its task for 40 s",
        "NATS",
    ),
    (replace(QUEUED, state=State.WAITING, workers=[READY]), "about-to-be-taken", "in the queue", "Wait"),
    # -- it works
    (
        replace(RUNNING, open_tasks=[segment(0, at_work())], workers=[BUSY], progress=PROGRESS),
        "working",
        "It works on detect_track: detect, 42% done, about 75 s left.",
        "logs -f j1",
    ),
    (
        replace(RUNNING, open_tasks=[segment(0, at_work()), segment(1)], workers=[BUSY]),
        "working",
        "It works on detect_track.",
        "logs -f j1",
    ),
    (
        replace(RUNNING, open_tasks=[segment(0, at_work(), attempts=2)], workers=[BUSY]),
        "working",
        "detect_track (attempt 2)",
        "logs -f j1",
    ),
    (
        replace(RUNNING, open_tasks=[segment(0, at_work(silent_s=16.0))], workers=[]),
        "worker-silent",
        "Its worker w1 was last heard 16 s ago; another takes segment 0 of detect_track over",
        "goes on by itself",
    ),
    (
        replace(RUNNING, open_tasks=[replace(PLAN, attempt=at_work(silent_s=None))], workers=[READY]),
        "worker-silent",
        "was never heard; another takes plan of detect_track over",
        "goes on by itself",
    ),
    # -- between two attempts
    (
        replace(RUNNING, open_tasks=[segment(3, at_work("retry", error="the disk is full"))], workers=[READY]),
        "tries-again",
        "Attempt 1 of 4 at segment 3 of detect_track failed (the disk is full)",
        "logs j1",
    ),
    (
        replace(RUNNING, open_tasks=[segment(3, at_work("handed_back"))], workers=[BUSY]),
        "handed-back",
        "was stopped and handed it back",
        "no attempt was counted",
    ),
    (
        replace(RUNNING, open_tasks=[segment(3, at_work("handed_back"))], workers=[]),
        "no-worker",
        "none is running",
        "Start one",
    ),
    # -- it is over
    (replace(DONE, runtime_s=200.0), "succeeded", "It succeeded after 3 min.", "export show"),
    (DONE, "succeeded", "It succeeded.", "export show"),
    (replace(DONE, reused=True), "reused", "an equal run had left its results", "force works anew"),
    (
        replace(DONE, empty_stage="detect_track", reused=True),
        "zero-rows",
        "detect_track found nothing",
        "faces are in the video",
    ),
    (
        replace(QUEUED, state=State.CANCELLED, tasks_done=3, tasks_total=9),
        "cancelled",
        "It was cancelled, with 3 of 9 tasks of detect_track done.",
        "Go on from there: screenalytics resume j1",
    ),
    (
        replace(QUEUED, state=State.CANCELLED),
        "cancelled",
        "It was cancelled.",
        "Start it again: screenalytics resume j1",
    ),
    (
        replace(FAILED, error_code="invalid-media", error="no video stream"),
        "invalid-media",
        "the video cannot be used (no video stream)",
        "Register a video",
    ),
    (
        replace(FAILED, error_code="accelerator-unavailable", error="no worker served detect_track on cuda"),
        "no-worker-in-time",
        "It failed: no worker served detect_track on cuda.",
        "--device cpu",
    ),
    (
        replace(FAILED, error_code="model-unusable", error="yunet.onnx has another digest"),
        "model-unusable",
        "yunet.onnx has another digest",
        "resume j1",
    ),
    (
        replace(FAILED, error_code="insufficient-disk", error="about 9.1 GB are needed and 2.0 GB can be used"),
        "no-room",
        "about 9.1 GB are needed",
        "Free some space",
    ),
    (
        replace(FAILED, error_code="conflict", error="the episode was replaced while the job ran"),
        "replaced",
        "the episode was replaced",
        "Submit a new job",
    ),
    (
        replace(FAILED, error_code="stage-failed", error="detect_track used up its attempts: the disk is full"),
        "stage-failed",
        "It failed: detect_track used up its attempts: the disk is full.",
        "resume j1",
    ),
    (
        replace(FAILED, error_code="stage-failed", error="a task ran longer than 9 s"),
        "stage-failed",
        "It failed in detect_track: a task ran longer than 9 s.",
        "logs j1",
    ),
    (replace(FAILED, error_code="of-a-newer-release"), "stage-failed", "no reason was given", "logs j1"),
]


@pytest.mark.parametrize(
    ("facts", "case", "says", "then"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_each_case_has_its_sentence_and_its_next_step(facts: JobFacts, case: str, says: str, then: str) -> None:
    answer = why(facts)
    assert answer.case == case
    assert says in answer.sentence
    assert then in answer.next_step


def test_every_case_that_can_be_answered_is_in_the_table() -> None:
    source = inspect.getsource(module)
    named = set(re.findall(r'Why\(\s*"([a-z-]+)"', source))
    assert named == {case for _, case, _, _ in CASES}


@pytest.mark.parametrize("state", State)
def test_a_job_in_any_state_of_which_nothing_else_is_known_has_an_answer(state: State) -> None:
    if state is not State.SKIPPED:  # no job is skipped
        answer = why(JobFacts("j1", "show", state, "cluster", "cpu"))
        assert answer.sentence.endswith(".")
        assert answer.next_step
