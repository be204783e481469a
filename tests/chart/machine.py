"""One machine as a cluster: containers of rendered pods run as plain processes, with paths and addresses swapped."""

from __future__ import annotations

import base64
import math
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.local.launch import Launch
from services.local.ports import LOOPBACK, choose_ports
from tests.chart.helm import Document, Rendered
from tests.conftest import REPOSITORY

PACE_S = 0.1


@dataclass
class Machine:
    """`secrets`: (name, key) -> value; `config_maps`, that others make: the same. `claims`: folders that stand for
    persistent volumes."""

    rendered: Rendered
    root: Path
    secrets: Mapping[tuple[str, str], str]
    claims: Mapping[str, Path]
    config_maps: Mapping[tuple[str, str], str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # host:port of a Service -> of this machine
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    chosen_ports: dict[str, int] = field(default_factory=dict)  # pod/port -> port of this machine

    def start(self, name: str, pod: Document) -> None:
        """Init containers one after another, then the containers; a Deployment has one pod here."""
        for container in pod["spec"].get("initContainers", []):
            self.run(name, pod, container)
        for container in pod["spec"]["containers"]:
            self.running[name] = self._process(name, pod, container)

    def run(self, name: str, pod: Document, container: Document) -> str:
        """What the container prints, once it has ended well."""
        process = self._process(name, pod, container)
        status = process.wait(timeout=240)
        output = self.log(name)
        assert status == 0, f"{name}/{container['name']} ended with {status}:\n{output}"
        return output

    def await_probe(self, name: str, pod: Document, probe: str, wait: Callable[[float], bool]) -> None:
        """Asks as the kubelet does, until the probe is answered with a success."""
        (container,) = pod["spec"]["containers"]
        asked = container[probe]["httpGet"]
        port = self._ports(name, container)[asked["port"]]
        tries = container[probe].get("failureThreshold", 3) * container[probe]["periodSeconds"] / PACE_S
        for _ in range(int(tries)):
            assert self.running[name].poll() is None, f"{name} ended:\n{self.log(name)}"
            if _answers(f"{asked.get('scheme', 'HTTP').lower()}://{LOOPBACK}:{port}{asked['path']}"):
                return
            wait(PACE_S)
        raise AssertionError(f"{name} was not ready in time:\n{self.log(name)}")

    def stop(self) -> dict[str, int]:
        """SIGTERM to all, as the kubelet does; their exit statuses."""
        for process in self.running.values():
            process.terminate()
        return {name: process.wait(timeout=60) for name, process in self.running.items()}

    def kill(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        return self._log_path(name).read_text(errors="replace")[-4000:]

    def _log_path(self, name: str) -> Path:
        return self.root / f"{name.replace('/', '-')}.log"

    def _process(self, name: str, pod: Document, container: Document) -> subprocess.Popen[bytes]:
        folders = self._folders(name, pod, container)
        argv = [_moved(word, folders) for word in [*container["command"], *container.get("args", [])]]
        argv[0] = sys.executable if argv[0] == "python" else argv[0]
        env = self._env(name, container, folders)
        with self._log_path(name).open("ab") as log:
            return subprocess.Popen(argv, **Launch(tuple(argv), env).options(log.fileno()))

    def _env(self, name: str, container: Document, folders: Mapping[str, Path]) -> dict[str, str]:
        rendered = {entry["name"]: self._value(entry, container, folders) for entry in container.get("env", [])}
        for port_name, port in self._ports(name, container).items():
            variable = f"SCREENALYTICS_{port_name.upper()}__PORT"
            assert variable in rendered
            rendered[variable] = str(port)
        tmp = str(folders.get("/tmp", self.root))
        image = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "HOME": tmp, "TMPDIR": tmp}
        return image | rendered

    def _value(self, entry: dict[str, Any], container: Document, folders: Mapping[str, Path]) -> str:
        if "value" in entry:
            text = str(entry["value"])
            for service, here in self.addresses.items():
                text = text.replace(service, here)
            return _moved(text.replace("0.0.0.0", LOOPBACK), folders)
        source = entry["valueFrom"]
        if "secretKeyRef" in source:
            return self.secrets[source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]]
        assert source["resourceFieldRef"]["resource"] == "limits.cpu"
        limit = str(container["resources"]["limits"]["cpu"])
        cores = float(limit[:-1]) / 1000 if limit.endswith("m") else float(limit)
        return str(math.ceil(cores / float(source["resourceFieldRef"]["divisor"])))

    def _ports(self, name: str, container: Document) -> dict[str, int]:
        """Chosen once for each port of a pod."""
        chosen = self.chosen_ports
        for port in container.get("ports", []):
            if f"{name}/{port['name']}" not in chosen:
                (chosen[f"{name}/{port['name']}"],) = choose_ports(1, taken=tuple(chosen.values()))
        return {port["name"]: chosen[f"{name}/{port['name']}"] for port in container.get("ports", [])}

    def serve_service(self, service: Document, name: str, pod: Document) -> None:
        """From now on the Service's address is that of the pod's port."""
        (container,) = pod["spec"]["containers"]
        for port in service["spec"]["ports"]:
            here = self._ports(name, container)[port["targetPort"]]
            self.addresses[f"{service['metadata']['name']}:{port['port']}"] = f"{LOOPBACK}:{here}"

    def scrape_jobs(self) -> list[dict[str, Any]]:
        """What Prometheus' operator would make of the release's PodMonitor."""
        (monitor,) = self.rendered.of("PodMonitor")
        return [job for end in monitor["spec"]["podMetricsEndpoints"] if (job := self._scrape_job(end))]

    def _scrape_job(self, endpoint: Document) -> dict[str, Any] | None:
        ports = [p for name, p in self.chosen_ports.items() if name.endswith(f"/{endpoint['port']}")]
        if not ports:
            return None
        job = {
            "job_name": f"here-{endpoint['port']}",
            "metrics_path": endpoint["path"],
            "scheme": endpoint.get("scheme", "http"),
            "static_configs": [{"targets": [f"{LOOPBACK}:{port}" for port in ports]}],
        }
        if tls := endpoint.get("tlsConfig"):
            authority = tls["ca"]["configMap"]
            folder = self._folder("prometheus", {"name": "ca", "configMap": authority})
            job["tls_config"] = {
                "server_name": tls["serverName"],
                "ca_file": str(folder / authority["key"]),
            }
        return job

    def _folders(self, name: str, pod: Document, container: Document) -> dict[str, Path]:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        return {
            mount["mountPath"]: self._folder(name, volumes[mount["name"]])
            for mount in container["volumeMounts"]
        }

    def _folder(self, name: str, volume: Document) -> Path:
        if "persistentVolumeClaim" in volume:
            return self.claims[volume["persistentVolumeClaim"]["claimName"]]
        folder = self.root / "volumes" / name.replace("/", "-") / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        if "secret" in volume:
            _write(folder, volume["secret"]["secretName"], self.secrets)
        if "configMap" in volume and (name := volume["configMap"]["name"]) in {n for n, _ in self.config_maps}:
            _write(folder, name, self.config_maps)
        elif "configMap" in volume:
            source = self.rendered.get("ConfigMap", volume["configMap"]["name"])
            for key, text in source.get("data", {}).items():
                (folder / key).write_text(text)
            for key, text in source.get("binaryData", {}).items():
                (folder / key).write_bytes(base64.b64decode(text))
        return folder


def _write(folder: Path, name: str, given: Mapping[tuple[str, str], str]) -> None:
    for (owner, key), text in given.items():
        if owner == name:
            (folder / key).write_text(text)


def _moved(text: str, folders: Mapping[str, Path]) -> str:
    """`text` with each mounted path replaced by the folder that stands for it."""
    if not folders:
        return text
    paths = "|".join(re.escape(path) for path in sorted(folders, key=len, reverse=True))
    return re.sub(rf"(^|(?<=file://))({paths})(?=/|$)", lambda found: str(folders[found[2]]), text)


def _answers(url: str) -> bool:
    """As the kubelet asks, which checks no certificate."""
    try:
        with urllib.request.urlopen(url, timeout=3, context=ssl._create_unverified_context()) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
