"""A real Prometheus that scrapes what runs on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.local.launch import Launch
from services.local.ports import LOOPBACK, choose_ports
from tests.conftest import required_tool

_TRIES = 300


@dataclass(frozen=True)
class Scraping:
    url: str
    targets: list[str]

    def ask(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def fault(self, expression: str) -> str | None:
        """Why Prometheus cannot answer; None when it can, with whatever it found."""
        try:
            self.ask("query", query=expression)
        except urllib.error.HTTPError as error:
            return error.read().decode(errors="replace")
        return None

    def names(self, wait: Callable[[float], bool]) -> set[str]:
        """Names of our series, those that were only declared too, once every target was scraped."""
        for _ in range(_TRIES):
            try:
                up = self.ask("query", query="sum(up)")["result"]
                if up and float(up[0]["value"][1]) == len(self.targets):
                    return self._declared()
            except OSError:
                pass  # it is starting
            wait(0.1)
        raise AssertionError(f"not every target was scraped: {self.targets}")

    def _declared(self) -> set[str]:
        found: set[str] = set()
        for target in self.ask("targets/metadata", match_target='{job="here"}'):
            name, kind = target["metric"], target["type"]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            found |= {name + suffix for suffix in suffixes if name.startswith("screenalytics_")}
        return found


@contextmanager
def prometheus(targets: list[str], folder: Path) -> Iterator[Scraping]:
    """Scrapes each second until the block ends."""
    (port,) = choose_ports(1)
    config = folder / "prometheus.yaml"
    job = {"job_name": "here", "static_configs": [{"targets": targets}]}
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    argv = (
        required_tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    )
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(argv, **Launch(argv, {}).options(log.fileno()))
    try:
        yield Scraping(f"http://{LOOPBACK}:{port}", targets)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
