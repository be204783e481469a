"""The system of a data directory: the one that runs there, else one that this command starts and stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.screen import Screen
from services.client import ApiUnavailable, Client
from services.kit.errors import AcceleratorUnavailable, AlreadyRunning, DataDirUnusable, SystemUnavailable
from services.local import LocalSettings, PartState, SystemHandle, SystemState, read_state, start_system

_USABLE_WITHIN_S = 90.0
_LOOK_EVERY_S = 0.2


class LocalSystem:
    """Not started by its making; `stop` ends only what this command has started."""

    def __init__(self, settings: LocalSettings, screen: Screen) -> None:
        self._settings = settings
        self._screen = screen
        self._handle: SystemHandle | None = None

    @property
    def data_dir(self) -> Path:
        return self._settings.data_dir

    def ensure_running(self) -> str:
        """The address of its API. A system that has ended, whoever's it was, is replaced by one of one's own.

        Raises `SystemUnavailable` and its kin, `AcceleratorUnavailable`.
        """
        if self._handle is not None:
            return self._handle.ensure_running().api_url
        state = usable_system(self.data_dir, workers=self._settings.workers)
        if state is None:
            return self._start().api_url
        self._screen.say(f"using the system that runs on {self.data_dir} ({state.api_url})")
        return state.api_url

    def stop(self) -> None:
        if self._handle is not None:
            self._screen.say("stopping the system")
            self._handle.stop()

    def _start(self) -> SystemState:
        self._screen.say(f"starting a system on {self.data_dir} ...")
        try:
            self._handle = start_system(self._settings)
        except AlreadyRunning:
            # Another command was quicker; its system will do as long as it lasts.
            state = usable_system(self.data_dir, workers=self._settings.workers)
            if state is None:
                raise
            return state
        require_no_refusal(self._handle.state)
        return self._handle.state


def running_system(data_dir: Path) -> SystemState | None:
    """Raises `DataDirUnusable` for a folder that cannot be looked into."""
    with looking_into(data_dir):
        return read_state(data_dir)


def usable_system(data_dir: Path, *, workers: bool) -> SystemState | None:
    """The running system as soon as it answers; None when there is none, or when it was about to end and has.

    Raises `SystemUnavailable` for one that does neither.
    """
    deadline = time.monotonic() + _USABLE_WITHIN_S
    while (state := running_system(data_dir)) is not None:
        if _can_serve(state, workers=workers) and _answers(state.api_url):
            return state
        if time.monotonic() > deadline:
            raise SystemUnavailable(
                f"the system on {data_dir} (process {state.supervisor_pid}) runs and cannot be used",
                hint=f"logs: {data_dir / 'logs'}",
            )
        time.sleep(_LOOK_EVERY_S)
    return None


def require_no_refusal(state: SystemState) -> None:
    """Raises `AcceleratorUnavailable` with the reason of the first worker that would not run."""
    for part in state.refused:
        raise AcceleratorUnavailable(f"the {part.name} does not run: {part.reason or 'no reason given'}")


@contextmanager
def looking_into(data_dir: Path) -> Iterator[None]:
    """Raises `DataDirUnusable`."""
    try:
        yield
    except OSError as error:
        raise DataDirUnusable(
            f"{data_dir} cannot be read: {error.strerror}", hint="choose another --data-dir"
        ) from error


def _can_serve(state: SystemState, *, workers: bool) -> bool:
    """Not while it stops, nor where it has no workers and some are wanted: one of a query, soon to end."""
    is_stopping = any(part.state is PartState.STOPPED for part in state.parts)
    return not is_stopping and (not workers or state.part("detector") is not None)


def _answers(api_url: str) -> bool:
    with Client(api_url, timeout_s=5.0, retry_for_s=0.0) as probe:
        try:
            probe.profiles()
        except ApiUnavailable:
            return False
    return True
