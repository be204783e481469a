"""Where anybody may call: only where this machine alone can connect, unless a setting says otherwise."""

from __future__ import annotations

import asyncio
import gc
import warnings

import httpx
import pytest

from services.kit.errors import InvalidSettings
from services.kit.settings import NatsSettings
from services.local.nats import EmbeddedNats
from services.orchestrator.access.exposure import AccessMode
from services.orchestrator.app import serve
from services.orchestrator.settings import AccessSettings, HttpSettings
from tests.integration.orchestrator.access.conftest import Issuer
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import VIDEO, Parts


async def test_a_listener_of_this_machine_asks_nobody_who_they_are(serve_api: Serve) -> None:
    async with serve_api() as api:
        assert (await api.get("/v1/keys")).status_code == 200
        assert (await api.get("/docs")).status_code == 200
        assert (await api.get("/v1/jobs", headers={"Authorization": "Bearer of nothing"})).status_code == 200
        assert (await api.get("/v1/nothing")).status_code == 404


async def test_a_page_of_another_site_cannot_use_it_through_a_browser(serve_api: Serve) -> None:
    async with serve_api() as api:
        for headers in (
            {"Host": "rebound.test"},
            {"Host": "rebound.test:8080"},
            {"Host": "127.0.0.1.rebound.test"},
        ):
            answer = await api.get("/v1/jobs", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "permission-denied"), headers
        across = {"Sec-Fetch-Site": "cross-site"}
        answer = await api.post("/v1/episodes", params={"ep_id": "show"}, content=VIDEO, headers=across)
        assert answer.status_code == 403
        for host in ("localhost", "localhost:1", "[::1]", "[::1]:80", "127.0.0.1"):
            assert (await api.get("/v1/jobs", headers={"Host": host})).status_code == 200, host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "orchestrator.internal"])
async def test_open_access_elsewhere_is_refused_at_start(parts: Parts, host: str) -> None:
    settings = parts.settings.model_copy(
        update={"http": HttpSettings(host=host, port=0), "access": AccessSettings(mode=AccessMode.OPEN)}
    )
    with pytest.raises(InvalidSettings, match="open") as refused:
        await serve(settings, asyncio.Event())
    assert "ALLOW_ANYONE_WHO_CAN_CONNECT" in refused.value.hint


async def test_an_issuer_that_cannot_be_trusted_is_refused_before_any_agent_begins(
    parts: Parts, nats_server: EmbeddedNats, issuer: Issuer
) -> None:
    groups = {"nats": NatsSettings(url=nats_server.url), "oidc": issuer.settings(audience="")}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(InvalidSettings, match="AUDIENCE"):
            await serve(parts.settings.model_copy(update=groups), asyncio.Event())
        gc.collect()
    assert [str(one.message) for one in told if "never awaited" in str(one.message)] == []


async def test_the_probes_answer_everybody_where_keys_are_required(secured: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await secured.get(path)).status_code == 200
