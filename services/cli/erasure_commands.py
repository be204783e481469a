"""`screenalytics erase`, `trash` and `restore`."""

from __future__ import annotations

from dataclasses import asdict

from services.cli.execution import open_kept
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen


def erase_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            receipt = session.steadily(lambda client: client.erase(ep_id))
        went = ", ".join(f"{count} {kind}" for kind, count in receipt.counts.items() if count)
        screen.result(f"{ep_id} is erased: {went}")
        screen.result(f"receipt {receipt.erasure_id}: {receipt.state}")
        if receipt.state == "pending":
            screen.say("files and messages that may still turn up are looked for until the receipt is done")
        screen.json_line(asdict(receipt))


def trash_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            trashed = session.steadily(lambda client: client.trash(ep_id))
        until = "somebody erases it" if trashed.purge_at is None else f"{trashed.purge_at:%Y-%m-%d %H:%M} UTC"
        screen.result(f"{ep_id} is in the trash until {until}; to take it out: screenalytics restore {ep_id}")
        screen.json_line(asdict(trashed))


def restore_episode(ep_id: str, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        with open_kept(options, screen) as session:
            episode = session.steadily(lambda client: client.restore(ep_id))
        screen.result(f"{ep_id} is back; its jobs were cancelled and can be submitted anew")
        screen.json_line(asdict(episode))
