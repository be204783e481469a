"""A program to run, and the promise that it dies with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: the child must not take the import lock


@dataclass(frozen=True, slots=True)
class Launch:
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    parent_death_signal: signal.Signals = signal.SIGKILL

    def options(self, log: BinaryIO | int) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen` and for `asyncio.create_subprocess_exec`.

        A session of its own keeps a terminal's Ctrl-C from reaching every part at once, which would undo
        the order in which they are stopped. Start from a thread that lives as long as the program should:
        the kernel sends the parent death signal when the starting *thread* ends (prctl(2)).
        """
        return {
            "env": dict(self.env),
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
            "start_new_session": True,
            "preexec_fn": parent_death_hook(self.parent_death_signal),
        }


def parent_death_hook(death_signal: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` by which the child gets `death_signal` when its parent dies; Linux only (prctl(2))."""
    parent_pid = os.getpid()

    def arm() -> None:
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died between fork and prctl
            os._exit(1)

    return arm


def sweep_group(leader_pid: int) -> None:
    """Kill what is left of the session whose leader has ended, such as a worker's decoder child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)


def stop_process(process: subprocess.Popen[bytes], stop_signal: signal.Signals, *, grace_s: float) -> None:
    """Ask by signal, wait `grace_s`, then kill."""
    with suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def without(env: Mapping[str, str], prefixes: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(tuple(prefixes))}
