"""The same no-op task in two well-known queues, for information beside the job engine's own figures.

procrastinate keeps its jobs in PostgreSQL (fsync on), Celery in Redis (appendfsync always). Neither has stages,
a fan-in, fences or exactly-once effects: what is compared is the way from a submit to the first line of the
task, and how many tasks come through. Both are optional: `pip install 'screenalytics[peers]'` and a
`redis-server` on the path; what is missing is left out by name.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chaos.audit import percentile, until

from services.local.ports import LOOPBACK, choose_ports
from services.local.postgres import EmbeddedPostgres

_BENCH = Path(__file__).resolve().parent
_READY = "ready"
Submit = Callable[[str], Awaitable[None]]


async def peers(home: Path, workers: int, samples: int, tasks: int) -> dict[str, Any]:
    """Figures by the name of the queue; a text where one cannot be measured here."""
    figures: dict[str, Any] = {}
    for name, serving in (("procrastinate", _procrastinate), ("celery", _celery)):
        if lacking := _lacking(name):
            figures[name] = f"not measured: {lacking} is not installed"
            continue
        folder = home / name
        folder.mkdir(parents=True)
        async with serving(folder, 1) as submit:
            waits = await _submit_to_start(folder / "starts", submit, samples)
        figures[name] = {f"submit_to_start_p{p}_ms": percentile(waits, p / 100) for p in (50, 99)}
        for number in dict.fromkeys((1, workers)):
            folder = home / f"{name}-{number}"
            folder.mkdir()
            async with serving(folder, number) as submit:
                figures[name][f"tasks_per_s_{number}"] = await _tasks_per_s(folder / "starts", submit, tasks)
    return figures


def _lacking(name: str) -> str | None:
    if importlib.util.find_spec(name) is None:
        return name
    return "redis-server" if name == "celery" and shutil.which("redis-server") is None else None


async def _submit_to_start(starts: Path, submit: Submit, samples: int) -> list[float]:
    """In milliseconds, each on an idle system."""
    waits = []
    for number in range(samples):
        asked_at = time.time()
        await submit(f"one-{number}")
        waits.append(1000 * (await _started(starts, f"one-{number}") - asked_at))
    return waits


async def _tasks_per_s(starts: Path, submit: Submit, tasks: int) -> float:
    began = time.monotonic()
    for number in range(tasks):
        await submit(f"many-{number}")

    async def are_done() -> bool:
        return sum(name.startswith("many") for name in _read(starts)) >= tasks

    assert await until(are_done, within_s=300, every_s=0.02)
    return round(tasks / (time.monotonic() - began), 1)


async def _started(starts: Path, name: str) -> float:
    async def is_there() -> bool:
        return name in _read(starts)

    assert await until(is_there, within_s=60, every_s=0.005)
    return _read(starts)[name]


def _read(starts: Path) -> dict[str, float]:
    """When each task began, in seconds since the epoch; its own process has written it."""
    if not starts.exists():
        return {}
    lines = [line.split() for line in starts.read_text().splitlines()]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


@asynccontextmanager
async def _procrastinate(home: Path, workers: int) -> AsyncIterator[Submit]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres.running(home / "postgres"))
        os.environ["PEER_DSN"] = postgres.dsn
        import peer_apps.procrastinate_app as queue  # noqa: PLC0415 - only where it is installed

        app = queue.make_app()
        await stack.enter_async_context(app.open_async())
        await app.schema_manager.apply_schema_async()
        command = [sys.executable, "-m", "peer_apps.procrastinate_app"]
        for _ in range(workers):
            stack.enter_context(_process(command, home, {"PEER_DSN": postgres.dsn}))
        submit = app.tasks["note"].defer_async

        async def submit_named(name: str) -> None:
            await submit(name=name)

        await _until_ready(submit_named, home / "starts", workers)
        yield submit_named


@asynccontextmanager
async def _celery(home: Path, workers: int) -> AsyncIterator[Submit]:
    (port,) = choose_ports(1)
    url = f"redis://{LOOPBACK}:{port}/0"
    server = ["redis-server", "--bind", LOOPBACK, "--port", str(port), "--dir", str(home)]
    server += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    async with AsyncExitStack() as stack:
        stack.enter_context(_process(server, home, {}))
        import peer_apps.celery_app as queue  # noqa: PLC0415 - only where it is installed

        app = queue.make_app(url)
        command = [sys.executable, "-m", "celery", "-A", "peer_apps.celery_app", "worker"]
        command += ["-c", str(workers), "-P", "prefork", "--without-gossip", "--without-mingle"]
        stack.enter_context(_process(command, home, {"PEER_REDIS": url}))

        async def submit(name: str) -> None:
            await asyncio.to_thread(app.send_task, "note", (name,))

        await _until_ready(submit, home / "starts", workers)
        yield submit


async def _until_ready(submit: Submit, starts: Path, workers: int) -> None:
    """Until workers have taken something."""
    for number in range(2 * workers):
        await submit(f"{_READY}-{number}")
    for number in range(2 * workers):
        await _started(starts, f"{_READY}-{number}")


class _process:  # noqa: N801 - used like the functions around it
    """A child for the time of a block."""

    def __init__(self, command: list[str], home: Path, env: dict[str, str]) -> None:
        self._log = (home / "log").open("ab")
        modules = os.pathsep.join([str(_BENCH), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, **env, "PEER_STARTS": str(home / "starts"), "PYTHONPATH": modules}
        self._process = subprocess.Popen(command, cwd=home, env=env, stdout=self._log, stderr=self._log)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
