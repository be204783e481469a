"""What a real process writes as JSON: one line for whatever is said, by whom and how ever it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.kit.logs import KEYS
from tests.conftest import REPOSITORY

_PROGRAM = """
import asyncio, logging, sys, threading, warnings
from services.kit.attempt import in_daemon_thread
from services.kit.errors import NotFound, StageFailed
from services.kit.logs import logs_about
from services.kit.process import run_service
from services.kit.settings import ServiceSettings

log = logging.getLogger("services.kit.somewhere")

async def serve(settings, stop):
    match sys.argv[1]:
        case "says":
            log.info("two\\nlines of %s", "text")
            logging.getLogger("uvicorn.error").warning("a library \\u2028 speaks")
            warnings.warn("something is old")
        case "ids":
            with logs_about(job_id="j", task_id="t"):
                await in_daemon_thread(lambda: log.info("of a task"))
            log.info("of nothing")
        case "errors":
            log.warning("not done: %s", NotFound("no such thing"))
            try:
                raise StageFailed("the work failed")
            except StageFailed:
                log.exception("it failed")
        case "thread":
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        case "crashes":
            raise RuntimeError("first line\\nsecond line")
        case "refuses":
            raise NotFound("it is not there", hint="look elsewhere")

sys.exit(run_service(ServiceSettings, serve))
"""


def run(what: str, *, status: int = 0, **env: str) -> list[dict[str, Any]]:
    """The lines that the process has left; each must be JSON."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    given = {"SCREENALYTICS_STORE__URL": "memory:///", "SCREENALYTICS_LOG__FORMAT": "json"}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, what],
        env=bare | given | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == status, ended.stderr
    lines = [json.loads(line) for line in ended.stderr.split("\n")[:-1]]
    for line in lines:
        assert list(line)[:5] == list(KEYS)[:5]
        assert set(line) <= set(KEYS)
    return lines


def test_what_we_and_libraries_say_is_one_line_each_with_the_fixed_keys() -> None:
    own, library, warning = run("says")
    assert (own["level"], own["logger"], own["message"], own["service"]) == (
        "INFO", "services.kit.somewhere", "two\nlines of text", "kit",
    )  # fmt: skip
    assert datetime.fromisoformat(own["time"]).utcoffset() == timedelta()
    assert (library["logger"], library["level"]) == ("uvicorn.error", "WARNING")
    assert warning["logger"] == "py.warnings"


def test_a_line_about_a_task_bears_its_ids_in_the_handlers_thread_too() -> None:
    of_a_task, of_nothing = run("ids")
    assert (of_a_task["job_id"], of_a_task["task_id"]) == ("j", "t")
    assert "job_id" not in of_nothing


def test_an_error_of_ours_is_told_of_by_its_code_and_a_traceback_stays_on_its_line() -> None:
    quoted, raised = run("errors")
    assert (quoted["code"], raised["code"]) == ("not-found", "stage-failed")
    assert "Traceback" in raised["exception"]


@pytest.mark.parametrize(
    ("what", "status", "error"), [("thread", 0, "ZeroDivision"), ("crashes", 1, "Runtime")]
)
def test_a_failure_that_nobody_has_caught_is_one_line(what: str, status: int, error: str) -> None:
    (line,) = run(what, status=status)
    assert line["level"] == "CRITICAL"
    assert f"{error}Error" in line["exception"]


def test_a_refusal_has_the_fixed_keys_and_what_the_supervisor_reads() -> None:
    (line,) = run("refuses", status=2)
    assert (line["event"], line["code"], line["reason"], line["hint"]) == (
        "refused", "not-found", "it is not there", "look elsewhere",
    )  # fmt: skip
    assert (line["message"], line["level"]) == ("it is not there", "ERROR")


def test_wrong_settings_are_told_of_in_the_format_that_was_asked_for() -> None:
    (line,) = run("says", status=2, SCREENALYTICS_NATS__WRONG="x")
    assert (line["code"], line["service"]) == ("invalid-settings", "kit")


def test_the_page_lists_the_keys_in_order() -> None:
    page = (REPOSITORY / "docs" / "observability.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", page.split("## Logs")[1].split("\n## ")[0], re.MULTILINE)
    assert dict(rows) == KEYS
    assert [key for key, _ in rows] == list(KEYS)
