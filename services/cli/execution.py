"""Where a command executes: on the remote system when it answers, else on this machine. The rule is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from services.cli.execution_memory import ExecutionMemory, Remembered
from services.cli.options import Mode, Place, SystemOptions
from services.cli.remote import remote_client
from services.cli.screen import Screen
from services.cli.session import Session, open_session, require_episodes
from services.client import ApiUnavailable
from services.kit.errors import InvalidInput

_PROBE_FOR_S = 3.0


@dataclass(frozen=True, slots=True)
class Execution:
    """`address` is None on this machine; `warning` is said aloud."""

    mode: Mode
    address: str | None
    warning: str | None = None

    @property
    def place(self) -> Place:
        return Place.LOCAL if self.address is None else Place.REMOTE


def choose(
    options: SystemOptions,
    remembered: Remembered | None,
    answers: Callable[[str], bool],
    *,
    may_fall_back: bool,
) -> Execution:
    """What was asked for, else what is remembered of the episode, else the remote system if it answers.

    An automatic choice is kept: an episode that was worked on here stays here. `may_fall_back` is false for a
    command that only looks at an episode: where its results are is the only place to look.
    Raises `InvalidInput` when a remote system is wanted and no address is known.
    """
    kept = remembered if options.mode is None and options.data_dir is None else None
    mode = options.mode or (kept.mode if kept else Mode.AUTO)
    address = options.api or (remembered.address if remembered and options.data_dir is None else None)
    if mode is Mode.LOCAL:
        return Execution(mode, None)
    if mode is Mode.REMOTE:
        if address is None:
            raise InvalidInput("no address of a remote system is known", hint="give it with --api")
        return Execution(mode, address)
    if address is None or (kept is not None and kept.address is None):
        return Execution(mode, None)
    if not may_fall_back or answers(address):
        return Execution(mode, address)
    warning = f"the system at {address} does not answer: running on this machine instead"
    return Execution(mode, None, warning)


def settle(
    options: SystemOptions,
    screen: Screen,
    *,
    ep_id: str | None = None,
    video: str | None = None,
    may_fall_back: bool,
) -> SystemOptions:
    """The options with the choice made: `api` is the address in use, or None on this machine."""
    remembered = ExecutionMemory.of_user().recall(ep_id=ep_id, video=video)
    chosen = choose(options, remembered, _answers, may_fall_back=may_fall_back)
    if chosen.warning:
        screen.warn(chosen.warning)
    elif chosen.address is None and options.api:
        screen.say(f"staying on this machine, and not at {options.api}: --mode remote chooses otherwise")
    notices = (chosen.warning,) if chosen.warning else ()
    return replace(options, api=chosen.address, mode=chosen.mode, place=chosen.place, notices=notices)


@contextmanager
def open_kept(
    options: SystemOptions, screen: Screen, *, ep_id: str | None = None, workers: bool = False
) -> Iterator[Session]:
    """With the system that has the episode or the job in question; none is made where there never was one.

    Raises what `settle`, `require_episodes` and `open_session` raise.
    """
    options = settle(options, screen, ep_id=ep_id, may_fall_back=False)
    require_episodes(options)
    with open_session(options, screen, workers=workers) as session:
        yield session


def remember(options: SystemOptions, ep_id: str, video: str | None = None) -> None:
    """Keeps what `settle` has chosen; a memory that cannot be written is no reason to fail."""
    assert options.mode is not None
    ExecutionMemory.of_user().keep(ep_id, Remembered(options.mode, options.api), video=video)


def _answers(address: str) -> bool:
    """Raises `InvalidAddress`."""
    with remote_client(address, timeout_s=10.0, retry_for_s=_PROBE_FOR_S) as probe:
        try:
            probe.profiles()
        except ApiUnavailable:
            return False
    return True
