"""docs/architecture.md tells of one real task; here it is run again, and must be what the page says.

`make record` writes the page from such a run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nats
from nats.aio.msg import Msg

from services.client import Client, StateChange
from services.local import SystemHandle
from services.local.data_dir import DataDir
from services.local.nats import EmbeddedNats
from tests.integration.parts import until
from tests.recorded_task import Heard, RecordedTask, recorded_part, write_recorded_part

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
REQUEST = {
    "ep_id": "film", "kind": "cluster", "device": "cpu", "overrides": {"track_threshold": 0.6},
    "execution_mode": "local", "execution_place": "local",
}  # fmt: skip


def broker_url(system: SystemHandle) -> str:
    directory = DataDir(system.settings.data_dir)
    (port,) = [part.port for part in system.state.parts if part.name == "nats"]
    assert port is not None
    return EmbeddedNats(directory.nats, port, 0, directory.secrets().nats_password).url


async def record(system: SystemHandle, client: Client) -> RecordedTask:
    """Runs the clustering of an episode that is there, with an ear on the broker."""
    heard: list[Heard] = []

    async def listen(message: Msg) -> None:
        heard.append(Heard(message.subject, message.reply, message.data))

    nc = await nats.connect(broker_url(system))
    try:
        for subject in ("screenalytics.>", "_INBOX.>"):
            await nc.subscribe(subject, cb=listen)
        await nc.flush()
        answer = await asyncio.to_thread(submit, system)
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["job_id"]
        events = await asyncio.to_thread(lambda: list(client.watch(job_id)))
        run_id = client.job(job_id).stages[0].run_id
        marker = await until(lambda: asyncio.to_thread(marker_of, system, run_id))
        await nc.flush()
    finally:
        await nc.close()
    states = [f"{e.stage or 'the job'}: {e.state}" for e in events if isinstance(e, StateChange)]
    return RecordedTask(REQUEST, answer.json(), heard, states, marker)


def submit(system: SystemHandle) -> httpx.Response:
    return httpx.post(f"{system.state.api_url}/v1/jobs", json=REQUEST, trust_env=False)


def marker_of(system: SystemHandle, run_id: str) -> dict[str, Any] | None:
    url = f"{system.state.api_url}/v1/episodes/film/exports/runs/cluster.json"
    answer = httpx.get(url, trust_env=False)
    return answer.json() if answer.is_success and answer.json()["run_id"] == run_id else None


def test_the_page_about_one_task_is_what_happens(
    run: Callable[..., Any], system: SystemHandle, client: Client, media_dir: Path
) -> None:
    ended = run(media_dir / "short_hamilton_clip.mp4", "--profile", "low_power", "--ep-id", "film")
    assert ended.status == 0, ended.err
    page = asyncio.run(record(system, client)).page()
    if os.environ.get("SCREENALYTICS_TEST__RECORD") == "1":
        write_recorded_part(PAGE, page)
    assert recorded_part(PAGE).strip() == page.strip(), "the page is stale: make record"
