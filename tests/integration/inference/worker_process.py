"""A worker service as a process of its own, watched from outside as a cluster would."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.local.ports import choose_ports

ROOT = Path(__file__).resolve().parents[3]
_LOOK_EVERY_S = 0.01


@dataclass
class WatchedWorker:
    """`metrics` and `readiness`: every distinct answer so far."""

    process: subprocess.Popen[str]
    port: int
    metrics: list[str] = field(default_factory=list)
    readiness: list[tuple[int, str]] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def end(self, within_s: float) -> tuple[int, str]:
        """(exit status, stderr)."""
        _, err = self.process.communicate(timeout=within_s)
        return self.process.returncode, err

    def watch(self) -> None:
        """Until the process ends."""
        while self.process.poll() is None:
            for path in ("/readyz", "/metrics"):
                try:
                    status, text = self.get(path)
                except (OSError, http.client.HTTPException):
                    continue
                if path == "/metrics":
                    self.metrics.append(text)
                elif (status, text) not in self.readiness:
                    self.readiness.append((status, text))
            time.sleep(_LOOK_EVERY_S)  # another process is looked at from outside


@contextmanager
def running_worker(service: str, nats_url: str, store: Path, **settings: str) -> Iterator[WatchedWorker]:
    (port,) = choose_ports(1)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
    env |= {
        "PYTHONPATH": str(ROOT),
        "SCREENALYTICS_NATS__URL": nats_url,
        "SCREENALYTICS_STORE__URL": store.as_uri(),
        "SCREENALYTICS_HEALTH__PORT": str(port),
        **{f"SCREENALYTICS_{name}": value for name, value in settings.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{service}"], env=env, stderr=subprocess.PIPE, text=True
    )
    worker = WatchedWorker(process, port)
    watching = threading.Thread(target=worker.watch, daemon=True)
    watching.start()
    try:
        yield worker
    finally:
        process.kill()
        process.wait()
        watching.join(10)
        if process.stderr:
            process.stderr.close()
