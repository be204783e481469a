"""When a server that was just started can be used.

An obstacle is a question put to a server: why it is not ready yet, or None when it is. Asking takes at most
a few seconds and never raises for a server that does not answer.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.kit.errors import SystemUnavailable
from services.local.launch import Launch, stop_process
from services.local.part_log import log_tail, open_log
from services.local.ports import LOOPBACK

Obstacle = Callable[[], str | None]

POLL_S = 0.05
_ANSWER_WITHIN_S = 3.0
_STOP_WITHIN_S = 20.0


def http_obstacle(port: int, path: str) -> Obstacle:
    """Ready when `GET path` answers 200. Plain `http.client`, so that no proxy setting gets in between."""

    def ask() -> str | None:
        with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_WITHIN_S)) as connection:
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read(2000).decode(errors="replace").strip()
            except (OSError, http.client.HTTPException) as error:
                return f"GET {path} on port {port}: {error}"
        return None if response.status == 200 else f"GET {path} on port {port}: {response.status} {body}"

    return ask


@contextmanager
def running_server(launch: Launch, log_path: Path, obstacle: Obstacle, ready_within_s: float) -> Iterator[None]:
    """The server runs, ready, for the length of the block. Raises `SystemUnavailable` with log lines."""
    with open_log(log_path) as log:
        start_byte = log.tell()
        process = subprocess.Popen(launch.argv, **launch.options(log))
    try:
        if (reason := _wait_until_ready(process, obstacle, ready_within_s)) is not None:
            tail = "\n".join(log_tail(log_path, lines=15, start_byte=start_byte))
            raise SystemUnavailable(f"the server is not ready: {reason}\n{tail}")
        yield
    finally:
        stop_process(process, launch.stop_signal, grace_s=_STOP_WITHIN_S)


def _wait_until_ready(
    process: subprocess.Popen[bytes], obstacle: Obstacle, ready_within_s: float
) -> str | None:
    """The obstacle that was left when the process ended or the time was up; None when ready."""
    deadline = time.monotonic() + ready_within_s
    while (reason := obstacle()) is not None:
        if process.poll() is not None or time.monotonic() > deadline:
            return reason
        time.sleep(POLL_S)
    return None
