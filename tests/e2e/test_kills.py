"""`kill -9` of any one process of the system while a job runs: the job still ends, with the same answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.client import Client, Job, StateChange
from services.kit.inference.placement import Provider
from services.local import LocalSettings, SystemHandle, start_system

_RETRY_FOR_S = 60.0


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemHandle]:
    """Not shared: its processes are killed."""
    settings = LocalSettings(tmp_path_factory.mktemp("kills") / "data", Provider.CPU)
    with start_system(settings) as handle:
        yield handle


@pytest.fixture(scope="module")
def api(own_system: SystemHandle) -> Iterator[Client]:
    with Client(own_system.state.api_url, retry_for_s=_RETRY_FOR_S) as client:
        yield client


def _run(api: Client, ep_id: str, on_running: Callable[[str], None]) -> Job:
    job = api.submit(ep_id, device="cpu", force=True)
    for event in api.watch(job.job_id):
        if isinstance(event, StateChange) and event.state == "running" and event.stage is not None:
            on_running(event.stage)
    return api.job(job.job_id)


def _answer(api: Client, ep_id: str) -> list[tuple[object, ...]]:
    return [(i.identity_id, i.track_ids, i.first_ts, i.last_ts, i.screen_time_s) for i in api.identities(ep_id)]


def test_a_job_survives_kill_9_of_every_kind_of_process(
    own_system: SystemHandle, api: Client, media_dir: Path
) -> None:
    victims = {
        "detect_track": ("postgres", "detector"),
        "faces_embed": ("nats",),
        "cluster": ("orchestrator",),
    }
    killed: list[str] = []

    def kill(stage: str) -> None:
        for part in own_system.state.parts:
            if part.name in victims[stage] and part.name not in killed and part.pid is not None:
                os.kill(part.pid, signal.SIGKILL)
                killed.append(part.name)

    episode = api.register(media_dir / "short_hamilton_clip.mp4")
    undisturbed = _run(api, episode.ep_id, lambda stage: None)
    expected = _answer(api, episode.ep_id)

    disturbed = _run(api, episode.ep_id, kill)

    assert undisturbed.state == disturbed.state == "succeeded"
    assert sorted(killed) == ["detector", "nats", "orchestrator", "postgres"]
    assert expected
    assert _answer(api, episode.ep_id) == expected
    restarts = {part.name: part.restarts for part in own_system.state.parts}
    assert all(restarts[name] >= 1 for name in killed)
