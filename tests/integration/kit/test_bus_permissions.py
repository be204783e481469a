"""Each role with its own credentials on a real server: what it needs works, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from services.kit import bus
from services.kit.bus_connection import connect
from services.kit.bus_permissions import ORCHESTRATOR, ROLES, permissions
from services.kit.errors import SystemUnavailable
from services.kit.settings import NatsSettings
from services.kit.stages import Stage
from services.local.launch import Launch
from services.local.nats import EmbeddedNats, binary
from services.local.ports import LOOPBACK, choose_ports
from services.local.readiness import http_obstacle, running_server
from services.orchestrator.job_request import JobKind
from services.orchestrator.nats_config import config, password_variable
from tests.integration.kit.conftest import StartWorker
from tests.integration.kit.handlers import Held, work
from tests.integration.parts import Parts, until

_NOBODYS = "nobodys"
CLAIMED = "screenalytics.task.{}.cpu.job.task"


@dataclass
class Guarded:
    """A server that was configured by the command, and each role's settings for it."""

    url: str

    def of(self, role: str, **more: object) -> NatsSettings:
        given = {"url": self.url, "user": role, "password": f"secret-of-{role}"}
        return NatsSettings.model_validate(given | more)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    port, monitoring = choose_ports(2)
    (tmp_path / "roles.conf").write_text(config())
    (tmp_path / "server.conf").write_text(
        f'listen: "{LOOPBACK}:{port}"\nhttp: "{LOOPBACK}:{monitoring}"\n'
        f'jetstream {{ store_dir: "{tmp_path}" }}\ninclude ./roles.conf\n'
    )
    env = {**os.environ, **{password_variable(role): f"secret-of-{role}" for role in ROLES}}
    launch = Launch(argv=(str(binary()), "--config", str(tmp_path / "server.conf")), env=env)
    with running_server(launch, tmp_path / "server.log", http_obstacle(monitoring, "/healthz"), 30):
        yield Guarded(f"nats://{LOOPBACK}:{port}")


@dataclass
class Asking:
    """A client that collects what it was refused."""

    client: Client
    refused: list[str] = field(default_factory=list)

    async def was_refused(self, act: Callable[[Client], Awaitable[object]]) -> bool:
        """Refusals come in the order of what was asked: that of a subject nobody may use comes last."""
        await act(self.client)
        last = f"{_NOBODYS}.{len(self.refused)}"
        await self.client.publish(last, b"x")

        async def is_told() -> bool:
            return any(last in text for text in self.refused)

        await until(is_told, every_s=0.001)
        return _NOBODYS not in self.refused[-2] if len(self.refused) > 1 else False


@asynccontextmanager
async def asking(settings: NatsSettings) -> AsyncIterator[Asking]:
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            refused.append(str(error))

    client = await nats.connect(
        settings.url,
        user=settings.user,
        password=settings.password.get_secret_value(),
        inbox_prefix=f"_INBOX.{settings.user}",
        error_cb=on_error,
    )
    try:
        yield Asking(client, refused)
    finally:
        await client.close()


def others(stage: Stage) -> list[Stage]:
    return [one for one in Stage if one is not stage]


