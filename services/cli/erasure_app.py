"""The surface of `erase`, `trash` and `restore`. The work is imported by the command that does it."""
# ruff: noqa: PLC0415  `--help` must not wait for HTTP libraries.

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.options import ApiOption, DataDirOption, JsonOption, ModeOption, system_options

erasure_app = typer.Typer()

_Episode = Annotated[str, typer.Argument(help="The episode.", metavar="EP_ID", show_default=False)]


@erasure_app.command(epilog="Example:  screenalytics erase film-1a2b3c4d --yes")
def erase(
    context: typer.Context,
    ep_id: _Episode,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase an episode for good: its video, results, jobs, logs and messages. Shows the receipt."""
    from services.cli.erasure_commands import erase_episode

    def is_meant(address: str) -> bool:
        question = f"Erase everything of {ep_id} at {address}? This cannot be undone"
        return yes or typer.confirm(question, err=True)

    erase_episode(ep_id, system_options(context, data_dir, api, mode), is_meant, as_json=as_json)


@erasure_app.command(epilog="Example:  screenalytics trash film-1a2b3c4d")
def trash(
    context: typer.Context,
    ep_id: _Episode,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hide an episode and cancel its jobs; it can be restored until it is erased in time."""
    from services.cli.erasure_commands import trash_episode

    trash_episode(ep_id, system_options(context, data_dir, api, mode), as_json=as_json)


@erasure_app.command(epilog="Example:  screenalytics restore film-1a2b3c4d")
def restore(
    context: typer.Context,
    ep_id: _Episode,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an episode out of the trash."""
    from services.cli.erasure_commands import restore_episode

    restore_episode(ep_id, system_options(context, data_dir, api, mode), as_json=as_json)
