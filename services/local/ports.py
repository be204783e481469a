"""Free loopback ports, chosen where the kernel does not hand out ports for outgoing connections.

A port inside the ephemeral range can be taken by any outgoing connection while a part restarts, and a client
that retries `connect` to such a port with nobody listening can connect to itself and hold the port
(simultaneous open, RFC 9293 section 3.5).
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from services.kit.errors import PortInUse, SystemUnavailable

LOOPBACK = "127.0.0.1"
_LOWEST_PORT = 15_000
_DEFAULT_EPHEMERAL_LOW = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: a connection in TIME_WAIT does not make a port busy, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(
    count: int, *, taken: Iterable[int] = (), free: Callable[[int], bool] = is_free
) -> tuple[int, ...]:
    """`count` different ports that are free now and not in `taken`. Raises `SystemUnavailable`."""
    reserved, chosen = set(taken), list[int]()
    candidates = range(_LOWEST_PORT, _ephemeral_low())
    for port in random.sample(candidates, len(candidates)):
        if len(chosen) == count:
            break
        if port not in reserved and free(port):
            chosen.append(port)
    if len(chosen) < count:
        raise SystemUnavailable(
            f"only {len(chosen)} of {count} loopback ports are free below {candidates.stop}"
        )
    return tuple(chosen)


def require_free(port: int, *, wanted_by: str) -> None:
    """Raises `PortInUse`, naming the port and, where it can be seen, the program that holds it."""
    if not is_free(port):
        raise PortInUse(
            f"port {port} of {LOOPBACK}, wanted by {wanted_by}, is in use{_holder(port)}",
            hint="stop that program or choose another port",
        )


def _ephemeral_low() -> int:
    try:
        low = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        low = _DEFAULT_EPHEMERAL_LOW
    # A host may be set up with a range that starts lower; some overlap then beats having no port at all.
    return low if low >= _LOWEST_PORT + 1000 else _DEFAULT_EPHEMERAL_LOW


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return ""
    listeners = (
        c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid
    )
    return next((f" by process {pid}" for pid in listeners), "")