def subjects_no_worker_may_publish(stage: Stage) -> list[str]:
    found = [CLAIMED.format(one) for one in Stage]
    found += ["screenalytics.control.job", "screenalytics", "anything", f"_INBOX.{ORCHESTRATOR}.x"]
    found += [f"_INBOX.{one}.x" for one in Stage]
    for one in others(stage):
        found += [
            f"$JS.API.CONSUMER.MSG.NEXT.TASKS.{bus.route_consumer(one, 'cpu')}",
            f"$JS.ACK.TASKS.{bus.route_consumer(one, 'cuda')}.1.1.1.1.0",
        ]
    for stream, consumer in (("RESULTS", bus.RESULTS_CONSUMER), ("LOGS", bus.LOGS_CONSUMER)):
        found += [f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", f"$JS.ACK.{stream}.{consumer}.1.1.1.1.0"]
    for stream in ("TASKS", "RESULTS", "LOGS"):
        found += [f"$JS.API.STREAM.{c}.{stream}" for c in ("INFO", "PURGE", "DELETE", "UPDATE", "MSG.GET")]
        found += [f"$JS.API.CONSUMER.{c}.{stream}.mine" for c in ("CREATE", "DURABLE.CREATE", "DELETE", "INFO")]
        found += [f"$JS.API.DIRECT.GET.{stream}"]
    return [
        *found,
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.CREATE.MINE",
        "$SYS.REQ.SERVER.PING",
    ]


def subjects_no_worker_may_hear(stage: Stage) -> list[str]:
    found = [">", "screenalytics.>", bus.CLAIM, bus.ALL_RESULTS, bus.ALL_LOGS, bus.ALL_PROGRESS]
    found += [
        bus.ALL_HEARTBEATS,
        "screenalytics.task.>",
        bus.tasks_of_route(stage, "cpu"),
        "_INBOX.>",
        "_INBOX.*.>",
    ]
    return [
        *found,
        *(f"_INBOX.{one}.>" for one in (ORCHESTRATOR, *others(stage))),
        "$JS.>",
        "$SYS.>",
        "anything",
    ]


@pytest.mark.parametrize("stage", Stage)
async def test_a_worker_may_do_nothing_beyond_its_work(guarded: Guarded, stage: Stage) -> None:
    async with asking(guarded.of(stage)) as worker:
        for subject in subjects_no_worker_may_publish(stage):
            assert await worker.was_refused(lambda nc, s=subject: nc.publish(s, b"x")), subject
        for subject in subjects_no_worker_may_hear(stage):
            assert await worker.was_refused(lambda nc, s=subject: nc.subscribe(s)), subject
        for subject in (bus.CLAIM, "screenalytics.result.job", "screenalytics.worker.me"):
            assert not await worker.was_refused(lambda nc, s=subject: nc.publish(s, b"x")), subject


async def test_the_orchestrator_may_not_speak_as_a_worker_nor_touch_what_is_not_its_own(
    guarded: Guarded,
) -> None:
    async with asking(guarded.of(ORCHESTRATOR)) as orchestrator:
        for subject in (
            bus.CLAIM,
            "screenalytics.result.job",
            "screenalytics.log.job",
            "screenalytics.worker.me",
            "$JS.API.STREAM.CREATE.MINE",
            "$JS.API.STREAM.DELETE.TASKS",
            f"$JS.API.CONSUMER.MSG.NEXT.TASKS.{bus.route_consumer(Stage.CLUSTER, 'cpu')}",
            "anything",
        ):
            assert await orchestrator.was_refused(lambda nc, s=subject: nc.publish(s, b"x")), subject
        for subject in (">", "_INBOX.>", f"_INBOX.{Stage.CLUSTER}.>", "screenalytics.task.>"):
            assert await orchestrator.was_refused(lambda nc, s=subject: nc.subscribe(s)), subject


@pytest.fixture
async def nc(guarded: Guarded) -> AsyncIterator[Client]:
    """The orchestrator's connection, of which `parts` and `agents` are made."""
    client = await connect(guarded.of(ORCHESTRATOR), name=ORCHESTRATOR)
    yield client
    await client.close()


async def ended(parts: Parts, job_id: str) -> str:
    async def state() -> str | None:
        found, _ = await parts.states(job_id)
        return found if found in ("succeeded", "failed", "cancelled") else None

    return str(await until(state))


async def test_a_pipeline_runs_to_its_end_with_each_role_on_its_own_credentials(
    agents: Parts, start_worker: StartWorker, guarded: Guarded
) -> None:
    job_id = await agents.submitted()
    async with AsyncExitStack() as stack:
        for stage in Stage:
            await stack.enter_async_context(start_worker(work, stage=stage, nats=guarded.of(stage)))
        assert await ended(agents, job_id) == "succeeded"

        async def said() -> list[dict[str, Any]]:
            return await agents.rows("SELECT 1 FROM job_events WHERE type = 'log' AND job_id = %s", job_id)

        assert await until(said)


async def test_a_cancel_reaches_a_worker_on_its_own_credentials(
    agents: Parts, start_worker: StartWorker, guarded: Guarded
) -> None:
    held = Held()
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held, nats=guarded.of(Stage.DETECT_TRACK)):
        await until(held.is_entered)
        await agents.jobs.cancel(job_id)

        async def is_let_go() -> bool:
            return [row["state"] for row in await agents.rows("SELECT state FROM attempts")] == ["fenced"]

        await until(is_let_go)


async def test_refused_credentials_are_said_at_once_and_without_the_password(guarded: Guarded) -> None:
    wrong = guarded.of(Stage.CLUSTER, password="something-secret")
    in_url = NatsSettings(url=guarded.url.replace("//", "//cluster:something-secret@"))
    for settings in (wrong, in_url, NatsSettings(url=guarded.url)):
        with pytest.raises(SystemUnavailable, match="refuses the credentials") as refused:
            await connect(settings, name="cluster")
        assert "something-secret" not in str(refused.value)


def test_a_service_with_refused_credentials_ends_with_status_4(guarded: Guarded, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "SCREENALYTICS_STORE__URL": tmp_path.as_uri(),
        "SCREENALYTICS_NATS__URL": guarded.url,
        "SCREENALYTICS_NATS__USER": "cluster",
        "SCREENALYTICS_NATS__PASSWORD": "something-secret",
        "SCREENALYTICS_INFERENCE__PROVIDER": "cpu",
        "SCREENALYTICS_HEALTH__PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.clusterer"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "refuses the credentials" in done.stderr
    assert "something-secret" not in done.stderr


def test_roles_have_no_subject_in_common_but_those_of_their_work() -> None:
    for stage in Stage:
        assert set(permissions(stage).publish) & set(permissions(ORCHESTRATOR).publish) == set()
        for other in others(stage):
            shared = set(permissions(stage).publish) & set(permissions(other).publish)
            assert not any(subject.startswith("$JS") for subject in shared)


async def test_the_embedded_server_has_the_same_roles(nats_server: EmbeddedNats) -> None:
    login = nats_server.login(Stage.CLUSTER)
    settings = NatsSettings(
        url=login["SCREENALYTICS_NATS__URL"],
        user=login["SCREENALYTICS_NATS__USER"],
        password=login["SCREENALYTICS_NATS__PASSWORD"],
    )
    async with asking(settings) as worker:
        subject = CLAIMED.format(Stage.CLUSTER)
        assert await worker.was_refused(lambda nc: nc.publish(subject, b"x"))
