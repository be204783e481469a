"""`screenalytics up` and `screenalytics down`."""

from __future__ import annotations

import time
from pathlib import Path

from services.cli.local_system import require_no_refusal
from services.cli.options import UpOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import cpu_notice
from services.cli.tables import processes_table
from services.client import Client
from services.kit.errors import SystemUnavailable
from services.local import LocalSettings, PartState, SystemHandle, default_data_dir, start_system, stop_system

_LOOK_EVERY_S = 0.2


def bring_up(options: UpOptions) -> None:
    """Until a signal asks it to end. Raises `typer.Exit`."""
    screen = Screen()
    settings = LocalSettings(
        data_dir=(options.data_dir or default_data_dir()).absolute(),
        device=options.device,
        allow_cpu_fallback=options.allow_cpu_fallback,
        models_dir=options.models_dir,
        http_port=options.http_port,
        threads=options.threads,
    )
    with reported(screen):
        screen.say(f"starting a system on {settings.data_dir} ...")
        with start_system(settings) as handle:
            require_no_refusal(handle.state)
            screen.table(processes_table(handle.state.parts))
            screen.result(f"API: {handle.state.api_url}")
            screen.result(f"gRPC: {handle.state.grpc_address}")
            _say_if_on_cpu(handle.state.api_url, screen)
            screen.say("Ctrl-C stops it")
            try:
                _watch(handle, screen)
            except KeyboardInterrupt:
                screen.say("stopping the system")
                return
        # Parts are seen to stop one by one when someone else, such as `down`, has asked for it.
        if any(part.state is PartState.STOPPED for part in handle.state.parts):
            screen.say("the system was stopped")
            return
        raise SystemUnavailable("the system ended by itself", hint=f"logs: {settings.data_dir / 'logs'}")


def _say_if_on_cpu(api_url: str, screen: Screen) -> None:
    with Client(api_url) as client:
        notice = cpu_notice(client.workers())
    if notice is not None:
        screen.warn(notice)


def _watch(handle: SystemHandle, screen: Screen) -> None:
    """Says what becomes of the processes, until the system ends."""
    shown = set(handle.state.parts)
    while handle.is_running:
        parts = handle.state.parts
        for part in parts:
            if part not in shown:
                screen.say(f"{part.name}: {part.state}{f' ({part.reason})' if part.reason else ''}")
        shown = set(parts)
        time.sleep(_LOOK_EVERY_S)


def take_down(data_dir: Path | None) -> None:
    """Raises `typer.Exit` when it cannot be stopped."""
    screen = Screen()
    directory = (data_dir or default_data_dir()).absolute()
    with reported(screen):
        was_running = stop_system(directory)
        screen.result(f"stopped the system on {directory}" if was_running else f"no system runs on {directory}")
