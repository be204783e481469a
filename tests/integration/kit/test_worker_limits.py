"""What a worker refuses: other files, other releases, more threads; and how its process begins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.kit import bus
from services.kit.codec import decode, encode
from services.kit.errors import AcceleratorUnavailable, InvalidSettings, ModelUnusable, ScreenalyticsError
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.messages import Heartbeat, Task, WorkerState
from services.kit.settings import (
    HealthSettings,
    InferenceSettings,
    NatsSettings,
    StoreSettings,
    WorkerGroup,
    WorkerSettings,
)
from services.kit.stages import Done, Outcome, Stage, TaskContext
from services.kit.worker_process import serve_worker
from services.local.nats import EmbeddedNats
from services.orchestrator.job_request import JobKind
from tests.integration.kit.conftest import StartWorker
from tests.integration.parts import Parts, until

HAS_GPU = Path("/dev/nvidiactl").exists()


def with_another_detector(folder: Path) -> Catalog:
    """The default detector's name means a file that is nowhere."""
    (folder / "catalog.toml").write_text(
        '[[models]]\nrole = "detector"\nname = "face-detector"\nfamily = "yunet"\nfile = "other.onnx"\n'
        f'sha256 = "{"0" * 64}"\nlicence = "MIT"\nchannels = "bgr"\nsize_multiple_px = 32\n'
    )
    return Catalog.load(folder)


async def is_handed_back(parts: Parts) -> bool:
    """Delivered once and waiting, unacknowledged, to be delivered again."""
    consumer = await parts.nc.jetstream().consumer_info(bus.TASKS_STREAM, "detect_track-cpu")
    return bool(consumer.delivered and consumer.delivered.consumer_seq and consumer.num_ack_pending)


async def test_a_worker_with_another_file_of_a_model_hands_the_task_back(
    agents: Parts, start_worker: StartWorker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await agents.submitted(JobKind.DETECT_TRACK)

    async def is_said() -> bool:
        return "other files for models ['face-detector']" in caplog.text

    async with start_worker(catalog=with_another_detector(tmp_path)):
        await until(is_said)
        assert await is_handed_back(agents)
    assert await agents.rows("SELECT 1 FROM attempts") == []
    assert (await agents.states(job_id))[0] == "queued"


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("change", ["schema_version", "algorithm_version"])
async def test_a_task_of_another_release_is_handed_back(
    agents: Parts, start_worker: StartWorker, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    await agents.upload()
    await agents.rows("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    await agents.rows("CREATE TRIGGER held BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION hold()")
    task = await agents.task(await agents.submit(JobKind.DETECT_TRACK))
    newer: Task = replace(task, **{change: 99})  # type: ignore[arg-type]
    await agents.nc.jetstream().publish(bus.task_subject(newer), encode(newer))

    async def is_said() -> bool:
        return f"handed back task {task.task_id} of another release" in caplog.text

    async with start_worker():
        await until(is_said)
    assert await agents.rows("SELECT 1 FROM attempts") == []


@pytest.mark.parametrize(
    ("own", "is_explicit", "profiles", "seen"),
    [(8, False, 4, 4), (2, False, 4, 2), (3, True, 1, 3), (1, True, 4, 1)],
)
async def test_a_handler_gets_the_profiles_cap_unless_its_worker_has_one(
    agents: Parts, start_worker: StartWorker, own: int, is_explicit: bool, profiles: int, seen: int
) -> None:
    caps: list[int] = []

    def look(context: TaskContext) -> Outcome:
        caps.append(context.thread_cap)
        return Done()

    async def has_looked() -> bool:
        return bool(caps)

    await agents.submitted(JobKind.DETECT_TRACK, overrides={"thread_cap": profiles})
    async with start_worker(look, thread_cap=own, is_explicit=is_explicit):
        await until(has_looked)
    assert caps == [seen]


class Roles:
    """A handler that only says which models it wants warm."""

    stage = Stage.CLUSTER

    def __init__(self, *roles: str) -> None:
        self._roles = roles

    def roles(self) -> tuple[str, ...]:
        return self._roles

    def run(self, context: TaskContext) -> Outcome:
        return Done()


def settings(url: str, store: Path, provider: Provider, **worker: Any) -> WorkerSettings:
    return WorkerSettings(
        nats=NatsSettings(url=url),
        store=StoreSettings(url=store.as_uri()),
        inference=InferenceSettings(provider=provider),
        health=HealthSettings(port=0),
        worker=WorkerGroup(**worker),
    )


async def first_beat(parts: Parts, serving: asyncio.Task[None], heard: Any) -> Heartbeat:
    beat = asyncio.create_task(heard.next_msg(timeout=20))
    await asyncio.wait({beat, serving}, return_when=asyncio.FIRST_COMPLETED)
    return decode(Heartbeat, (await beat).data)


@pytest.mark.parametrize(
    ("role", "provider", "error"),
    [
        ("detector", Provider.CPU, ModelUnusable),
        pytest.param(
            "similarity",
            Provider.CUDA,
            AcceleratorUnavailable,
            marks=pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU"),
        ),
    ],
)
async def test_a_worker_that_refuses_to_start_says_why_before_it_ends(
    parts: Parts,
    nats_server: EmbeddedNats,
    tmp_path: Path,
    role: str,
    provider: Provider,
    error: type[ScreenalyticsError],
) -> None:
    heard = await parts.nc.subscribe(bus.ALL_HEARTBEATS)
    await parts.nc.flush()
    chosen = settings(nats_server.url, tmp_path / "store", provider)
    with pytest.raises(error):
        await serve_worker(chosen, Roles(role), with_another_detector(tmp_path), asyncio.Event())
    beat = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)
    assert (beat.state, beat.reason_code, beat.effective_provider) == (WorkerState.REFUSED, error.code, "")
    assert beat.reason


@pytest.mark.parametrize("is_link", [False, True])
async def test_a_worker_says_where_its_models_run_and_cleans_what_a_killed_one_left(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path, is_link: bool
) -> None:
    if is_link:
        (tmp_path / "another disk").mkdir()
        (tmp_path / "scratch").symlink_to(tmp_path / "another disk")
    left = tmp_path / "scratch" / "01OLD"
    left.mkdir(parents=True)
    heard = await parts.nc.subscribe(bus.ALL_HEARTBEATS)
    await parts.nc.flush()
    stop = asyncio.Event()
    chosen = settings(nats_server.url, tmp_path / "store", Provider.CPU, scratch_dir=tmp_path / "scratch")
    serving = asyncio.create_task(serve_worker(chosen, Roles("similarity"), Catalog.load(None), stop))
    beat = await first_beat(parts, serving, heard)
    assert (beat.state, beat.stage, beat.effective_provider) == (WorkerState.READY, "cluster", "cpu")
    (model,) = beat.models
    assert (model.model, model.requested, model.effective) == ("similarity", "cpu", "cpu")
    assert set(model.nodes) == {"CPUExecutionProvider"}
    assert not left.exists()
    stop.set()
    await serving
    last = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)
    while last.state is not WorkerState.DRAINING:
        last = decode(Heartbeat, (await heard.next_msg(timeout=5)).data)


async def test_a_scratch_folder_that_cannot_be_is_told_of(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    chosen = settings(
        nats_server.url, tmp_path / "store", Provider.CPU, scratch_dir=tmp_path / "file" / "below"
    )
    with pytest.raises(InvalidSettings, match="SCRATCH_DIR"):
        await serve_worker(chosen, Roles("similarity"), Catalog.load(None), asyncio.Event())
