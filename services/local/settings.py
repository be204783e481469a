"""What a local system is asked to be; its command line is how one process hands this to another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.kit.inference.placement import Provider
from services.local.data_dir import default_data_dir


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`http_port` None means any free port; `threads` None leaves the cap to the services."""

    data_dir: Path = field(default_factory=default_data_dir)
    device: Provider = Provider.CUDA
    allow_cpu_fallback: bool = False
    models_dir: Path | None = None
    http_port: int | None = None
    threads: int | None = None
    workers: bool = True

    def to_argv(self) -> list[str]:
        argv = ["--data-dir", str(self.data_dir), "--device", self.device]
        argv += ["--allow-cpu-fallback"] if self.allow_cpu_fallback else []
        argv += ["--models-dir", str(self.models_dir)] if self.models_dir is not None else []
        argv += ["--http-port", str(self.http_port)] if self.http_port is not None else []
        argv += ["--threads", str(self.threads)] if self.threads is not None else []
        argv += [] if self.workers else ["--no-workers"]
        return argv


def parse_argv(argv: Sequence[str]) -> tuple[LocalSettings, int | None]:
    """The settings, and the descriptor that wants to hear when the system has started."""
    options = vars(_parser().parse_args(argv))
    ready_fd: int | None = options.pop("ready_fd")
    options["data_dir"] = options["data_dir"].absolute()
    return LocalSettings(**options), ready_fd


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.local", description="Run a whole Screenalytics system on this machine."
    )
    add = parser.add_argument
    add("--data-dir", type=Path, default=default_data_dir(), help="where everything is kept (%(default)s)")
    add("--device", type=Provider, choices=list(Provider), default=Provider.CUDA, help="%(default)s")
    add("--allow-cpu-fallback", action="store_true", help="run on the CPU where the GPU is missing")
    add("--models-dir", type=Path, help="more models, next to the packaged ones")
    add("--http-port", type=int, help="port of the API on the loopback address (any free one)")
    add("--threads", type=int, help="most compute threads of a worker")
    add("--no-workers", dest="workers", action="store_false", help="the orchestrator and its servers only")
    add("--ready-fd", type=int, help="descriptor that gets one JSON line once started, or the reason why not")
    return parser
