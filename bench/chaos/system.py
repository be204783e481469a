"""Real PostgreSQL, real nats-server, orchestrator replicas and workers: kept running, and broken on purpose."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos.children import Child, WorkerChild, run_orchestrator, run_worker
from chaos.proxy import CountingProxy
from services.kit.stages import STAGES, Stage
from services.local.launch import Launch
from services.local.nats import EmbeddedNats
from services.local.part_log import open_log
from services.local.ports import LOOPBACK, choose_ports
from services.local.postgres import EmbeddedPostgres

_POLL_S = 0.05
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["chaos.children"])


@dataclass(frozen=True)
class Shape:
    """What a system is made of. `scale` shortens the waits that hang on the broker's patience of 20 s."""

    orchestrators: int = 2
    workers: dict[Stage, int] = field(
        default_factory=lambda: {Stage.DETECT_TRACK: 3, Stage.FACES_EMBED: 2, Stage.CLUSTER: 2}
    )
    scale: float = 1.0
    max_attempts: int = 20
    stall_s: float = 120.0
    work_s: float = 0.1
    memory_bytes: int | None = None
    mutant: str | None = None
    fsync: bool = True
    is_noop: bool = False
    counts_round_trips: bool = False


class Member:
    """One process that is started again whenever it ends. `down_s`: how long its place stays empty."""

    def __init__(self, name: str, start: Callable[[], Any]) -> None:
        self.name = name
        self.is_wanted = True
        self.starts = 0
        self._start = start
        self.process: Any = None
        self._down_until = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.is_alive() else None

    def is_alive(self) -> bool:
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll() is None
        return self.process is not None and bool(self.process.is_alive())

    def tend(self) -> None:
        if self.is_wanted and not self.is_alive() and time.monotonic() >= self._down_until:
            self.process = self._start()
            self.starts += 1

    def signal(self, number: signal.Signals, *, down_s: float = 0.0) -> int | None:
        """The pid it went to, if the member was running."""
        pid = self.pid
        self._down_until = time.monotonic() + down_s
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid


