"""What an episode leaves while it is worked on, and what is left of it after its erasure: nothing."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pyarrow.parquet as pq
import pytest

from services.client import Client
from services.kit.inference.placement import Provider
from services.local import LocalSettings, SystemHandle, start_system
from services.local.data_dir import DataDir
from services.local.nats import EmbeddedNats
from services.local.postgres import EmbeddedPostgres
from tests.erasure_traces import files_below, traces_in_database, traces_in_files

EP_ID = "canary-wren"
FILE_NAME = "Canary Siskin.mp4"
_DONE_WITHIN_S = 120.0
_IMAGES = (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"\x89PNG\r\n", b"WEBPVP8")


def port_of(system: SystemHandle, part: str) -> int:
    found = system.state.part(part)
    assert found is not None
    assert found.port is not None
    return found.port


def dsn_of(system: SystemHandle) -> str:
    directory = DataDir(system.settings.data_dir)
    password = directory.secrets().postgres_password
    return EmbeddedPostgres(directory.postgres, port_of(system, "postgres"), password).dsn


def nats_url_of(system: SystemHandle) -> str:
    directory = DataDir(system.settings.data_dir)
    return EmbeddedNats(directory.nats, port_of(system, "nats"), 0, directory.secrets().nats_password).url


@dataclass
class Heard:
    """Every message that a broker passed on, from before the first job."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)

    def kinds(self) -> set[str]:
        return {subject.split(".")[1] for subject, _ in self.messages if subject.startswith("screenalytics.")}

    def with_any(self, needles: tuple[bytes, ...]) -> list[str]:
        return [subject for subject, data in self.messages if any(needle in data for needle in needles)]


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemHandle]:
    """A system of its own: its whole data folder is searched."""
    settings = LocalSettings(
        data_dir=tmp_path_factory.mktemp("erased") / "data", device=Provider.CPU, threads=1
    )
    with start_system(settings) as handle:
        yield handle


@pytest.fixture(scope="module")
def heard(own_system: SystemHandle) -> Iterator[Heard]:
    heard, stop, listening = Heard(), threading.Event(), threading.Event()

    async def listen(url: str) -> None:
        client = await nats.connect(url)

        async def keep(message: Any) -> None:
            heard.messages.append((message.subject, message.data))

        await client.subscribe(">", cb=keep)
        await client.flush()
        listening.set()
        await asyncio.to_thread(stop.wait)
        await client.drain()

    thread = threading.Thread(target=lambda: asyncio.run(listen(nats_url_of(own_system))))
    thread.start()
    assert listening.wait(20)
    yield heard
    stop.set()
    thread.join(20)


@dataclass(frozen=True)
class Ran:
    uid: str
    job_id: str
    vectors: tuple[bytes, ...]


