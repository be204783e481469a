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


@dataclass(frozen=True)
class SystemOptions:
    """Which system to use. `device` None leaves the choice to the system, which asks for a GPU."""

    data_dir: Path | None = None
    api: str | None = None
    device: Provider | None = None
    allow_cpu_fallback: bool = False


@dataclass(frozen=True)
class RunOptions:
    video: Path
    system: SystemOptions
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
DeviceOption = Annotated[
    Provider | None,
    typer.Option("--device", help="Where models execute. Without it, a GPU is required."),
]
FallbackOption = Annotated[
    bool, typer.Option("--allow-cpu-fallback", help="Run on the CPU where the GPU is missing.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON line on stdout, the last.")]
EpIdOption = Annotated[
    str | None,
    typer.Option("--ep-id", help="Name of the episode. (default: from the file's name and content)"),
]
