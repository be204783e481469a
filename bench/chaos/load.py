"""Users: episodes registered and jobs submitted over HTTP, whatever the system is going through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import httpx

# The first bytes of an MP4 are all that the orchestrator ever looks at.
_VIDEO = b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 8
_RETRY_S = 0.2
_GIVE_UP_S = 120.0
TERMINAL = ("succeeded", "failed", "cancelled")


class Users:
    """Asks any replica, and another one when the first is away. Counts what it was answered."""

    def __init__(self, urls: list[str], *, seed: int = 0) -> None:
        limits = httpx.Limits(max_connections=40)
        self._clients = [
            httpx.AsyncClient(base_url=url, timeout=20, trust_env=False, limits=limits) for url in urls
        ]
        self._random = random.Random(seed)
        self.answers: dict[int, int] = {}

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The first answer that is not "the system is away"."""
        async with asyncio.timeout(_GIVE_UP_S):
            while True:
                client = self._random.choice(self._clients)
                try:
                    answer = await client.request(method, path, **options)
                except httpx.TransportError:
                    await asyncio.sleep(_RETRY_S)
                    continue
                self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                if answer.status_code != 503:
                    return answer
                await asyncio.sleep(_RETRY_S)

    async def register(self, ep_id: str) -> None:
        answer = await self.ask(
            "POST", "/v1/episodes", params={"ep_id": ep_id, "filename": "a.mp4"}, content=_VIDEO
        )
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"{ep_id} is not registered: {answer.text}")

    async def register_all(self, ep_ids: Iterable[str], *, at_once: int = 8) -> None:
        gate = asyncio.Semaphore(at_once)

        async def one(ep_id: str) -> None:
            async with gate:
                await self.register(ep_id)

        await asyncio.gather(*map(one, ep_ids))

    async def submit(self, ep_id: str, *, kind: str = "pipeline", key: str | None = None) -> str:
        """The job's id; when an earlier try got through without its answer, that job's."""
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"ep_id": ep_id, "kind": kind, "device": "cpu"}
        answer = await self.ask("POST", "/v1/jobs", json=body, headers=headers)
        record = answer.json()
        if "job_id" not in record:
            raise RuntimeError(f"{ep_id} is not submitted: {answer.text}")
        return str(record["job_id"])
