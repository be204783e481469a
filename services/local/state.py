"""What runs on a data directory, as the supervisor last wrote it down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.kit.inference.placement import Provider
from services.local.data_dir import DataDir, write_atomically


class PartState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing_off"  # ended by itself; starts again after a delay
    REFUSED = "refused"  # will not run here, as without its accelerator; not started again
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class PartStatus:
    """`last_exit` is an exit status, or minus the number of the signal that ended the process."""

    name: str
    state: PartState = PartState.WAITING
    port: int | None = None
    pid: int | None = None
    restarts: int = 0
    last_exit: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SystemState:
    data_dir: Path
    supervisor_pid: int
    started_at: datetime
    api_url: str
    grpc_address: str
    device: Provider
    allow_cpu_fallback: bool
    models_dir: Path | None
    parts: tuple[PartStatus, ...]

    @property
    def is_ready(self) -> bool:
        return bool(self.parts) and all(part.state is PartState.READY for part in self.parts)

    @property
    def refused(self) -> tuple[PartStatus, ...]:
        return tuple(part for part in self.parts if part.state is PartState.REFUSED)

    def part(self, name: str) -> PartStatus | None:
        return next((part for part in self.parts if part.name == name), None)

    def with_parts(self, parts: tuple[PartStatus, ...]) -> SystemState:
        return replace(self, parts=parts)


def write_state(state: SystemState) -> None:
    """Raises `OSError`."""
    record = {name: _plain(value) for name, value in asdict(state).items()}
    write_atomically(DataDir(state.data_dir).state_file, record, durable=False)


def read_state(data_dir: Path) -> SystemState | None:
    """None unless a supervisor holds the directory now: a dead system is never shown as running."""
    directory = DataDir(data_dir)
    holder_pid = directory.holder_pid()
    if holder_pid is None:
        return None
    try:
        state = _from_record(json.loads(directory.state_file.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None  # its predecessor's, which a loss of power or another release has left like that
    # A supervisor that has only just begun has not replaced its predecessor's state yet.
    return state if state.supervisor_pid == holder_pid else None


def _from_record(record: dict[str, Any]) -> SystemState:
    parts = (PartStatus(**{**part, "state": PartState(part["state"])}) for part in record["parts"])
    models_dir = record["models_dir"]
    return SystemState(
        data_dir=Path(record["data_dir"]),
        supervisor_pid=record["supervisor_pid"],
        started_at=datetime.fromisoformat(record["started_at"]),
        api_url=record["api_url"],
        grpc_address=record["grpc_address"],
        device=Provider(record["device"]),
        allow_cpu_fallback=record["allow_cpu_fallback"],
        models_dir=None if models_dir is None else Path(models_dir),
        parts=tuple(parts),
    )


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
