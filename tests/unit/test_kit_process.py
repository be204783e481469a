"""How a service process ends: its exit status, and one line of JSON that says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, os, signal, sys
from services.kit import errors
from services.kit.process import run_service
from services.kit.settings import ServiceSettings

async def serve(settings, stop):
    what = sys.argv[1]
    if what == "until-told":
        os.kill(os.getpid(), int(sys.argv[2]))
        await asyncio.wait_for(stop.wait(), 10)
    elif what != "nothing":
        raise getattr(errors, what)("the reason", hint="the way out")

sys.exit(run_service(ServiceSettings, serve))
"""


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {k: v for k, v in os.environ.items() if not k.startswith("SCREENALYTICS_")}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env=bare | {"SCREENALYTICS_STORE__URL": "memory:///"} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_service_that_ends_by_itself_ends_with_zero() -> None:
    assert run("nothing").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_stop_and_the_service_ends_with_zero(number: signal.Signals) -> None:
    ended = run("until-told", str(int(number)))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("StageFailed", 1, "stage-failed"),
        ("InvalidSettings", 2, "invalid-settings"),
        ("AcceleratorUnavailable", 3, "accelerator-unavailable"),
        ("PortInUse", 4, "port-in-use"),
    ],
)
def test_a_foreseen_failure_is_one_json_line_and_its_exit_status(error: str, status: int, code: str) -> None:
    ended = run(error)
    assert ended.returncode == status
    (line,) = ended.stderr.splitlines()
    assert json.loads(line) == {
        "event": "refused", "code": code, "reason": "the reason", "hint": "the way out"
    }  # fmt: skip


@pytest.mark.parametrize(
    "env",
    [
        {"SCREENALYTICS_NATS__WRONG": "x"},
        {"SCREENALYTICS_LOG__LEVEL": "loud"},
        {"SCREENALYTICS_STORE__OPTIONS": "{"},
    ],
    ids=str,
)
def test_bad_settings_end_with_two_and_no_stack_trace(env: dict[str, str]) -> None:
    ended = run("nothing", **env)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert json.loads(ended.stderr)["code"] == "invalid-settings"
