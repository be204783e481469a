"""What a process says of its connection to NATS."""

from __future__ import annotations

import pytest

from services.kit.bus_connection import connect
from services.local.nats import EmbeddedNats


async def test_a_connection_that_is_closed_is_not_called_lost(
    nats_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "services.kit.bus_connection")
    client = await connect(nats_server.url, name="test")
    await client.close()
    assert caplog.messages == []
