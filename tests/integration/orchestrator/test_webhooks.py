"""Webhooks: told what has happened, signed, at least once, in order, and never where they must not be sent."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from services.kit.errors import InvalidSettings
from services.kit.messages import TaskOutcome
from services.local.nats import EmbeddedNats
from services.orchestrator.paging import PageRequest, page_of
from services.orchestrator.settings import WebhooksSettings
from services.orchestrator.webhook_messages import SecretBox, retry_delay_s
from tests.integration.orchestrator.conftest import Serve
from tests.integration.orchestrator.process import orchestrator
from tests.integration.parts import VIDEO, Parts, until
from tests.integration.remote import Answer, Authority, Remote, Request, answer, serving

KEY = base64.b64encode(bytes(range(32))).decode()
QUICK = WebhooksSettings(secret_key=KEY, first_retry_s=0.01, longest_retry_s=0.02, max_attempts=3)
DOC = Path(__file__).parents[3] / "docs" / "webhooks.md"
_STATE = ("state", "attempts")


def documented() -> Callable[[str, dict[str, str], bytes], bool]:
    """What the documentation tells receivers to do."""
    code = re.search(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {}
    exec(code[1], scope)
    return cast(Callable[[str, dict[str, str], bytes], bool], scope["is_genuine"])


is_genuine = documented()


class Receiver:
    """Answers with what it was told to, in turn; the last answer repeats."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.answers: list[Answer] = [answer(204)]
        self.remote: Remote

    def handle(self, _: Request) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.remote.port}/in"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.remote.requests]

    async def has(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.remote.requests) >= count

        await until(enough)


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    made = Receiver(Authority(tmp_path))
    async with serving(made.handle, made.authority.server("127.0.0.1")) as made.remote:
        yield made


@pytest.fixture
async def api(serve_api: Serve, receiver: Receiver) -> AsyncIterator[httpx.AsyncClient]:
    outbound = receiver.authority.settings(receiver.remote.port)
    async with serve_api(webhooks=QUICK, outbound=outbound) as client:
        yield client


