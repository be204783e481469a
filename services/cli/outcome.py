"""How a command ends: every foreseen failure in words, with its exit status."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from services.cli.screen import Screen
from services.client import ApiError, ApiUnavailable, ClientError, InvalidAddress, InvalidCredentials
from services.kit.errors import (
    AcceleratorUnavailable,
    InvalidInput,
    ScreenalyticsError,
    SystemUnavailable,
    error_class,
)

_CPU_HINT = "run on a machine with an NVIDIA GPU, or ask for the CPU with --device cpu, or permit it with "
_CPU_HINT += "--allow-cpu-fallback"


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    hint: str
    exit_status: int


def failure(code: str, message: str, hint: str = "") -> Failure:
    """Names both ways to the CPU where a missing accelerator is the reason."""
    if code == AcceleratorUnavailable.code and not ("--device" in hint and "--allow-cpu-fallback" in hint):
        hint = f"{hint}; {_CPU_HINT}" if hint else _CPU_HINT
    return Failure(code, message, hint, error_class(code).exit_status)


def failure_of(error: ScreenalyticsError | ClientError) -> Failure:
    match error:
        case ScreenalyticsError():
            return failure(error.code, error.message, error.hint)
        case ApiError():
            return failure(error.code, error.detail or error.title, error.hint)
        case InvalidAddress():
            return failure(InvalidInput.code, str(error), "an address is like http://127.0.0.1:8080")
        case InvalidCredentials():
            return failure(InvalidInput.code, str(error), "see SCREENALYTICS_CLIENT__TOKEN and __CA_FILE")
        case ApiUnavailable():
            return failure(SystemUnavailable.code, str(error), "see whether it runs: screenalytics status")
        case _:
            return failure(SystemUnavailable.code, str(error), "is the address that of a Screenalytics API?")


@contextmanager
def reported(screen: Screen) -> Iterator[None]:
    """Turns what the block raises into words on stderr, one JSON line if wanted, and the exit status."""
    try:
        yield
    except (ScreenalyticsError, ClientError) as error:
        end_with(screen, failure_of(error))
    except KeyboardInterrupt as interrupt:
        end_with(screen, interruption(interrupt))


def end_with(screen: Screen, failure: Failure) -> None:
    """Raises `typer.Exit`."""
    screen.fail(failure.message, failure.hint)
    screen.json_line({"error": {"code": failure.code, "message": failure.message, "hint": failure.hint}})
    raise typer.Exit(failure.exit_status)


def interruption(interrupt: KeyboardInterrupt) -> Failure:
    """128 and the number of the signal, as shells count."""
    signum = signal.Signals(interrupt.args[0]) if interrupt.args else signal.SIGINT
    return Failure("interrupted", f"interrupted by {signum.name}", "", 128 + signum)
