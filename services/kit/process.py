"""How a service process begins and ends: logging, traces, signals, and an exit status that means something."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from services.kit import logs
from services.kit.errors import InvalidSettings, ScreenalyticsError
from services.kit.settings import LogSettings, ProcessSettings, ServiceSettings, read_settings
from services.kit.trace_export import exported_traces

S = TypeVar("S", bound=ServiceSettings)


def run_service(settings_class: type[S], serve: Callable[[S, asyncio.Event], Awaitable[None]]) -> int:
    """Reads the settings, then runs `serve(settings, stop)`; SIGTERM and SIGINT set `stop`.

    Returns the exit status. A foreseen failure is one JSON line on stderr, never a stack trace.
    """
    service = settings_class.__module__.split(".")[1]
    log_settings = _log_settings()
    logs.configure(log_settings, service)
    try:
        settings = read_settings(settings_class)
        with exported_traces(settings.traces, service):
            asyncio.run(_until_signal(partial(serve, settings)))
    except ScreenalyticsError as error:
        print(logs.refusal_line(error, log_settings, service), file=sys.stderr, flush=True)
        return error.exit_status
    return 0


def _log_settings() -> LogSettings:
    """Wrong ones are told of with all the others."""
    try:
        return read_settings(ProcessSettings).log
    except InvalidSettings:
        return LogSettings()


async def _until_signal(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(stop)
