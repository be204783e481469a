"""A whole local system, started as the command starts it: real servers, stand-ins for the services."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.kit.errors import SystemUnavailable
from services.local import read_state, stop_system
from services.local.data_dir import DataDir
from services.local.ports import LOOPBACK

_DRIVER = Path(__file__).with_name("system_driver.py")
PARTS = ["postgres", "nats", "orchestrator", "detector", "embedder", "clusterer"]


@dataclass(frozen=True)
class Driver:
    process: subprocess.Popen[str]

    def told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def ask(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(word, file=self.process.stdin, flush=True)
        return self.told()

    def end(self) -> int:
        self.process.communicate(timeout=90)
        return self.process.returncode


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "closed" / "data dir"


@pytest.fixture
def start(standin_env: Mapping[str, str], data_dir: Path) -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def begin(*options: str, **env: str) -> Driver:
        argv = [sys.executable, "-P", str(_DRIVER), "--data-dir", str(data_dir), *options]
        process = subprocess.Popen(
            argv, env={**standin_env, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        drivers.append(Driver(process))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.end()


def processes(told: Mapping[str, Any]) -> list[psutil.Process]:
    return [
        psutil.Process(told["supervisor_pid"]),
        *psutil.Process(told["supervisor_pid"]).children(recursive=True),
    ]


def env_of(told: Mapping[str, Any], name: str) -> dict[str, str]:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{told['parts'][name]['port']}/env") as answer:
        return dict(json.load(answer))


def test_every_part_gets_ready_and_is_gone_after_the_stop(start: Any, data_dir: Path) -> None:
    driver = start()
    told = driver.told()
    state, alive = read_state(data_dir), processes(told)
    assert driver.end() == 0
    assert state is not None
    assert state.is_ready
    assert [part.name for part in state.parts] == PARTS
    assert read_state(data_dir) is None
    assert not [process for process in alive if process.is_running()]


def test_services_are_told_where_everything_is(start: Any, data_dir: Path, tmp_path: Path) -> None:
    options = ("--device", "cpu", "--threads", "2", "--models-dir", str(tmp_path))
    told = start(*options, SCREENALYTICS_LOG__LEVEL="DEBUG", SCREENALYTICS_NATS__URL="nats://elsewhere").told()
    orchestrator, detector = env_of(told, "orchestrator"), env_of(told, "detector")
    assert f":{told['parts']['postgres']['port']}/" in orchestrator["SCREENALYTICS_POSTGRES__DSN"]
    assert orchestrator["SCREENALYTICS_MEDIA__ALLOW_LOCAL_PATHS"] == "true"
    assert "SCREENALYTICS_POSTGRES__DSN" not in detector
    assert detector["SCREENALYTICS_NATS__URL"].endswith(f":{told['parts']['nats']['port']}")
    assert detector["SCREENALYTICS_STORE__URL"] == (data_dir / "store").as_uri()
    assert detector["SCREENALYTICS_WORKER__SCRATCH_DIR"] == str(data_dir / "scratch" / "detector")
    expected = {"INFERENCE__PROVIDER": "cpu", "INFERENCE__ALLOW_CPU_FALLBACK": "false", "THREADS__MAX_CPU": "2"}
    expected |= {"MODELS__DIR": str(tmp_path), "LOG__LEVEL": "DEBUG"}
    assert {name: detector[f"SCREENALYTICS_{name}"] for name in expected} == expected


def test_a_services_folder_where_the_user_stands_is_not_run(
    start: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    monkeypatch.chdir(tmp_path)
    assert set(start("--no-workers").told()["parts"]) == {"postgres", "nats", "orchestrator"}


def test_a_second_system_on_the_directory_is_refused_by_name(start: Any, data_dir: Path) -> None:
    told = start("--no-workers").told()
    second = start("--no-workers")
    refusal = second.told()
    assert refusal["code"] == "already-running"
    assert str(data_dir) in refusal["message"]
    assert f"process {told['supervisor_pid']}" in refusal["message"]
    assert second.end() == 4


def test_nothing_outlives_a_killed_supervisor_and_the_system_starts_again_in_place(
    start: Any, data_dir: Path
) -> None:
    driver = start()
    before = driver.told()
    supervisor, *parts = processes(before)
    supervisor.kill()
    gone, alive = psutil.wait_procs(parts, timeout=30)
    assert not alive
    assert len(gone) > len(PARTS)
    assert read_state(data_dir) is None
    after = driver.ask("ensure")
    assert after["api_url"] == before["api_url"]
    assert {part["state"] for part in after["parts"].values()} == {"ready"}
    assert after["supervisor_pid"] != before["supervisor_pid"]


def test_the_system_ends_with_the_command_that_started_it(start: Any) -> None:
    driver = start("--no-workers")
    alive = processes(driver.told())
    driver.process.kill()
    _, left = psutil.wait_procs(alive, timeout=60)
    assert not left


def test_a_system_can_be_stopped_from_elsewhere(start: Any, data_dir: Path) -> None:
    _, *parts = processes(start("--no-workers").told())
    assert stop_system(data_dir) is True
    assert parts
    assert not [process for process in parts if process.is_running()]
    assert stop_system(data_dir) is False


def test_a_stranger_that_holds_the_directory_is_not_signalled(tmp_path: Path) -> None:
    with DataDir(tmp_path).locked(), pytest.raises(SystemUnavailable, match=f"process {os.getpid()}"):
        stop_system(tmp_path)


def test_a_port_that_was_asked_for_and_is_in_use_is_named(start: Any) -> None:
    with socket.create_server((LOOPBACK, 0)) as stranger:
        port = stranger.getsockname()[1]
        driver = start("--http-port", str(port))
        refusal = driver.told()
    assert refusal["code"] == "port-in-use"
    assert f"port {port} " in refusal["message"]
    assert driver.end() == 4


def test_workers_without_their_accelerator_are_told_and_the_rest_runs(start: Any) -> None:
    told = start(STANDIN_DETECTOR="refuse", STANDIN_CLUSTERER="refuse").told()
    assert told["refused"] == ["no CUDA device", "no CUDA device"]
    assert told["parts"]["embedder"]["state"] == "ready"


def test_the_error_of_a_part_reaches_the_caller(start: Any) -> None:
    driver = start(STANDIN_EMBEDDER="lack_a_model")
    assert driver.told() == {
        "code": "model-unusable",
        "message": "embedder: digest differs",
        "hint": "fetch it",
    }
    assert driver.end() == 2


def test_a_data_directory_that_cannot_be_made_is_an_error_before_anything_starts(
    start: Any, data_dir: Path
) -> None:
    data_dir.parent.write_text("a file in the way")
    driver = start()
    refusal = driver.told()
    assert refusal["code"] == "data-dir-unusable"
    assert str(data_dir) in refusal["message"]
    assert driver.end() == 4


def test_the_first_signal_stops_in_order_while_the_system_still_starts(
    standin_env: Mapping[str, str], data_dir: Path
) -> None:
    reader, writer = os.pipe()
    argv = [
        sys.executable,
        "-P",
        "-m",
        "services.local",
        "--data-dir",
        str(data_dir),
        "--ready-fd",
        str(writer),
    ]
    env = {**standin_env, "STANDIN_DETECTOR": "never_get_ready"}
    with subprocess.Popen(argv, env=env, pass_fds=(writer,), stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        assert process.stderr is not None
        events = map(json.loads, process.stderr)
        next(event for event in events if event.get("name") == "embedder" and event["state"] == "ready")
        process.send_signal(signal.SIGINT)
        last = list(events)[-1]
    with open(reader) as announcements:  # noqa: PTH123
        announced = json.loads(announcements.readline())
    assert process.returncode == 0
    assert last["event"] == "stopped"
    assert announced["message"] == "stopped while starting"
