"""Composition of a local system: data directory, then ports, then parts, supervised until a signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

from services.kit.errors import ScreenalyticsError, SystemUnavailable
from services.local.data_dir import DataDir
from services.local.settings import LocalSettings
from services.local.state import PartState, PartStatus, SystemState, write_state
from services.local.supervisor import Supervisor
from services.local.system import SystemPorts, system_tiers

# Tells the process that waits for the start how it went: a record, sent once.
Announce = Callable[[dict[str, str]], None]


def run_system(settings: LocalSettings, ready_fd: int | None) -> int:
    """The exit status. Run it on the main thread: the parts end when the thread that started them does."""
    announce = _announcer(ready_fd)
    directory = DataDir(settings.data_dir)
    try:
        directory.prepare()
        with directory.locked():
            asyncio.run(_supervise(settings, directory, announce))
    except ScreenalyticsError as error:
        report("failed", code=error.code, reason=error.message, hint=error.hint)
        announce({"event": "failed", "code": error.code, "message": error.message, "hint": error.hint})
        return error.exit_status
    return 0


async def _supervise(settings: LocalSettings, directory: DataDir, announce: Announce) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    _listen_to_signals(stop, hurry)
    ports = SystemPorts.choose(settings.http_port)
    tiers = await asyncio.to_thread(system_tiers, settings, directory, ports)
    state = _first_state(settings, ports)

    reported: dict[str, PartState] = {}

    def publish(status: PartStatus, statuses: tuple[PartStatus, ...]) -> None:
        if reported.get(status.name) is not status.state:
            reported[status.name] = status.state
            report("part", **_told(status))
        _record(state.with_parts(statuses))

    supervisor = Supervisor(tiers, directory.log_file, publish)
    _record(state.with_parts(supervisor.statuses))
    await supervisor.run(stop, hurry, on_started=lambda: announce({"event": "started"}))
    report("stopped")
    announce({"event": "failed", "code": SystemUnavailable.code, "message": "stopped while starting"})


def _listen_to_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    """The first asks for an orderly end, the next for a quick one."""

    def heard() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, heard)


def _first_state(settings: LocalSettings, ports: SystemPorts) -> SystemState:
    return SystemState(
        data_dir=settings.data_dir,
        supervisor_pid=os.getpid(),
        started_at=datetime.now(UTC),
        api_url=ports.api_url,
        grpc_address=ports.grpc_address,
        device=settings.device,
        allow_cpu_fallback=settings.allow_cpu_fallback,
        models_dir=settings.models_dir,
        parts=(),
    )


def _record(state: SystemState) -> None:
    """A full disk must not end a system that runs: what is lost is the view from outside."""
    try:
        write_state(state)
    except OSError as error:
        report("state_not_written", reason=str(error))


def _told(status: PartStatus) -> dict[str, object]:
    return {name: value for name, value in asdict(status).items() if value is not None}


def report(event: str, **fields: object) -> None:
    """One JSON line on stderr; lost, with a full disk behind it, rather than the end of a system that runs."""
    line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
    with suppress(OSError):
        print(json.dumps(line), file=sys.stderr, flush=True)


def _announcer(ready_fd: int | None) -> Announce:
    """Only the first announcement is sent; nobody listens to later ones, and nobody may listen at all."""
    unsent = [] if ready_fd is None else [ready_fd]

    def announce(record: dict[str, str]) -> None:
        if unsent:
            descriptor = unsent.pop()
            try:
                os.write(descriptor, json.dumps(record).encode() + b"\n")
            except BrokenPipeError:
                report("nobody_waits")
            os.close(descriptor)

    return announce
