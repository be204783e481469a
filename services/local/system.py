"""The parts of a whole system on one machine, and how each is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import services
from services.local.data_dir import DataDir
from services.local.launch import Launch
from services.local.nats import EmbeddedNats
from services.local.part import PartSpec
from services.local.ports import LOOPBACK, choose_ports, require_free
from services.local.postgres import EmbeddedPostgres
from services.local.readiness import http_obstacle
from services.local.settings import LocalSettings

WORKERS = ("detector", "embedder", "clusterer")
# A first session on a GPU compiles kernels.
_WORKER_READY_WITHIN_S = 180.0


@dataclass(frozen=True, slots=True)
class SystemPorts:
    """Chosen once for the life of a system, so that a part that starts again is found where it was."""

    postgres: int
    nats: int
    nats_monitoring: int
    http: int
    grpc: int
    workers: Mapping[str, int]

    @classmethod
    def choose(cls, http_port: int | None) -> SystemPorts:
        """Raises `PortInUse` for a port that was asked for, `SystemUnavailable` when none are left."""
        if http_port is not None:
            require_free(http_port, wanted_by="the API")
        taken = () if http_port is None else (http_port,)
        postgres, nats, monitoring, http, grpc, *workers = choose_ports(5 + len(WORKERS), taken=taken)
        by_worker = dict(zip(WORKERS, workers, strict=True))
        return cls(postgres, nats, monitoring, http_port or http, grpc, by_worker)

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self.http}"

    @property
    def grpc_address(self) -> str:
        return f"{LOOPBACK}:{self.grpc}"


def system_tiers(
    settings: LocalSettings, directory: DataDir, ports: SystemPorts
) -> tuple[tuple[PartSpec, ...], ...]:
    """PostgreSQL, nats-server, the orchestrator, then the workers. Raises `DataDirUnusable`."""
    secrets = directory.secrets()
    postgres = EmbeddedPostgres(directory.postgres, ports.postgres, secrets.postgres_password)
    nats = EmbeddedNats(directory.nats, ports.nats, ports.nats_monitoring, secrets.nats_password)
    shared_env = {
        "SCREENALYTICS_NATS__URL": nats.url,
        "SCREENALYTICS_STORE__URL": directory.store.as_uri(),
        "SCREENALYTICS_MODELS__OVERLAY_DIR": str(directory.models),
        **({"SCREENALYTICS_MODELS__DIR": str(settings.models_dir)} if settings.models_dir else {}),
    }
    orchestrator_env = {"SCREENALYTICS_POSTGRES__DSN": postgres.dsn, **_api_env(ports)}
    tiers = (
        (_postgres_part(postgres),),
        (_nats_part(nats),),
        (_service_part("orchestrator", ports.http, shared_env | orchestrator_env, also=(ports.grpc,)),),
    )
    if not settings.workers:
        return tiers
    worker_env = shared_env | _inference_env(settings)
    return (*tiers, tuple(_worker_part(name, ports.workers[name], worker_env, directory) for name in WORKERS))


def module_argv(module: str) -> tuple[str, ...]:
    """`-P` keeps the user's current directory, which may well hold a `services` folder, off the path."""
    return (sys.executable, "-P", "-m", module)


def module_env(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`env` in which `services` is the package that runs now, installed or not."""
    package_root = str(Path(services.__path__[0]).resolve().parent)
    others = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path != package_root]
    return {**env, "PYTHONPATH": os.pathsep.join([package_root, *others])}


def _postgres_part(postgres: EmbeddedPostgres) -> PartSpec:
    return PartSpec(
        name="postgres",
        launch=postgres.launch(),
        ports=(postgres.port,),
        prepare=postgres.prepare,
        obstacle=postgres.obstacle,
    )


def _nats_part(nats: EmbeddedNats) -> PartSpec:
    return PartSpec(
        name="nats",
        launch=nats.launch(),
        ports=(nats.port, nats.monitoring_port),
        prepare=nats.prepare,
        obstacle=nats.obstacle,
    )


def _service_part(
    name: str, port: int, env: Mapping[str, str], *, also: tuple[int, ...] = (), **more: Any
) -> PartSpec:
    """`port` tells whether it is ready; it listens on those in `also` too."""
    launch = Launch(argv=module_argv(f"services.{name}"), env=module_env() | dict(env))
    is_ready = http_obstacle(port, "/readyz")
    return PartSpec(name=name, launch=launch, ports=(port, *also), obstacle=is_ready, **more)


def _api_env(ports: SystemPorts) -> dict[str, str]:
    return {
        "SCREENALYTICS_HTTP__HOST": LOOPBACK,
        "SCREENALYTICS_HTTP__PORT": str(ports.http),
        "SCREENALYTICS_GRPC__HOST": LOOPBACK,
        "SCREENALYTICS_GRPC__PORT": str(ports.grpc),
        "SCREENALYTICS_MEDIA__ALLOW_LOCAL_PATHS": "true",
    }


def _inference_env(settings: LocalSettings) -> dict[str, str]:
    env = {
        "SCREENALYTICS_INFERENCE__PROVIDER": str(settings.device),
        "SCREENALYTICS_INFERENCE__ALLOW_CPU_FALLBACK": str(settings.allow_cpu_fallback).lower(),
    }
    return env if settings.threads is None else env | {"SCREENALYTICS_THREADS__MAX_CPU": str(settings.threads)}


def _worker_part(name: str, port: int, env: Mapping[str, str], directory: DataDir) -> PartSpec:
    scratch = directory.scratch / name
    health_env = {"SCREENALYTICS_HEALTH__HOST": LOOPBACK, "SCREENALYTICS_HEALTH__PORT": str(port)}
    return _service_part(
        name,
        port,
        {**env, **health_env, "SCREENALYTICS_WORKER__SCRATCH_DIR": str(scratch)},
        prepare=partial(scratch.mkdir, parents=True, exist_ok=True),
        ready_within_s=_WORKER_READY_WITHIN_S,
        can_refuse=True,
    )