class ChaosSystem:
    def __init__(self, home: Path, shape: Shape) -> None:
        self.home = home
        self.shape = shape
        self.store_dir = home / "store"
        self.journal = home / "executions.jsonl"
        ports = choose_ports(4 + shape.orchestrators)
        self._http_ports = ports[4:]
        self._postgres = EmbeddedPostgres(home / "postgres", ports[0], "loopback-only")
        self._nats = EmbeddedNats(home / "nats", ports[1], ports[2], "loopback-only")
        self.proxy = CountingProxy(ports[0], ports[3])
        self.postgres = Member("postgres", lambda: self._serve(self._postgres, "postgres"))
        self.nats = Member("nats", lambda: self._serve(self._nats, "nats"))
        self.orchestrators = [
            Member(f"orchestrator-{n}", self._orchestrator_start(n)) for n in range(shape.orchestrators)
        ]
        self.workers = [
            self.worker_member(stage, n) for stage, count in shape.workers.items() for n in range(count)
        ]

    @property
    def dsn(self) -> str:
        return self._postgres.dsn

    @property
    def nats_url(self) -> str:
        return self._nats.url

    @property
    def urls(self) -> list[str]:
        return [f"http://{LOOPBACK}:{port}" for port in self._http_ports]

    @property
    def members(self) -> list[Member]:
        return [self.postgres, self.nats, *self.orchestrators, *self.workers]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ChaosSystem]:
        for folder in (self.store_dir, self.home / "scratch"):
            folder.mkdir(parents=True, exist_ok=True)
        tending = asyncio.create_task(self._tend())
        try:
            await self._until_answers(tending)
            async with self.proxy.running():
                yield self
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
            await self._stop()

    async def _tend(self) -> None:
        while True:
            for member in self.members:
                if member in self.orchestrators + self.workers and self._obstacle():
                    continue  # it would only end again
                member.tend()
            await asyncio.sleep(_POLL_S)

    def _obstacle(self) -> bool:
        """Before the servers have ever answered; later a service that finds none is a case to be seen."""
        return not self.postgres.starts or not self.nats.starts

    async def _until_answers(self, tending: asyncio.Task[None]) -> None:
        async with asyncio.timeout(60):
            while not tending.done():
                obstacles = [await asyncio.to_thread(s.obstacle) for s in (self._postgres, self._nats)]
                if not any(obstacles):
                    return
                await asyncio.sleep(_POLL_S)
        tending.result()

    async def _stop(self) -> None:
        for member in [*self.workers, *self.orchestrators]:
            member.is_wanted = False
            member.signal(signal.SIGKILL)
        for member in (self.nats, self.postgres):
            member.is_wanted = False
            member.signal(signal.SIGQUIT if member is self.postgres else signal.SIGKILL)
        for member in self.members:
            if isinstance(member.process, subprocess.Popen):
                await asyncio.to_thread(member.process.wait, 20)
            elif member.process is not None:
                await asyncio.to_thread(member.process.join, 20)

    # -- how each begins ------------------------------------------------------------------------

    def _serve(self, server: EmbeddedPostgres | EmbeddedNats, name: str) -> subprocess.Popen[bytes]:
        server.prepare()
        launch: Launch = server.launch()
        options = () if self.shape.fsync or name != "postgres" else ("-c", "fsync=off")
        with open_log(self.home / f"{name}.log") as log:
            return subprocess.Popen((*launch.argv, *options), **launch.options(log))

    def _shared_env(self) -> dict[str, str]:
        return {
            "SCREENALYTICS_NATS__URL": self._nats.url,
            "SCREENALYTICS_STORE__URL": self.store_dir.as_uri(),
        }

    def _dsn_of_services(self) -> str:
        if not self.shape.counts_round_trips:
            return self.dsn
        return self.dsn.replace(f":{self._postgres.port}/", f":{self.proxy.port}/")

    def _orchestrator_start(self, number: int) -> Callable[[], Any]:
        shape = self.shape
        child = Child(
            env=self._shared_env()
            | {
                "SCREENALYTICS_POSTGRES__DSN": self._dsn_of_services(),
                "SCREENALYTICS_HTTP__PORT": str(self._http_ports[number]),
                "SCREENALYTICS_GRPC__PORT": "0",
                "SCREENALYTICS_ROUTES__DECLARED": json.dumps([f"{stage}/cpu" for stage in STAGES]),
                "SCREENALYTICS_JOBS__MAX_ATTEMPTS": str(shape.max_attempts),
                "SCREENALYTICS_JOBS__STALL_S": str(shape.stall_s),
                "SCREENALYTICS_JOBS__REAPER_INTERVAL_S": str(5.0 * shape.scale),
                "SCREENALYTICS_ERASURE__SETTLE_S": str(20.0 * shape.scale),
            },
            log_path=self.home / f"orchestrator-{number}.log",
            scale=shape.scale,
            mutant=shape.mutant,
        )
        return lambda: _forked(run_orchestrator, child)

    def worker_member(self, stage: Stage, number: int, **more: Any) -> Member:
        name = f"{stage}-{number}"
        child = WorkerChild(
            env=self._shared_env()
            | {
                "SCREENALYTICS_INFERENCE__PROVIDER": "cpu",
                "SCREENALYTICS_THREADS__MAX_CPU": "1",
                "SCREENALYTICS_HEALTH__PORT": "0",
                "SCREENALYTICS_WORKER__DRAIN_GRACE_S": str(15 * self.shape.scale),
                "SCREENALYTICS_WORKER__SCRATCH_DIR": str(self.home / "scratch" / name),
            },
            log_path=self.home / f"{name}.log",
            scale=self.shape.scale,
            mutant=self.shape.mutant,
            stage=stage,
            journal_dir=self.home,
            work_s=self.shape.work_s,
            slow_s=max(3.0, 8.0 * self.shape.scale),
            is_noop=self.shape.is_noop,
            memory_bytes=self.shape.memory_bytes,
        )
        return Member(name, lambda: _forked(run_worker, replace(child, **more)))

    # -- how each is broken ---------------------------------------------------------------------

    def kill_postgres(self, *, down_s: float = 0.0) -> int | None:
        return self.postgres.signal(signal.SIGQUIT, down_s=down_s)  # immediate: as a crash, without orphans

    async def lose_jetstream(self) -> None:
        """Everything the broker has stored is gone."""
        self.nats.signal(signal.SIGKILL, down_s=3600)
        await asyncio.to_thread(self.nats.process.wait, 20)
        shutil.rmtree(self.home / "nats" / "jetstream")
        self.nats.signal(signal.SIGKILL)

    def log_lines(self, text: str) -> int:
        """How often the orchestrators have said it."""
        logs = self.home.glob("orchestrator-*.log")
        return sum(log.read_text(errors="replace").count(text) for log in logs)


def _forked(target: Callable[[Any], None], child: Child) -> Any:
    process = _FORKS.Process(target=target, args=(child,), daemon=True)
    process.start()
    return process
