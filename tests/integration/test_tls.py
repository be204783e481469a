"""TLS of every listener and client: the right authority works, another one and plain text do not."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from services.client import ApiUnavailable, Client
from services.kit.bus_connection import connect
from services.kit.errors import InvalidSettings, SystemUnavailable
from services.kit.health import serve_health
from services.kit.settings import ListenerSettings, NatsSettings
from services.kit.tls import listener_context
from services.local.launch import Launch
from services.local.nats import EmbeddedNats, binary
from services.local.ports import LOOPBACK, choose_ports
from services.local.readiness import http_obstacle, running_server
from services.orchestrator.app import serve
from services.orchestrator.settings import GrpcSettings, HttpSettings
from tests.integration.certificates import Certificates
from tests.integration.parts import Parts, until


@pytest.fixture
def ours(tmp_path: Path) -> Certificates:
    return Certificates.made(tmp_path / "ours")


@pytest.fixture
def strange(tmp_path: Path) -> Certificates:
    return Certificates.made(tmp_path / "strange")


def status(url: str, verify: ssl.SSLContext | bool) -> int | None:
    """None when no answer comes about."""
    try:
        return httpx.get(url, verify=verify, timeout=10, trust_env=False).status_code
    except httpx.TransportError:
        return None


def assert_is_guarded(port: int, ours: Certificates, strange: Certificates, *, asks_clients: bool) -> None:
    url = f"https://{LOOPBACK}:{port}/livez"
    assert status(url, ours.trusting(with_certificate=asks_clients)) == 200
    assert status(url, strange.trusting(with_certificate=True)) is None
    assert status(url, True) is None
    assert status(url.replace("https", "http"), True) is None
    if asks_clients:
        assert status(url, ours.trusting()) is None


@pytest.mark.parametrize("asks_clients", [False, True])
async def test_the_listeners_of_the_api(
    parts: Parts, nats_server: EmbeddedNats, ours: Certificates, strange: Certificates, asks_clients: bool
) -> None:
    port, grpc_port = choose_ports(2)
    settings = parts.settings.model_copy(
        update={
            "http": HttpSettings(host=LOOPBACK, port=port, **ours.listener(asks_clients=asks_clients)),
            "grpc": GrpcSettings(host=LOOPBACK, port=grpc_port, **ours.listener(asks_clients=asks_clients)),
            "nats": NatsSettings(url=nats_server.url),
        }
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop))
    try:

        async def answers() -> bool:
            trusted = ours.trusting(with_certificate=True)
            return await asyncio.to_thread(status, f"https://{LOOPBACK}:{port}/livez", trusted) == 200

        await until(answers)
        await asyncio.to_thread(assert_is_guarded, port, ours, strange, asks_clients=asks_clients)
        await assert_grpc_is_guarded(grpc_port, ours, strange, asks_clients=asks_clients)
        if not asks_clients:
            await asyncio.to_thread(assert_the_client_is_guarded, port, ours, strange)
    finally:
        stop.set()
        await serving


async def answers_grpc(port: int, credentials: grpc.ChannelCredentials | None) -> bool:
    address, options = (
        f"{LOOPBACK}:{port}",
        [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)],
    )
    made = (
        grpc.aio.insecure_channel(address, options=options)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=options)
    )
    async with made as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.aio.AioRpcError:
            return False
        return True


async def assert_grpc_is_guarded(
    port: int, ours: Certificates, strange: Certificates, *, asks_clients: bool
) -> None:
    assert await answers_grpc(port, ours.of_grpc(with_certificate=asks_clients))
    assert not await answers_grpc(port, strange.of_grpc(with_certificate=True))
    assert not await answers_grpc(port, None)
    if asks_clients:
        assert not await answers_grpc(port, ours.of_grpc(with_certificate=False))


def assert_the_client_is_guarded(port: int, ours: Certificates, strange: Certificates) -> None:
    url = f"https://{LOOPBACK}:{port}"
    with Client(url, ca_file=ours.ca) as client:
        assert client.workers() == []
    for address, ca_file in ((url, strange.ca), (url, None), (url.replace("https", "http"), ours.ca)):
        with Client(address, ca_file=ca_file, retry_for_s=0) as client, pytest.raises(ApiUnavailable):
            client.workers()


@pytest.mark.parametrize("asks_clients", [False, True])
def test_the_listener_of_a_worker(ours: Certificates, strange: Certificates, asks_clients: bool) -> None:
    context = listener_context(ListenerSettings(**ours.listener(asks_clients=asks_clients)))
    with serve_health(
        LOOPBACK, 0, live=lambda: None, ready=lambda: None, registry=CollectorRegistry(), tls=context
    ) as port:
        assert_is_guarded(port, ours, strange, asks_clients=asks_clients)


def test_certificate_files_that_cannot_be_used_are_named(ours: Certificates, tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    for files in (
        {"tls_cert_file": absent, "tls_key_file": ours.server_key},
        {"tls_cert_file": ours.server_cert, "tls_key_file": ours.client_key},
        {"tls_key_file": ours.server_key},
        {"tls_client_ca_file": ours.ca},
    ):
        with pytest.raises(InvalidSettings):
            listener_context(ListenerSettings(**files))
    authority = {**ours.listener(asks_clients=True), "tls_client_ca_file": absent}
    with pytest.raises(InvalidSettings, match=re.escape(str(absent))):
        listener_context(ListenerSettings(**authority))


def renew(ours: Certificates, other: Certificates) -> None:
    """As a mounted Secret changes: each file at once."""
    for mine, its in ((ours.server_cert, other.server_cert), (ours.server_key, other.server_key)):
        shutil.copy(its, beside := mine.with_suffix(".new"))
        beside.replace(mine)


async def test_the_listeners_of_the_api_take_up_a_renewed_certificate(
    parts: Parts, nats_server: EmbeddedNats, ours: Certificates, strange: Certificates
) -> None:
    port, grpc_port = choose_ports(2)
    settings = parts.settings.model_copy(
        update={
            "http": HttpSettings(host=LOOPBACK, port=port, **ours.listener()),
            "grpc": GrpcSettings(host=LOOPBACK, port=grpc_port, **ours.listener()),
            "nats": NatsSettings(url=nats_server.url),
        }
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop))

    async def both_answer(certificates: Certificates) -> bool:
        url = f"https://{LOOPBACK}:{port}/livez"
        of_http = await asyncio.to_thread(status, url, certificates.trusting()) == 200
        return await answers_grpc(grpc_port, certificates.of_grpc(with_certificate=False)) and of_http

    try:
        await until(lambda: both_answer(ours))
        renew(ours, strange)
        await until(lambda: both_answer(strange))
        assert not await both_answer(ours)
    finally:
        stop.set()
        await serving


def test_a_renewed_certificate_that_cannot_be_used_is_left(
    ours: Certificates, strange: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    context = listener_context(ListenerSettings(**ours.listener()))
    trusting = ours.trusting()
    with serve_health(
        LOOPBACK, 0, live=lambda: None, ready=lambda: None, registry=CollectorRegistry(), tls=context
    ) as port:
        url = f"https://{LOOPBACK}:{port}/livez"
        shutil.copy(strange.server_key, ours.server_key)  # of another certificate
        assert [status(url, trusting) for _ in range(3)] == [200] * 3
        assert [record.message for record in caplog.records if "cannot be used" in record.message]
        shutil.copy(strange.server_cert, ours.server_cert)
        status(url, trusting)  # the handshake that finds it
        assert status(url, strange.trusting()) == 200
        assert status(url, trusting) is None


@dataclass(frozen=True)
class NatsServer:
    port: int

    def settings(self, **more: object) -> NatsSettings:
        return NatsSettings.model_validate({"url": f"nats://{LOOPBACK}:{self.port}", **more})


def running_nats(folder: Path, *lines: str) -> Iterator[NatsServer]:
    port, monitoring = choose_ports(2)
    config = folder / "nats.conf"
    config.write_text("\n".join([f"listen: {LOOPBACK}:{port}", f"http: {LOOPBACK}:{monitoring}", *lines]))
    launch = Launch(argv=(str(binary()), "--config", str(config)), env=os.environ)
    with running_server(launch, folder / "nats.log", http_obstacle(monitoring, "/healthz"), 30):
        yield NatsServer(port)


@pytest.fixture
def nats_by_tls(ours: Certificates, tmp_path: Path) -> Iterator[NatsServer]:
    tls = f'tls {{ cert_file: "{ours.server_cert}", key_file: "{ours.server_key}", ca_file: "{ours.ca}", verify: true }}'
    yield from running_nats(tmp_path, tls)


@pytest.fixture
def nats_in_plain_text(tmp_path: Path) -> Iterator[NatsServer]:
    yield from running_nats(tmp_path)


async def test_a_client_of_nats_by_tls(
    nats_by_tls: NatsServer, ours: Certificates, strange: Certificates
) -> None:
    def files(certificates: Certificates) -> dict[str, object]:
        return {
            "tls_ca_file": certificates.ca,
            "tls_cert_file": certificates.client_cert,
            "tls_key_file": certificates.client_key,
        }

    client = await connect(nats_by_tls.settings(**files(ours)), name="test")
    await client.close()
    for wrong in (files(strange), {"tls_ca_file": ours.ca}):
        with pytest.raises(SystemUnavailable):
            await connect(nats_by_tls.settings(**wrong), name="test")
    with pytest.raises(InvalidSettings):
        await connect(nats_by_tls.settings(tls_ca_file=ours.ca.with_name("absent.pem")), name="test")


async def test_a_client_that_wants_tls_sends_no_credentials_in_plain_text(
    nats_in_plain_text: NatsServer, ours: Certificates
) -> None:
    wanting = nats_in_plain_text.settings(user="cluster", password="secret", tls_ca_file=ours.ca)
    with pytest.raises(SystemUnavailable, match="offers no TLS"):
        await connect(wanting, name="test")