async def create(api: httpx.AsyncClient, url: str, *types: str) -> dict[str, Any]:
    made = await api.post("/v1/webhooks", json={"url": url, "event_types": list(types)})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def deliveries(api: httpx.AsyncClient, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    answered = await api.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries")
    return list(answered.json()["deliveries"])


async def settled(api: httpx.AsyncClient, webhook: dict[str, Any], state: str) -> dict[str, Any]:
    """The one delivery, once it is in that state."""

    async def found() -> dict[str, Any] | None:
        shown = await deliveries(api, webhook)
        return shown[0] if shown and shown[0]["state"] == state else None

    return dict(await until(found))


async def test_a_whole_pipeline_is_told_in_order_and_signed(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    webhook = await create(api, receiver.url)
    assert webhook["secret"].startswith("whsec_")
    job_id = await parts.submitted()
    await parts.finish(job_id)
    await receiver.has(7)
    assert [event["type"].removeprefix("screenalytics.") for event in receiver.events] == [
        "episode.registered",
        "job.queued",
        "job.running",
        "stage_run.succeeded",
        "stage_run.succeeded",
        "stage_run.succeeded",
        "job.succeeded",
    ]
    for request, event in zip(receiver.remote.requests, receiver.events, strict=True):
        assert is_genuine(webhook["secret"], request.headers, request.body)
        assert not is_genuine(webhook["secret"], request.headers, request.body + b" ")
        assert event["id"] == request.headers["webhook-id"]
        assert request.headers["content-type"] == "application/cloudevents+json"
        assert {"specversion", "source", "type", "subject", "time", "data"} <= set(event)
    last = receiver.events[-1]
    assert last["subject"] == f"jobs/{job_id}"
    assert (last["data"]["job_id"], last["data"]["state"]) == (job_id, "succeeded")
    numbers = [event["sequence"] for event in receiver.events]
    assert numbers == sorted(set(numbers))


async def test_a_dead_letter_and_its_failure_are_told(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    await create(api, receiver.url, "screenalytics.task.dead", "screenalytics.job.failed")
    job_id = await parts.submitted()
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    await parts.report(
        task, attempt_id, TaskOutcome.REJECTED, error_code="invalid-media", error_message="no video"
    )
    await receiver.has(2)
    told = {event["type"].rpartition(".")[2]: event["data"] for event in receiver.events}
    assert (told["dead"]["task_id"], told["dead"]["error_code"]) == (task.task_id, "invalid-media")
    assert told["failed"]["error_code"] == "invalid-media"


async def test_a_change_that_is_rolled_back_is_not_told(
    parts: Parts, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    from services.orchestrator.lifecycle import State
    from services.orchestrator.transitions import move_job

    await create(api, receiver.url, "screenalytics.job.running")
    job_id = await parts.submitted()
    with suppress(RuntimeError):
        async with parts.database.transaction() as tx:
            await move_job(tx, job_id, State.RUNNING)
            raise RuntimeError
    assert await parts.rows("SELECT 1 FROM webhook_events") == []


async def test_a_failing_receiver_is_tried_again_and_then_given_up_and_can_be_replayed(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    receiver.answers = [answer(500, b"out of order " * 100)]
    webhook = await create(api, receiver.url, "screenalytics.episode.registered")
    await parts.upload()
    dead = await settled(api, webhook, "dead")
    assert tuple(dead[name] for name in _STATE) == ("dead", 3)
    assert [(t["status"], len(t["error"])) for t in dead["tries"]] == [(500, 200)] * 3
    assert len({r.headers["webhook-id"] for r in receiver.remote.requests}) == 1
    assert len({r.body for r in receiver.remote.requests}) == 1
    receiver.answers = [answer(200)]
    path = f"/v1/webhooks/{webhook['webhook_id']}/deliveries/{dead['delivery_id']}:replay"
    assert (await api.post(path)).json()["state"] == "pending"
    done = await settled(api, webhook, "delivered")
    assert done["delivered_at"] is not None
    assert receiver.remote.requests[-1].headers["webhook-id"] == dead["event_id"]
    assert (await api.post(path.replace(dead["delivery_id"], "nobody"))).status_code == 404


async def test_a_receiver_that_is_gone_is_told_nothing_more_until_it_is_enabled(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    receiver.answers = [answer(410)]
    webhook = await create(api, receiver.url)
    await parts.upload()
    await settled(api, webhook, "dead")
    shown = (await api.get(f"/v1/webhooks/{webhook['webhook_id']}")).json()
    assert "410" in shown["disabled_reason"]
    await parts.submit()
    assert len(await deliveries(api, webhook)) == 1
    assert len(receiver.remote.requests) == 1
    path = f"/v1/webhooks/{webhook['webhook_id']}:enable"
    enabled = [(await api.post(path)).json() for _ in range(2)]
    assert enabled == [shown | {"disabled_at": None, "disabled_reason": None}] * 2
    await parts.upload("next", content=VIDEO + b"more")
    await receiver.has(2)
    assert (await api.post("/v1/webhooks/nobody:enable")).status_code == 404


async def test_what_was_due_when_a_webhook_was_disabled_is_told_once_it_is_enabled(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()

    async def gone(writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(answer(410))

    receiver.answers = [gone, answer(204)]
    webhook = await create(api, receiver.url, "screenalytics.episode.registered")
    await parts.upload("first")
    await receiver.has(1)
    await parts.upload("second", content=VIDEO + b"more")
    may_answer.set()
    path = f"/v1/webhooks/{webhook['webhook_id']}"

    async def is_disabled() -> bool:
        return (await api.get(path)).json()["disabled_at"] is not None

    await until(is_disabled)
    assert [d["state"] for d in await deliveries(api, webhook)] == ["pending", "dead"]
    assert (await api.post(f"{path}:enable")).status_code == 200
    await receiver.has(2)
    assert receiver.events[-1]["data"]["ep_id"] == "second"
    await settled(api, webhook, "delivered")


async def test_a_rotated_secret_signs_beside_the_older_one(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    older = await create(api, receiver.url, "screenalytics.episode.registered")
    path = f"/v1/webhooks/{older['webhook_id']}:rotate-secret"
    newer = (await api.post(path, json={"overlap_s": 3600})).json()
    await parts.upload("first")
    await receiver.has(1)
    (request,) = receiver.remote.requests
    assert len(request.headers["webhook-signature"].split()) == 2
    for made in (older, newer):
        assert is_genuine(made["secret"], request.headers, request.body)
    last = (await api.post(path, json={"overlap_s": 0})).json()
    await parts.upload("second", content=b"\x00\x00\x00\x20ftypisom" + bytes(5000))
    await receiver.has(2)
    request = receiver.remote.requests[-1]
    assert is_genuine(last["secret"], request.headers, request.body)
    assert not is_genuine(newer["secret"], request.headers, request.body)


async def test_secrets_are_told_once_and_kept_sealed(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    webhook = await create(api, receiver.url)
    for path in ("/v1/webhooks", f"/v1/webhooks/{webhook['webhook_id']}"):
        assert "secret" not in (await api.get(path)).text
    (row,) = await parts.rows("SELECT webhook_id, secret FROM webhooks")
    plain = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    assert plain not in bytes(row["secret"])
    assert SecretBox(KEY).open(bytes(row["secret"]), row["webhook_id"]) == plain
    for box, owner in ((SecretBox(KEY), "another"), (SecretBox("A" * 43 + "="), row["webhook_id"])):
        with pytest.raises(InvalidSettings):
            box.open(bytes(row["secret"]), owner)


async def test_webhooks_that_cannot_be_are_problems(
    api: httpx.AsyncClient, serve_api: Serve, receiver: Receiver
) -> None:
    for body, code in (
        ({"url": "https://10.0.0.1/"}, "address-refused"),
        ({"url": f"http://127.0.0.1:{receiver.remote.port}/"}, "address-refused"),
        ({"url": "https://127.0.0.1:22/"}, "address-refused"),
        ({"url": receiver.url, "event_types": ["screenalytics.unknown"]}, "invalid-request"),
        ({"url": receiver.url, "more": 1}, "invalid-request"),
        ({}, "invalid-request"),
    ):
        assert (await api.post("/v1/webhooks", json=body)).json()["code"] == code, body
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries")):
        assert (await api.request(method, f"/v1/webhooks/nobody{path}")).status_code == 404
    async with serve_api() as without_key:
        refused = await without_key.post("/v1/webhooks", json={"url": receiver.url})
        assert (refused.status_code, "SECRET_KEY" in refused.json()["hint"]) == (409, True)


async def test_a_deleted_webhook_is_told_nothing(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    webhook = await create(api, receiver.url)
    assert (await api.delete(f"/v1/webhooks/{webhook['webhook_id']}")).status_code == 204
    await parts.submitted()
    assert await parts.rows("SELECT 1 FROM webhook_events") == []
    assert receiver.remote.requests == []


async def test_an_erased_episode_is_gone_from_the_deliveries(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    webhook = await create(api, receiver.url)
    await parts.finish(await parts.submitted())
    await receiver.has(7)
    assert (await api.delete("/v1/episodes/show")).status_code < 300
    assert await deliveries(api, webhook) == []
    assert await parts.rows("SELECT 1 FROM webhook_events") == []


async def test_deliveries_are_listed_page_by_page(
    api: httpx.AsyncClient, parts: Parts, receiver: Receiver
) -> None:
    webhook = await create(api, receiver.url)
    await parts.finish(await parts.submitted())
    path, token, seen = f"/v1/webhooks/{webhook['webhook_id']}/deliveries", "", []
    for _ in range(4):
        page = (await api.get(path, params={"page_size": 2, "page_token": token})).json()
        seen += [delivery["type"] for delivery in page["deliveries"]]
        token = page["next_page_token"]
    assert token == ""
    forged = page_of(
        ["", ""], PageRequest(1), {"list": "deliveries", "webhook_id": webhook["webhook_id"]}, lambda _: ("x",)
    )
    refused = await api.get(path, params={"page_token": forged.next_page_token})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-page-token")
    assert len(seen) == 7
    assert seen[-1] == "screenalytics.episode.registered"


async def test_replicas_share_the_deliveries_and_send_each_once(
    serve_api: Serve, parts: Parts, receiver: Receiver
) -> None:
    groups = {"webhooks": QUICK, "outbound": receiver.authority.settings(receiver.remote.port)}
    async with serve_api(**groups) as one, serve_api(**groups) as _:
        webhook = await create(one, receiver.url)
        await parts.finish(await parts.submitted())

        async def all_delivered() -> bool:
            shown = await deliveries(one, webhook)
            return len(shown) == 7 and {d["state"] for d in shown} == {"delivered"}

        await until(all_delivered)
    ids = [request.headers["webhook-id"] for request in receiver.remote.requests]
    assert len(ids) == len(set(ids)) == 7
    assert [e["sequence"] for e in receiver.events] == sorted(e["sequence"] for e in receiver.events)


async def test_an_orchestrator_that_dies_before_it_could_note_a_delivery_sends_the_same_again(
    parts: Parts, nats_server: EmbeddedNats, tmp_path: Path, receiver: Receiver
) -> None:
    asked, hold = asyncio.Event(), asyncio.Event()

    async def held(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hold.wait()

    receiver.answers = [held, answer(200)]
    settings = {
        "SCREENALYTICS_WEBHOOKS__SECRET_KEY": KEY,
        "SCREENALYTICS_OUTBOUND__CA_FILE": str(receiver.authority.file),
        "SCREENALYTICS_OUTBOUND__PORTS": f"[{receiver.remote.port}]",
        "SCREENALYTICS_OUTBOUND__ALLOW_NETWORKS": '["127.0.0.0/8"]',
    }
    async with orchestrator(parts, nats_server.url, tmp_path, settings) as (process, api):
        webhook = await create(api, receiver.url, "screenalytics.episode.registered")
        await parts.upload()
        await asyncio.wait_for(asked.wait(), 20)
        process.kill()  # the receiver has it, and nobody knows
        hold.set()
        await parts.rows("UPDATE webhook_deliveries SET sent_until = now()")
        await process.start(api)
        await settled(api, webhook, "delivered")
    first, second = receiver.remote.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert is_genuine(webhook["secret"], second.headers, second.body)


def test_retries_wait_twice_as_long_each_time_up_to_a_limit_with_jitter() -> None:
    settings = WebhooksSettings(first_retry_s=5, longest_retry_s=100)
    assert [retry_delay_s(n, settings, 1) for n in range(1, 8)] == [5, 10, 20, 40, 80, 100, 100]
    assert [retry_delay_s(n, settings, 0) for n in (1, 2)] == [2.5, 5]
    assert retry_delay_s(10_000, settings, 0.5) == 75
