"""What the commands accept. Light to import: `--help` needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from services.kit.inference.placement import Provider

API_ENV = "SCREENALYTICS_API__URL"


class Profile(StrEnum):
    LOW_POWER = "low_power"
    BALANCED = "balanced"
    PERFORMANCE = "performance"


class SceneDetector(StrEnum):
    OFF = "off"
    INTERNAL = "internal"
    PYSCENEDETECT = "pyscenedetect"


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


class Mode(StrEnum):
    """Where to execute, as it is asked for."""

    AUTO = "auto"
    REMOTE = "remote"
    LOCAL = "local"


class Place(StrEnum):
    """Where it is executed."""

    REMOTE = "remote"
    LOCAL = "local"


class StageName(StrEnum):
    DETECT_TRACK = "detect_track"
    FACES_EMBED = "faces_embed"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class SystemOptions:
    """Which system to use. `device` None leaves the choice to the system, which asks for a GPU.

    `mode` None leaves that choice to what is remembered of the episode. `place` and `notices` are filled in by
    `execution.settle`, and `api` is None from then on where this machine was chosen.
    """

    data_dir: Path | None = None
    api: str | None = None
    device: Provider | None = None
    allow_cpu_fallback: bool = False
    mode: Mode | None = None
    place: Place | None = None
    notices: tuple[str, ...] = ()


def system_options(
    context: typer.Context,
    data_dir: Path | None,
    api: str | None,
    mode: Mode | None = None,
    device: Provider | None = None,
    *,
    allow_cpu_fallback: bool = False,
) -> SystemOptions:
    """An address on the command line means that system and no other; one of the environment is an offer."""
    source = context.get_parameter_source("api")
    if mode is None and source is not None and source.name == "COMMANDLINE":
        mode = Mode.REMOTE
    return SystemOptions(data_dir, api, device, allow_cpu_fallback, mode)


@dataclass(frozen=True)
class RunOptions:
    """Of a pipeline over `video` or what `source_uri` leads to, or of one `stage` of the episode `ep_id`."""

    system: SystemOptions
    video: Path | None = None
    source_uri: str | None = None
    stage: StageName | None = None
    acknowledge_zero_rows: bool = False
    profile: Profile | None = None
    ep_id: str | None = None
    stride: int | None = None
    scene_detector: SceneDetector | None = None
    track_threshold: float | None = None
    save_frames: bool = False
    save_crops: bool = False
    jpeg_quality: int | None = None
    truth: Path | None = None
    force: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class UpOptions:
    data_dir: Path | None
    device: Provider
    allow_cpu_fallback: bool
    models_dir: Path | None
    http_port: int | None
    threads: int | None


@dataclass(frozen=True)
class SampleOptions:
    path: Path
    seed: int
    seconds: float
    width: int
    height: int
    fps: int
    cast_size: int | None


def is_uri(text: str) -> bool:
    """Whether a text in the place of a file names something elsewhere."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.isascii() and scheme.isalnum()


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels of a text such as 960x540. Raises `typer.BadParameter`."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not a size such as 960x540")
    return int(width), int(height)


DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of the local system. (default: $XDG_DATA_HOME/screenalytics)",
        file_okay=False,
        show_default=False,
    ),
]
ApiOption = Annotated[
    str | None,
    typer.Option("--api", envvar=API_ENV, help="Use the system at this address.", metavar="URL"),
]
ModeOption = Annotated[
    Mode | None,
    typer.Option(
        "--mode",
        help="Where to execute: auto takes the remote system if it answers, else this machine. "
        "(default: as before for this episode, else auto)",
        show_default=False,
    ),
]
ProfileOption = Annotated[Profile | None, typer.Option("--profile", help="How thorough. (default: balanced)")]
SaveFramesOption = Annotated[bool, typer.Option("--save-frames", help="Keep each sampled frame.")]
SaveCropsOption = Annotated[bool, typer.Option("--save-crops", help="Keep each face crop.")]
JpegQualityOption = Annotated[
    int | None,
    typer.Option("--jpeg-quality", min=1, max=100, help="Of saved frames and crops. (default: 70)"),
]
SceneDetectorOption = Annotated[
    SceneDetector | None, typer.Option("--scene-detector", help="How cuts are found.")
]
StrideOption = Annotated[int | None, typer.Option("--stride", min=1, help="Look at every n-th frame.")]
TrackThresholdOption = Annotated[
    float | None,
    typer.Option("--track-threshold", min=-1, max=1, help="Cosine below which two tracks are two people."),
]
DeviceOption = Annotated[
    Provider | None,
    typer.Option("--device", help="Where models execute. Without it, a GPU is required."),
]
FallbackOption = Annotated[
    bool, typer.Option("--allow-cpu-fallback", help="Run on the CPU where the GPU is missing.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]
ForceOption = Annotated[bool, typer.Option("--force", help="Work anew where equal results are there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line on stdout, the last.")]
EpIdOption = Annotated[
    str | None,
    typer.Option("--ep-id", help="Name of the episode. (default: from the file's name and content)"),
]
