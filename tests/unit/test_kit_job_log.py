"""What an attempt says: numbered, bounded, with what its thread logs besides."""

from __future__ import annotations

import logging
import threading
from typing import cast

import pytest

from services.kit.job_log import MAX_CHARS, MAX_LINES, TAIL_LINES, JobLog
from services.kit.messages import LogLine, MediaRef, Task

TASK = Task(
    schema_version=1,
    algorithm_version=1,
    job_id="j1",
    run_id="r1",
    task_id="t1",
    stage="cluster",
    kind="whole",
    ordinal=0,
    provider="cpu",
    requested_device="cpu",
    ep_id="e1",
    episode_uid="u1",
    config_json="{}",
    media=MediaRef("u", "00", 1, "mov"),
)


@pytest.fixture
def lines() -> list[LogLine]:
    return []


@pytest.fixture
def job_log(lines: list[LogLine], caplog: pytest.LogCaptureFixture) -> JobLog:
    caplog.set_level("DEBUG")
    return JobLog(TASK, "a1", lines.append)


def said(lines: list[LogLine]) -> list[tuple[str, str]]:
    return [(line.level, line.message) for line in lines]


def test_lines_count_from_one_and_name_their_attempt(job_log: JobLog, lines: list[LogLine]) -> None:
    job_log.say("first", level="info", is_noisy=False)
    job_log.say("second", level="warning", is_noisy=True)
    assert [(x.attempt_id, x.line, x.message, x.is_noisy) for x in lines] == [
        ("a1", 1, "first", False),
        ("a1", 2, "second", True),
    ]
    assert [line.rpartition(" ")[2] for line in job_log.tail] == ["first", "second"]


def test_lines_of_many_threads_have_numbers_of_their_own(job_log: JobLog, lines: list[LogLine]) -> None:
    def say() -> None:
        for _ in range(50):
            job_log.say("x", level="info", is_noisy=False)

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.line for line in lines] == list(range(1, 201))


def test_what_the_thread_logs_is_the_jobs_and_what_others_log_is_not(
    job_log: JobLog, lines: list[LogLine]
) -> None:
    with job_log.captured():
        logging.getLogger("services.detector.media").info("ours")
        logging.getLogger("alibrary").info("chatter")
        logging.getLogger("alibrary").warning("a %s of a library", "warning")
        other = threading.Thread(target=lambda: logging.getLogger("services.kit.worker").error("elsewhere"))
        other.start()
        other.join()
    logging.getLogger("services.detector.media").error("afterwards")
    assert said(lines) == [("info", "ours"), ("warning", "a warning of a library")]


def test_a_line_that_is_said_is_not_captured_a_second_time(job_log: JobLog, lines: list[LogLine]) -> None:
    with job_log.captured():
        job_log.say("once", level="info", is_noisy=False)
    assert said(lines) == [("info", "once")]


def test_a_traceback_is_part_of_its_line(job_log: JobLog, lines: list[LogLine]) -> None:
    with job_log.captured():
        try:
            cast(list[int], [])[0]
        except IndexError:
            logging.getLogger("services.kit.attempt").exception("the handler failed")
    (line,) = lines
    assert line.message.startswith("the handler failed\nTraceback")
    assert "IndexError" in line.message


def test_a_handler_that_never_stops_talking_is_cut_short_and_says_so(
    job_log: JobLog, lines: list[LogLine]
) -> None:
    job_log.say("y" * (2 * MAX_CHARS), level="info", is_noisy=False)
    for _ in range(MAX_LINES + 10):
        job_log.say("x", level="info", is_noisy=False)
    assert len(lines[0].message) == MAX_CHARS
    assert len(lines) == MAX_LINES
    assert lines[-1].message == "further lines of this attempt are left out"
    assert len(job_log.tail) == TAIL_LINES
