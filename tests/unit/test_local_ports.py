from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from services.kit.errors import PortInUse, SystemUnavailable
from services.local.ports import LOOPBACK, choose_ports, is_free, require_free

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_chosen_ports_differ_and_are_free() -> None:
    ports = choose_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


@pytest.mark.skipif(not EPHEMERAL.exists(), reason="the kernel's range is read on Linux")
def test_chosen_ports_lie_where_no_outgoing_connection_starts() -> None:
    low = int(EPHEMERAL.read_text().split()[0])
    assert low < 16_000 or all(port < low for port in choose_ports(200))


def test_a_taken_port_is_not_chosen() -> None:
    only = 20_000
    assert choose_ports(1, free=lambda port: port in (only, only + 1), taken=[only]) == (only + 1,)


def test_having_too_few_free_ports_is_an_error() -> None:
    with pytest.raises(SystemUnavailable, match="only 1 of 2"):
        choose_ports(2, free=lambda port: port == 20_000)


def test_a_port_in_use_is_named_with_its_user() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            PortInUse, match=f"port {port} .* wanted by the API, is in use by process {os.getpid()}"
        ):
            require_free(port, wanted_by="the API")
    require_free(port, wanted_by="the API")