@pytest.fixture(scope="module")
def ran(
    own_system: SystemHandle,
    heard: Heard,
    screenalytics: Any,
    media_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ran:
    """A whole pipeline over a clip with people, under names that nothing else has."""
    video = tmp_path_factory.mktemp("upload") / FILE_NAME
    shutil.copy(media_dir / "short_hamilton_clip.mp4", video)
    asked = ("--ep-id", EP_ID, "--device", "cpu", "--profile", "low_power", "--json", "--save-crops")
    ended = screenalytics("run", video, *asked, "--data-dir", own_system.settings.data_dir)
    assert ended.status == 0, ended.err
    with Client(own_system.state.api_url) as client:
        episode = client.episode(EP_ID)
        (job,) = client.jobs(ep_id=EP_ID)
        location = next(a.location for a in client.artifacts(EP_ID) if a.kind == "embeddings")
    assert location is not None
    table = pq.read_table(io.BytesIO(Path(location).read_bytes()))
    rows = table.column("embedding").to_pylist()
    return Ran(episode.episode_uid, job.job_id, tuple(_as_sent(rows)))


def _as_sent(rows: list[list[float]]) -> Iterator[bytes]:
    """Forms in which an embedding could be written: raw, base64, and as JSON numbers."""
    assert rows
    for row in rows[:20]:
        raw = np.asarray(row[:6], np.float32).tobytes()
        yield raw
        yield base64.b64encode(raw)[:-4]
        yield json.dumps(row[:3])[1:-1].encode()


def test_no_message_holds_a_file_name_an_embedding_or_an_image(heard: Heard, ran: Ran) -> None:
    kinds = {"task", "result", "log", "claim", "progress", "worker"}
    give_up_at = time.monotonic() + 30  # a heartbeat comes each five seconds, and whatever the job
    while not kinds <= heard.kinds() and time.monotonic() < give_up_at:
        time.sleep(0.1)  # what is waited for happens in other processes
    assert kinds <= heard.kinds()
    ours = Heard([(s, d) for s, d in heard.messages if s.startswith("screenalytics.")])
    assert ours.with_any((FILE_NAME.encode(), *ran.vectors, *_IMAGES)) == []


def test_no_log_holds_a_name_an_embedding_or_an_image(own_system: SystemHandle, ran: Ran) -> None:
    logs = own_system.settings.data_dir / "logs"
    assert len(list(files_below(logs))) > 3
    assert traces_in_files(logs, (EP_ID.encode(), FILE_NAME.encode(), *ran.vectors, *_IMAGES)) == []


def test_the_trash_hides_an_episode_from_the_command_until_it_is_restored(
    own_system: SystemHandle, ran: Ran, screenalytics: Any
) -> None:
    where = ("--data-dir", own_system.settings.data_dir)
    trashed = screenalytics("trash", EP_ID, "--json", *where)
    assert trashed.status == 0, trashed.err
    assert trashed.record["purge_at"] > trashed.record["trashed_at"]
    hidden = screenalytics("status", EP_ID, "--json", *where)
    assert (hidden.status, hidden.record["error"]["code"]) == (2, "not-found")
    restored = screenalytics("restore", EP_ID, *where)
    assert restored.status == 0, restored.err
    assert f"{EP_ID} is back" in restored.out
    with Client(own_system.state.api_url) as client:
        assert client.job(ran.job_id).state == "succeeded"


def test_an_erasure_that_nobody_confirms_erases_nothing(
    own_system: SystemHandle, ran: Ran, screenalytics: Any
) -> None:
    ended = screenalytics("erase", EP_ID, "--data-dir", own_system.settings.data_dir)
    assert ended.status != 0
    assert f"Erase everything of {EP_ID} at {own_system.state.api_url}? This cannot be undone" in ended.err
    with Client(own_system.state.api_url) as client:
        assert client.episode(EP_ID).episode_uid == ran.uid


def test_after_an_erasure_nothing_is_left_of_it_anywhere(
    own_system: SystemHandle, ran: Ran, screenalytics: Any
) -> None:
    data_dir = own_system.settings.data_dir
    names = (EP_ID.encode(), FILE_NAME.encode())
    everything = (*names, ran.uid.encode(), ran.job_id.encode(), *ran.vectors)
    dsn = dsn_of(own_system)
    assert traces_in_database(dsn, names)
    assert traces_in_files(data_dir / "store", everything)
    assert traces_in_files(data_dir / "nats", everything)
    ended = screenalytics("erase", EP_ID, "--yes", "--json", "--data-dir", data_dir)
    assert ended.status == 0, ended.err
    assert traces_in_database(dsn, names) == []
    with Client(own_system.state.api_url) as client:
        receipt = _until_done(lambda: client.erasure(ended.record["erasure_id"]))
    assert (receipt.open_attempts, receipt.unemptied_streams) == (0, ())
    assert set(traces_in_database(dsn, everything)) <= {"public.erasures"}  # random ids, for a day
    assert traces_in_files(data_dir / "store", everything) == []
    assert traces_in_files(data_dir / "nats", everything) == []
    assert traces_in_files(data_dir / "logs", (*names, *ran.vectors)) == []


def _until_done(read: Callable[[], Any]) -> Any:
    give_up_at = time.monotonic() + _DONE_WITHIN_S
    while (receipt := read()).state != "done" or receipt.unemptied_streams:
        assert time.monotonic() < give_up_at, receipt
        time.sleep(0.2)  # what is waited for happens in other processes
    return receipt
