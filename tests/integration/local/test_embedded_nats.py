"""nats-server from its wheel."""

from __future__ import annotations

import socket
from pathlib import Path

import nats

from services.local.nats import EmbeddedNats
from services.local.ports import LOOPBACK


async def test_a_stream_survives_a_restart(tmp_path: Path) -> None:
    home = tmp_path / 'a "quoted" place'
    with EmbeddedNats.running(home) as first:
        client = await nats.connect(first.url)
        stream = client.jetstream()
        await stream.add_stream(name="KEPT", subjects=["kept.>"])
        await stream.publish("kept.one", b"still here")
        await client.close()
    with EmbeddedNats.running(home) as second:
        client = await nats.connect(second.url)
        message = await client.jetstream().get_msg("KEPT", 1)
        await client.close()
    assert message.data == b"still here"


def test_nobody_gets_in_without_the_password(tmp_path: Path) -> None:
    with EmbeddedNats.running(tmp_path) as server, socket.create_connection((LOOPBACK, server.port)) as client:
        client.sendall(b"CONNECT {}\r\nPING\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"Authorization Violation" in answer
    assert b"PONG" not in answer


def test_the_configuration_is_closed_to_others(tmp_path: Path) -> None:
    with EmbeddedNats.running(tmp_path):
        assert (tmp_path / "nats-server.conf").stat().st_mode & 0o077 == 0
