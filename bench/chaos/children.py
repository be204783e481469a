"""What runs in the child processes: the product's own services, with waits and mutants put on from outside."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from chaos import crash_points, mutants
from chaos.handler import NoopStage, TinyStage
from services.kit import bus
from services.kit.inference.catalog import Catalog
from services.kit.process import run_service
from services.kit.settings import WorkerSettings
from services.kit.stages import Stage
from services.kit.worker_process import serve_worker
from services.orchestrator import reaper
from services.orchestrator.app import serve
from services.orchestrator.settings import OrchestratorSettings

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Child:
    """`scale` shortens every wait that hangs on the broker's patience; 1 leaves the product as it is."""

    env: dict[str, str]
    log_path: Path
    scale: float = 1.0
    mutant: str | None = None


@dataclass(frozen=True)
class WorkerChild(Child):
    stage: Stage = Stage.DETECT_TRACK
    journal_dir: Path = Path()
    work_s: float = 0.1
    slow_s: float = 8.0
    is_noop: bool = False
    memory_bytes: int | None = None  # on top of what the process has when it starts
    crash_at: crash_points.Point | None = None


def run_orchestrator(child: Child) -> None:
    _become(child)
    if child.mutant is not None:
        mutants.put_on_orchestrator(child.mutant)
    sys.exit(run_service(OrchestratorSettings, serve))


def run_worker(child: WorkerChild) -> None:
    _become(child)
    if child.mutant is not None:
        mutants.put_on_worker(child.mutant)
    if child.memory_bytes is not None:
        _limit_memory(child.memory_bytes)
    if child.crash_at is not None:
        crash_points.arm(child.crash_at)
    make = NoopStage if child.is_noop else TinyStage
    handler = make(child.stage, child.journal_dir, child.work_s, child.slow_s)
    sys.exit(
        run_service(
            WorkerSettings, lambda settings, stop: serve_worker(settings, handler, Catalog.load(None), stop)
        )
    )


def _become(child: Child) -> None:
    """Out of the fork server: a session, a log and an environment of its own, and an end no later than its."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    os.setsid()
    log = os.open(child.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for name in [name for name in os.environ if name.startswith("SCREENALYTICS_")]:
        del os.environ[name]
    os.environ.update(child.env)
    for name in ("ACK_WAIT_S", "HEARTBEAT_S", "WORKER_EXPIRY_S", "CLAIM_TIMEOUT_S"):
        setattr(bus, name, getattr(bus, name) * child.scale)
    reaper._YOUNG_S *= child.scale


def _limit_memory(more_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
