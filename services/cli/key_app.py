"""The surface of `screenalytics keys`. The work is imported by the command that does it."""
# ruff: noqa: PLC0415  `--help` must not wait for HTTP libraries.

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from services.cli.options import API_ENV, JsonOption


class KeyScope(StrEnum):
    READ = "read"
    SUBMIT = "submit"
    CURATE = "curate"
    ADMIN = "admin"


SystemOption = Annotated[
    str,
    typer.Option("--api", envvar=API_ENV, help="The system at this address.", metavar="URL"),
]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id.", show_default=False)]

key_app = typer.Typer(
    help="Keys of a system that asks who calls. SCREENALYTICS_CLIENT__TOKEN holds one with the scope admin.",
    no_args_is_help=True,
)


@key_app.command(epilog="Example:  screenalytics keys create --name ci --scope read --scope submit")
def create(
    api: SystemOption,
    name: Annotated[str, typer.Option(help="What the list of keys shows.", show_default=False)],
    scope: Annotated[list[KeyScope], typer.Option(help="What it may do; more than once for more.")],
    expires_in_days: Annotated[float | None, typer.Option(min=0, help="(default: never)")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once."""
    from services.cli.key_commands import create_key

    create_key(api, name, scope, expires_in_days, as_json=as_json)


@key_app.command("list", epilog="Example:  screenalytics keys list")
def list_(api: SystemOption, as_json: JsonOption = False) -> None:
    """Show every key, its scopes and when it was last used."""
    from services.cli.key_commands import list_keys

    list_keys(api, as_json=as_json)


@key_app.command(epilog="Example:  screenalytics keys revoke k3lw7ik0")
def revoke(key: KeyArgument, api: SystemOption, as_json: JsonOption = False) -> None:
    """Take a key back."""
    from services.cli.key_commands import revoke_key

    revoke_key(api, key, as_json=as_json)


@key_app.command(epilog="Example:  screenalytics keys rotate k3lw7ik0 --overlap-hours 48")
def rotate(
    key: KeyArgument,
    api: SystemOption,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=2160, help="How long the secret of now works on.")
    ] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """Give a key a new secret and print it, this once."""
    from services.cli.key_commands import rotate_key

    rotate_key(api, key, overlap_hours, as_json=as_json)
