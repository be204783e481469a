"""Real processes under the supervisor: tiny stand-ins for the services, the real PostgreSQL and nats-server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

import services
from services.local.launch import Launch
from services.local.part import PartSpec
from services.local.ports import choose_ports
from services.local.readiness import http_obstacle
from services.local.state import PartState, PartStatus
from services.local.supervisor import Supervisor, Tiers

_STANDIN = Path(__file__).with_name("standin_service.py")
_SERVICES = Path(services.__path__[0])
_SEEN_WITHIN_S = 60.0

StandIn = Callable[..., PartSpec]
Supervised = Callable[[Tiers], AbstractAsyncContextManager["Watched"]]


class Watched:
    """A supervisor at work, and everything it has told so far."""

    def __init__(self, tiers: Tiers, logs: Path) -> None:
        self.history: list[PartStatus] = []
        self.stop, self.hurry, self.started = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._news = asyncio.Event()
        self.supervisor = Supervisor(tiers, lambda name: logs / f"{name}.log", self._hear)
        self.task = asyncio.create_task(self.supervisor.run(self.stop, self.hurry, self.started.set))

    def _hear(self, status: PartStatus, _: tuple[PartStatus, ...]) -> None:
        self.history.append(status)
        self._news.set()

    def status(self, name: str) -> PartStatus:
        return next(status for status in self.supervisor.statuses if status.name == name)

    async def until(self, name: str, fits: Callable[[PartStatus], bool]) -> PartStatus:
        """The first status of the part, present or to come, that fits."""
        async with asyncio.timeout(_SEEN_WITHIN_S):
            while not fits(self.status(name)):
                self._news.clear()
                await self._news.wait()
        return self.status(name)

    async def ready(self, name: str, *, but_not_pid: int | None = None) -> PartStatus:
        return await self.until(name, lambda s: s.state is PartState.READY and s.pid != but_not_pid)

    async def all_started(self) -> None:
        async with asyncio.timeout(_SEEN_WITHIN_S):
            await self.started.wait()

    async def ended(self) -> None:
        """Raises what ended it."""
        async with asyncio.timeout(_SEEN_WITHIN_S):
            await self.task


@pytest.fixture
def supervised(tmp_path: Path) -> Supervised:
    @asynccontextmanager
    async def supervise(tiers: Tiers) -> AsyncIterator[Watched]:
        watched = Watched(tiers, tmp_path / "logs")
        try:
            yield watched
        finally:
            watched.stop.set()
            await asyncio.gather(watched.task, return_exceptions=True)

    return supervise


@pytest.fixture
def standin() -> StandIn:
    """A part that runs the stand-in; `behaviour` names how it misbehaves."""

    def make(name: str, behaviour: str = "", **spec: object) -> PartSpec:
        (port,) = choose_ports(1)
        env = {"STANDIN": name, f"STANDIN_{name.upper()}": behaviour, "SCREENALYTICS_HEALTH__PORT": str(port)}
        launch = Launch((sys.executable, str(_STANDIN)), {**os.environ, **env})
        return PartSpec(name, launch, (port,), http_obstacle(port, "/readyz"), **spec)  # type: ignore[arg-type]

    return make


@pytest.fixture
def standin_env(tmp_path: Path) -> Mapping[str, str]:
    """An environment in which `services` is the real local system over stand-ins for the services."""
    package = tmp_path / "tree" / "services"
    package.mkdir(parents=True)
    for real in ("__init__.py", "kit", "local", "pb"):
        (package / real).symlink_to(_SERVICES / real)
    for name in ("orchestrator", "detector", "embedder", "clusterer"):
        (package / name).mkdir()
        (package / name / "__main__.py").symlink_to(_STANDIN)
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    return foreign | {"PYTHONPATH": str(package.parent)}
