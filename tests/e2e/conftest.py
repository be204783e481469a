"""Runs the real command against a real system on the CPU; one system is shared by most tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.client import Client
from services.kit.inference.placement import Provider
from services.local import LocalSettings, SystemHandle, start_system

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND_WITHIN_S = 240.0


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """The JSON of the last line; stdout must hold no other line."""
        (line,) = self.out.splitlines()
        record = json.loads(line)
        assert isinstance(record, dict)
        return record


@dataclass(frozen=True)
class Command:
    """The `screenalytics` command in an environment that finds the test models and no other system."""

    env: dict[str, str]

    def __call__(self, *args: str | Path, **env: str) -> Ended:
        process = self.start(*args, **env)
        out, err = process.communicate(timeout=_COMMAND_WITHIN_S)
        return Ended(process.returncode, out, err)

    def start(self, *args: str | Path, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", *map(str, args)],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def screenalytics(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    own = {
        "PYTHONPATH": str(_ROOT),
        "XDG_DATA_HOME": str(tmp_path_factory.mktemp("xdg")),
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")),
        "SCREENALYTICS_MODELS__DIR": str(models_dir),
        "SCREENALYTICS_THREADS__MAX_CPU": "1",
    }
    return Command(foreign | own)


@pytest.fixture(scope="session")
def system(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemHandle]:
    data_dir = tmp_path_factory.mktemp("system") / "data"
    settings = LocalSettings(data_dir=data_dir, device=Provider.CPU, models_dir=models_dir, threads=1)
    with start_system(settings) as handle:
        yield handle


@pytest.fixture(scope="session")
def run(screenalytics: Command, system: SystemHandle) -> Callable[..., Ended]:
    """`screenalytics run ... --json` on the shared system."""

    def run(video: Path, *args: str) -> Ended:
        data_dir = system.settings.data_dir
        return screenalytics("run", video, "--json", "--device", "cpu", "--data-dir", data_dir, *args)

    return run


@pytest.fixture
def client(system: SystemHandle) -> Iterator[Client]:
    with Client(system.state.api_url) as client:
        yield client
