"""The orchestrator as a process of its own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from services.local.ports import LOOPBACK, choose_ports
from tests.integration.parts import Parts, until

ROOT = Path(__file__).resolve().parents[3]


class Orchestrator:
    def __init__(self, parts: Parts, nats_url: str, log: Path, settings: dict[str, str]) -> None:
        self._log = log
        self._port, grpc_port = choose_ports(2)
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")},
            "SCREENALYTICS_POSTGRES__DSN": parts.database.dsn,
            "SCREENALYTICS_NATS__URL": nats_url,
            "SCREENALYTICS_STORE__URL": parts.settings.store.url,
            "SCREENALYTICS_HTTP__PORT": str(self._port),
            "SCREENALYTICS_GRPC__PORT": str(grpc_port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{LOOPBACK}:{self._port}"

    async def start(self, api: httpx.AsyncClient) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "services.orchestrator"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=log, stderr=log)  # noqa: ASYNC220

        async def is_ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            try:
                return (await api.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(is_ready, within_s=60)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def orchestrator(
    parts: Parts, nats_url: str, folder: Path, settings: dict[str, str] | None = None
) -> AsyncIterator[tuple[Orchestrator, httpx.AsyncClient]]:
    process = Orchestrator(parts, nats_url, folder / "orchestrator.log", settings or {})
    async with httpx.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as api:
        try:
            await process.start(api)
            yield process, api
        finally:
            process.kill()
