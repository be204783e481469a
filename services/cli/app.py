"""The surface of the command: names, options, help. The work is imported by the command that does it."""
# ruff: noqa: PLC0415  `--help` must not wait for HTTP, database and media libraries.

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.erasure_app import erasure_app
from services.cli.job_app import job_app
from services.cli.key_app import key_app
from services.cli.models.app import models
from services.cli.options import (
    ApiOption,
    DataDirOption,
    DeviceOption,
    EpIdOption,
    ExportFormat,
    FallbackOption,
    ForceOption,
    JpegQualityOption,
    JsonOption,
    ModeOption,
    ProfileOption,
    RunOptions,
    SampleOptions,
    SaveCropsOption,
    SaveFramesOption,
    SceneDetectorOption,
    StageName,
    StrideOption,
    TrackThresholdOption,
    UpOptions,
    is_uri,
    parse_size,
    system_options,
)
from services.kit.inference.placement import Provider

app = typer.Typer(
    help="Who is on screen, when, and for how long.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(job_app)
app.add_typer(erasure_app)
app.add_typer(models, name="models")
app.add_typer(key_app, name="keys")


@app.command(epilog="Example:  screenalytics run film.mp4 --device cpu --profile low_power")
def run(
    context: typer.Context,
    video: Annotated[
        str, typer.Argument(help="The video file, or an https:// URL of one.", show_default=False)
    ],
    profile: ProfileOption = None,
    device: DeviceOption = None,
    allow_cpu_fallback: FallbackOption = False,
    save_frames: SaveFramesOption = False,
    save_crops: SaveCropsOption = False,
    jpeg_quality: JpegQualityOption = None,
    scene_detector: SceneDetectorOption = None,
    stride: StrideOption = None,
    track_threshold: TrackThresholdOption = None,
    ep_id: EpIdOption = None,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    truth: Annotated[
        Path | None, typer.Option(help="A sample's truth to compare with; a difference is exit status 1.")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find out who is on screen in VIDEO: tracks, identities and screen time.

    Uses the remote system if one is known and answers, else that of --data-dir, started for it if need be.
    """
    from services.cli.run import run_job

    system = system_options(context, data_dir, api, mode, device, allow_cpu_fallback=allow_cpu_fallback)
    run_job(
        RunOptions(
            system=system,
            video=None if is_uri(video) else Path(video),
            source_uri=video if is_uri(video) else None,
            profile=profile,
            ep_id=ep_id,
            stride=stride,
            scene_detector=scene_detector,
            track_threshold=track_threshold,
            save_frames=save_frames,
            save_crops=save_crops,
            jpeg_quality=jpeg_quality,
            truth=truth,
            force=force,
            as_json=as_json,
        )
    )


@app.command(epilog="Example:  screenalytics stage film-1a2b3c4d cluster --track-threshold 0.5 --device cpu")
def stage(
    context: typer.Context,
    ep_id: Annotated[str, typer.Argument(help="The episode.", show_default=False)],
    stage: Annotated[StageName, typer.Argument(help="The stage.", show_default=False)],
    profile: ProfileOption = None,
    device: DeviceOption = None,
    allow_cpu_fallback: FallbackOption = False,
    acknowledge_zero_rows: Annotated[
        bool, typer.Option("--acknowledge-zero-rows", help="Run although the stage before found nothing.")
    ] = False,
    save_frames: SaveFramesOption = False,
    save_crops: SaveCropsOption = False,
    jpeg_quality: JpegQualityOption = None,
    scene_detector: SceneDetectorOption = None,
    stride: StrideOption = None,
    track_threshold: TrackThresholdOption = None,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one STAGE of an episode again, on what the stages before it have left."""
    from services.cli.run import run_job

    system = system_options(context, data_dir, api, mode, device, allow_cpu_fallback=allow_cpu_fallback)
    run_job(
        RunOptions(
            system=system,
            stage=stage,
            acknowledge_zero_rows=acknowledge_zero_rows,
            profile=profile,
            ep_id=ep_id,
            stride=stride,
            scene_detector=scene_detector,
            track_threshold=track_threshold,
            save_frames=save_frames,
            save_crops=save_crops,
            jpeg_quality=jpeg_quality,
            force=force,
            as_json=as_json,
        )
    )


@app.command(epilog="Example:  screenalytics up --device cpu --http-port 8080")
def up(
    data_dir: DataDirOption = None,
    device: DeviceOption = None,
    allow_cpu_fallback: FallbackOption = False,
    models_dir: Annotated[Path | None, typer.Option(help="More models, next to the packaged ones.")] = None,
    http_port: Annotated[int | None, typer.Option(min=1, max=65535, help="(default: a free one)")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Most compute threads of a worker.")] = None,
) -> None:
    """Run a whole system on this machine until Ctrl-C."""
    from services.cli.system import bring_up

    asked = device or Provider.CUDA
    bring_up(UpOptions(data_dir, asked, allow_cpu_fallback, models_dir, http_port, threads))


@app.command(epilog="Example:  screenalytics down")
def down(data_dir: DataDirOption = None) -> None:
    """Stop the system that runs on the data directory."""
    from services.cli.system import take_down

    take_down(data_dir)


@app.command(epilog="Examples:  screenalytics status    screenalytics status film-1a2b3c4d --json")
def status(
    context: typer.Context,
    ep_id: Annotated[str | None, typer.Argument(help="An episode; without it, the system.")] = None,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the processes and models of the running system, or how far an episode is."""
    from services.cli.status import show_episode, show_system

    system = system_options(context, data_dir, api, mode)
    if ep_id is None:
        show_system(system, as_json=as_json)
    else:
        show_episode(ep_id, system, as_json=as_json)


@app.command(epilog="Example:  screenalytics export film-1a2b3c4d --format csv --out tables")
def export(
    context: typer.Context,
    ep_id: Annotated[str, typer.Argument(help="The episode.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Folder to write to; made if missing.", file_okay=False, show_default=False)
    ],
    fmt: Annotated[ExportFormat, typer.Option("--format", help="Kind of files.")] = ExportFormat.JSONL,
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
) -> None:
    """Write an episode's results as files."""
    from services.cli.export import export_episode

    export_episode(ep_id, fmt, out, system_options(context, data_dir, api, mode))


@app.command("import", epilog="Example:  screenalytics import /srv/older/data")
def import_(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="A data folder of the older system; it is not changed.", metavar="DIR")
    ],
    mode: ModeOption = None,
    data_dir: DataDirOption = None,
    api: ApiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register results of the older system, as they are. Damaged files are named, and left out."""
    from services.cli.import_command import import_folder

    import_folder(folder, system_options(context, data_dir, api, mode), as_json=as_json)


@app.command(epilog="Example:  screenalytics sample demo.mp4 --seconds 20")
def sample(
    path: Annotated[Path, typer.Argument(help="The video to write; its truth goes beside it.", dir_okay=False)],
    seed: Annotated[int, typer.Option(help="Equal seeds draw equal episodes.")] = 1,
    seconds: Annotated[float, typer.Option(help="Length.")] = 40.0,
    size: Annotated[str, typer.Option(help="Width and height in pixels.", metavar="WxH")] = "960x540",
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 25,
    cast: Annotated[
        int | None, typer.Option(help="How many people. (default: as many as can be told apart)")
    ] = None,
) -> None:
    """Draw an episode with a known cast, and the truth about it."""
    from services.cli.sample_command import draw_sample

    width, height = parse_size(size)
    draw_sample(SampleOptions(path, seed, seconds, width, height, fps, cast))


@app.command(epilog="Example:  screenalytics doctor --provider cuda --json")
def doctor(
    provider: Annotated[Provider | None, typer.Option(help="What must be in effect. (default: cuda)")] = None,
    data_dir: DataDirOption = None,
    models_dir: Annotated[Path | None, typer.Option(help="More models, next to the packaged ones.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check where each model really runs, threads, FFmpeg, and the servers that are configured."""
    from services.cli.doctor.command import DoctorOptions, examine
    from services.cli.models.commands import ModelOptions

    examine(DoctorOptions(provider, ModelOptions(data_dir, models_dir, as_json)))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(version_of("screenalytics"))
