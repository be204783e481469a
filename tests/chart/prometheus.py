"""A real Prometheus that scrapes what runs on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
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
    targets: int

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
                if up and float(up[0]["value"][1]) == self.targets:
                    return self._declared()
            except OSError:
                pass  # it is starting
            wait(0.1)
        raise AssertionError(f"not every one of {self.targets} targets was scraped")

    def _declared(self) -> set[str]:
        found: set[str] = set()
        for target in self.ask("targets/metadata", match_target='{job=~"here.*"}'):
            name, kind = target["metric"], target["type"]
            # In OpenMetrics a counter is declared without the suffix of its series.
            suffixes = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(kind, ("",))
            found |= {name.removesuffix(s) + s for s in suffixes if name.startswith("screenalytics_")}
        return found

    def rule_faults(self, wait: Callable[[float], bool]) -> dict[str, str]:
        """Why rules could not be evaluated, by their names, once each was."""
        for _ in range(_TRIES):
            rules = [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                return {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"}
            wait(0.1)
        raise AssertionError("not every rule was evaluated")

    def traces_of(self, series: str) -> set[str]:
        """Ids of the traces that exemplars of the series name."""
        found = self.ask("query_exemplars", query=series, start="0", end=str(time.time() + 1))
        return {one["labels"]["trace_id"] for group in found for one in group["exemplars"]}


@contextmanager
def prometheus(jobs: Sequence[dict[str, Any]], folder: Path, rules: Sequence[Path] = ()) -> Iterator[Scraping]:
    """Scrapes and evaluates each second until the block ends. `jobs`: their names begin with `here`."""
    (port,) = choose_ports(1)
    config = folder / "prometheus.yaml"
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": list(jobs),
        "rule_files": [str(path) for path in rules],
    }
    config.write_text(yaml.safe_dump(settings))
    argv = (
        required_tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--enable-feature=exemplar-storage",
        f"--web.listen-address={LOOPBACK}:{port}",
    )
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(argv, **Launch(argv, {}).options(log.fileno()))
    try:
        targets = sum(len(static["targets"]) for job in jobs for static in job["static_configs"])
        yield Scraping(f"http://{LOOPBACK}:{port}", targets)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
