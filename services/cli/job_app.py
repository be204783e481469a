"""The surface of the commands on jobs. The work is imported by the command that does it."""
# ruff: noqa: PLC0415  `--help` must not wait for HTTP libraries.

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.options import (
    ApiOption,
    DataDirOption,
    DeviceOption,
    FallbackOption,
    JobArgument,
    JsonOption,
    ModeOption,
    system_options,
)

job_app = typer.Typer()


@job_app.command(epilog="Examples:  screenalytics jobs    screenalytics jobs film-1a2b3c4d --active")
def jobs(
    context: typer.Context,
    ep_id: Annotated[str | None, typer.Argument(help="Those of an episode; without it, of all.")] = None,
    active: Annotated[bool, typer.Option("--active", help="Only those that are not over.")] = False,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the newest first."""
    from services.cli.job_commands import list_jobs

    list_jobs(ep_id, system_options(context, data_dir, api, mode), active=active, as_json=as_json)


@job_app.command(epilog="Example:  screenalytics why 01JZ...")
def why(
    context: typer.Context,
    job_id: JobArgument,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say in one sentence what a job waits for or why it ended, and what to do next."""
    from services.cli.job_commands import say_why

    say_why(job_id, system_options(context, data_dir, api, mode), as_json=as_json)


@job_app.command(epilog="Example:  screenalytics logs -f 01JZ...")
def logs(
    context: typer.Context,
    job_id: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    noisy: Annotated[bool, typer.Option("--noisy", help="Show what libraries say about themselves.")] = False,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a job's workers have said; kept after success, failure and crash."""
    from services.cli.logs import follow_logs, show_logs

    if follow and as_json:
        raise typer.BadParameter("--json prints one line at the end, so it does not go with --follow")
    system = system_options(context, data_dir, api, mode)
    if follow:
        follow_logs(job_id, system, noisy=noisy)
    else:
        show_logs(job_id, system, noisy=noisy, as_json=as_json)


@job_app.command(epilog="Example:  screenalytics cancel 01JZ...")
def cancel(
    context: typer.Context,
    job_id: JobArgument,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel a job; one that has ended stays as it is."""
    from services.cli.job_commands import cancel_job

    cancel_job(job_id, system_options(context, data_dir, api, mode), as_json=as_json)


@job_app.command(epilog="Example:  screenalytics retry 01JZ...")
def retry(
    context: typer.Context,
    job_id: JobArgument,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    device: DeviceOption = None,
    allow_cpu_fallback: FallbackOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask again for a job that failed or was cancelled: its unfinished stages begin anew.

    --device and --allow-cpu-fallback are for the system, where one has to be started; the job keeps its own.
    """
    from services.cli.job_commands import Again, do_again

    system = system_options(context, data_dir, api, mode, device, allow_cpu_fallback=allow_cpu_fallback)
    do_again(job_id, Again.RETRY, system, as_json=as_json)


@job_app.command(epilog="Example:  screenalytics resume 01JZ...")
def resume(
    context: typer.Context,
    job_id: JobArgument,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    device: DeviceOption = None,
    allow_cpu_fallback: FallbackOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with a job that failed or was cancelled, from the parts of the video that are done.

    --device and --allow-cpu-fallback are for the system, where one has to be started; the job keeps its own.
    """
    from services.cli.job_commands import Again, do_again

    system = system_options(context, data_dir, api, mode, device, allow_cpu_fallback=allow_cpu_fallback)
    do_again(job_id, Again.RESUME, system, as_json=as_json)
