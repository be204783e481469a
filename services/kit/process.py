"""How a service process begins and ends: logging, signals, and an exit status that means something."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from services.kit.errors import ScreenalyticsError
from services.kit.settings import ServiceSettings, read_settings

S = TypeVar("S", bound=ServiceSettings)


def run_service(settings_class: type[S], serve: Callable[[S, asyncio.Event], Awaitable[None]]) -> int:
    """Reads the settings, then runs `serve(settings, stop)`; SIGTERM and SIGINT set `stop`.

    Returns the exit status. A foreseen failure is one JSON line on stderr, never a stack trace.
    """
    try:
        settings = read_settings(settings_class)
        _configure_logging(settings.log.level)
        asyncio.run(_until_signal(partial(serve, settings)))
    except ScreenalyticsError as error:
        line = {"event": "refused", "code": error.code, "reason": error.message, "hint": error.hint}
        print(json.dumps(line), file=sys.stderr, flush=True)
        return error.exit_status
    return 0


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    for noisy in ("nats", "httpx", "uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


async def _until_signal(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(stop)
