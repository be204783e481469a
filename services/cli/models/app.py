"""The surface of `screenalytics models`. The work is imported by the command that does it."""
# ruff: noqa: PLC0415  `--help` must not wait for inference libraries.

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.models.options import Backend, Channels, Family, InstanceKind
from services.cli.options import DataDirOption, JsonOption

ModelsDirOption = Annotated[
    Path | None, typer.Option("--models-dir", help="More models. (default: $SCREENALYTICS_MODELS__DIR)")
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Add below this prefix of an object store instead.", metavar="URL"),
]
NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)]
OptionalNames = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)]

models = typer.Typer(help="The models: what is there, more of them, and Triton.", no_args_is_help=True)


@models.command("list", epilog="Example:  screenalytics models list --json")
def list_(
    data_dir: DataDirOption = None, models_dir: ModelsDirOption = None, as_json: JsonOption = False
) -> None:
    """Show every model of the catalog, and whether its file is there."""
    from services.cli.models.commands import ModelOptions, list_models

    list_models(ModelOptions(data_dir, models_dir, as_json))


@models.command(epilog="Example:  screenalytics models verify")
def verify(
    names: OptionalNames = None,
    data_dir: DataDirOption = None,
    models_dir: ModelsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check files against the digests of the catalog."""
    from services.cli.models.commands import ModelOptions, verify_models

    verify_models(names or [], ModelOptions(data_dir, models_dir, as_json))


@models.command(epilog="Example:  screenalytics models pull sface-2021dec")
def pull(
    names: NamesArgument,
    data_dir: DataDirOption = None,
    models_dir: ModelsDirOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch models from their stated source into the data directory."""
    from services.cli.models.commands import ModelOptions, pull_models

    pull_models(names, ModelOptions(data_dir, models_dir, as_json, store))


@models.command(epilog="Example:  screenalytics models add det_10g.onnx --name scrfd-10g --family scrfd")
def add(
    file: Annotated[Path, typer.Argument(help="The ONNX file.", show_default=False)],
    name: Annotated[str, typer.Option(help="Its name in the catalog.", show_default=False)],
    family: Annotated[Family, typer.Option(help="What its outputs mean.", show_default=False)],
    licence: Annotated[str | None, typer.Option(help="Of its weights. (default: asked for)")] = None,
    source: Annotated[str, typer.Option(help="Where it comes from.")] = "",
    channels: Annotated[Channels | None, typer.Option(help="(default: the family's)")] = None,
    mean: Annotated[
        tuple[float, float, float] | None, typer.Option(help="Per channel. (default: the family's)")
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None, typer.Option(help="Per channel. (default: the family's)")
    ] = None,
    face_threshold: Annotated[float, typer.Option(min=-1, max=1, help="Cosine; of embedders.")] = 0.35,
    track_threshold: Annotated[float, typer.Option(min=-1, max=1, help="Cosine; of embedders.")] = 0.35,
    as_default: Annotated[bool, typer.Option("--as-default", help="Use it where none is named.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the model of that name.")] = False,
    data_dir: DataDirOption = None,
    models_dir: ModelsDirOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a model of your own; its licence is asked for."""
    from services.cli.models.commands import ModelOptions, add_model
    from services.cli.models.describe import Answers

    answers = Answers(
        name=name,
        licence=typer.prompt("Licence of the weights", err=True) if licence is None else licence,
        source=source,
        family=family,
        channels=channels,
        mean=mean,
        std=std,
        face_threshold=face_threshold,
        track_threshold=track_threshold,
    )
    options = ModelOptions(data_dir, models_dir, as_json, store)
    add_model(file, answers, options, as_default=as_default, replace=replace)


@models.command("triton-repository", epilog="Example:  screenalytics models triton-repository repo --kind gpu")
def triton_repository(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made if missing.", show_default=False)],
    kind: Annotated[InstanceKind, typer.Option(help="Where the instances run.", show_default=False)],
    model: Annotated[
        list[str] | None, typer.Option(help="Repeat for several. (default: the catalog's defaults)")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="Triton's backend.")] = Backend.ONNXRUNTIME,
    threads: Annotated[int, typer.Option(min=1, help="Of a model on the CPU.")] = 1,
    data_dir: DataDirOption = None,
    models_dir: ModelsDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model repository for a Triton server."""
    from services.cli.models.commands import ModelOptions, write_triton_repository

    write_triton_repository(
        folder,
        model or [],
        ModelOptions(data_dir, models_dir, as_json),
        kind=kind,
        backend=backend,
        threads=threads,
    )
