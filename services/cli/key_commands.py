"""`screenalytics keys`: keys of the system at an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from services.cli.outcome import reported
from services.cli.remote import remote_client
from services.cli.screen import Screen
from services.cli.tables import keys_table
from services.client import IssuedApiKey
from services.kit.errors import InvalidInput

_ONCE = "this is the only time that the key is shown"


def create_key(
    api: str, name: str, scopes: Sequence[str], expires_in_days: float | None, *, as_json: bool
) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        expires_at = None if expires_in_days is None else _in_days(expires_in_days)
        with remote_client(api) as client:
            _show(client.keys.create(name, scopes, expires_at=expires_at), screen)


def rotate_key(api: str, key_id: str, overlap_hours: float, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen), remote_client(api) as client:
        _show(client.keys.rotate(key_id, overlap_s=overlap_hours * 3600), screen)


def list_keys(api: str, *, as_json: bool) -> None:
    """Raises `typer.Exit` when they cannot be told."""
    screen = Screen(as_json=as_json)
    with reported(screen), remote_client(api) as client:
        keys = client.keys.list()
        screen.table(keys_table(keys))
        screen.json_line({"keys": [asdict(key) for key in keys]})


def revoke_key(api: str, key_id: str, *, as_json: bool) -> None:
    """Raises `typer.Exit` when it fails."""
    screen = Screen(as_json=as_json)
    with reported(screen), remote_client(api) as client:
        key = client.keys.revoke(key_id)
        screen.result(f"key {key.key_id} ({key.name}) is revoked")
        screen.json_line(asdict(key))


def _in_days(days: float) -> datetime:
    """Raises `InvalidInput` for what is no time on the calendar."""
    try:
        return datetime.now(UTC) + timedelta(days=days)
    except (OverflowError, ValueError) as error:
        raise InvalidInput(f"{days:g} days from now is no time", hint="leave it out for never") from error


def _show(key: IssuedApiKey, screen: Screen) -> None:
    screen.say(f"key {key.key_id} ({key.name}) may {', '.join(key.scopes)}; {_ONCE}")
    screen.result(key.key)
    screen.json_line(asdict(key))
