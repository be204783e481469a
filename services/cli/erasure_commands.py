"""`screenalytics erase`, `trash` and `restore`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import typer

from services.cli.execution import open_kept
from services.cli.execution_memory import ExecutionMemory
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import Session
from services.client import Erasure

_POLL_S = 1.0
_WAIT_S = 90.0


def erase_episode(
    ep_id: str, options: SystemOptions, is_meant: Callable[[str], bool], *, as_json: bool
) -> None:
    """`is_meant` is asked once it is known at which address the episode would be erased.

    Raises `typer.Exit` when it fails or is not meant.
    """
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen, ep_id=ep_id) as session:
            if not is_meant(session.client.base_url):
                raise typer.Exit(2)
            screen.say(f"erasing {ep_id} at {session.client.base_url}")
            receipt = session.steadily(lambda client: client.erase(ep_id))
            screen.say("looking for late files and messages until none can follow")
            receipt = _waited_for(session, receipt)
        ExecutionMemory.of_user().forget(ep_id)
        went = ", ".join(f"{count} {kind}" for kind, count in receipt.counts.items() if count)
        screen.result(f"{ep_id} is erased: {went}")
        screen.result(f"receipt {receipt.erasure_id}: {receipt.state}")
        if receipt.state == "pending":
            screen.warn("a worker has not let go yet; the receipt is done once it has, while the system runs")
        screen.json_line(asdict(receipt))


def _waited_for(session: Session, receipt: Erasure) -> Erasure:
    """The receipt when it is done, or as it is after a while: a system of this command's own ends with it."""
    erasure_id, give_up_at = receipt.erasure_id, time.monotonic() + _WAIT_S
    while receipt.state == "pending" and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        receipt = session.steadily(lambda client: client.erasure(erasure_id))
    return receipt


def trash_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen, ep_id=ep_id) as session:
            trashed = session.steadily(lambda client: client.trash(ep_id))
        until = "somebody erases it" if trashed.purge_at is None else f"{trashed.purge_at:%Y-%m-%d %H:%M} UTC"
        screen.result(f"{ep_id} is in the trash until {until}; to take it out: screenalytics restore {ep_id}")
        screen.json_line(asdict(trashed))


def restore_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen, ep_id=ep_id) as session:
            episode = session.steadily(lambda client: client.restore(ep_id))
        screen.result(f"{ep_id} is back; its jobs were cancelled and can be submitted anew")
        screen.json_line(asdict(episode))
