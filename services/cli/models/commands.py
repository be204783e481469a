"""`screenalytics models ...`: the work behind the names."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from services.cli.models.describe import Answers, described
from services.cli.models.fetch import fetch
from services.cli.models.options import Backend, InstanceKind
from services.cli.models.overlay import Overlay
from services.cli.models.triton_repository import write_repository
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.kit.errors import Conflict, InvalidInput, ModelUnusable, NotFound
from services.kit.inference.catalog import Catalog, CatalogEntry
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider
from services.kit.inference.signature import signature_fault
from services.kit.inference.stored_overlay import fetch_overlay
from services.kit.object_store import ObjectStore
from services.local import default_data_dir

MODELS_DIR_ENV = "SCREENALYTICS_MODELS__DIR"


@dataclass(frozen=True)
class ModelOptions:
    """`models_dir` None: the folder that the environment names, if it names one."""

    data_dir: Path | None = None
    models_dir: Path | None = None
    as_json: bool = False
    store: str | None = None

    @property
    def overlay_dir(self) -> Path:
        return (self.data_dir or default_data_dir()).absolute() / "models"

    def catalog(self, overlay_dir: Path | None = None) -> Catalog:
        """Raises `InvalidSettings`."""
        named = os.environ.get(MODELS_DIR_ENV)
        folder = self.models_dir or (Path(named) if named else None)
        return Catalog.load(folder, overlay_dir or self.overlay_dir)

    @contextmanager
    def overlay(self) -> Iterator[Overlay]:
        """Where models are added: the data directory, else a copy of the store's that goes there at the end.

        Raises `InvalidSettings`, `SystemUnavailable`.
        """
        if self.store is None:
            yield Overlay(self.overlay_dir)
            return
        store = ObjectStore(self.store)
        with tempfile.TemporaryDirectory(prefix="screenalytics-models-") as folder:
            fetch_overlay(store, Path(folder), with_files=False)
            overlay = Overlay(Path(folder))
            yield overlay
            overlay.send_to(store)


def list_models(options: ModelOptions) -> None:
    """Raises `typer.Exit`."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        catalog = options.catalog()
        rows = [_record(catalog, entry) for entry in catalog.entries()]
        screen.table(_table(rows))
        screen.json_line({"models": rows})


def verify_models(names: list[str], options: ModelOptions) -> None:
    """Exit status 2 when a file is not the catalog's, or a named one is missing. Raises `typer.Exit`."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        catalog = options.catalog()
        rows = [
            _record(catalog, entry) for entry in _chosen(catalog, names or [e.name for e in catalog.entries()])
        ]
        screen.table(_table(rows))
        bad = {"changed", "missing"} if names else {"changed"}
        if faults := [f"{row['name']} ({row['state']})" for row in rows if row["state"] in bad]:
            raise ModelUnusable(
                f"not the catalog's files: {', '.join(faults)}", hint="fetch or copy them again"
            )
        screen.json_line({"models": rows})


def pull_models(names: list[str], options: ModelOptions) -> None:
    """Raises `typer.Exit`."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        with options.overlay() as overlay:
            catalog = options.catalog(overlay.folder)
            entries = _chosen(catalog, names)
            for entry in entries:
                _pull(catalog, overlay, entry, screen)
                if options.store is not None:  # whoever reads the store fetches what its catalog names
                    overlay.put_file(catalog.path(entry.name), entry.file)
                    overlay.put_entry(entry, as_default=False)
            records = [_record(catalog, entry) for entry in entries]
        screen.json_line({"models": records})


def _pull(catalog: Catalog, overlay: Overlay, entry: CatalogEntry, screen: Screen) -> None:
    if _state(catalog, entry.name) == "present":
        screen.say(f"{entry.name} is there: {catalog.path(entry.name)}")
        return
    if not entry.url:
        raise NotFound(
            f"the catalog names no address for model {entry.name}",
            hint=f"source: {entry.source or 'not stated'}; put the file into the folder of {MODELS_DIR_ENV}",
        )
    screen.say(f"fetching {entry.name} ({entry.licence}) from {entry.url}")
    target = overlay.folder / entry.file
    shown = [0]

    def show(held: int, total: int | None) -> None:
        percent = 100 * held // total if total else 0
        if percent >= shown[0] + 10:
            shown[0] = percent
            screen.say(f"  {percent} %, {held / 1e6:.1f} MB")

    with overlay.writable():
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(entry.url, target, sha256=entry.sha256, on_progress=show)
    screen.say(f"{entry.name}: {target}")
    if (found := catalog.find(entry.name)) != target:
        screen.warn(f"another file is found before it: {found}")


def add_model(file: Path, answers: Answers, options: ModelOptions, *, as_default: bool, replace: bool) -> None:
    """Raises `typer.Exit`."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        if not file.is_file():
            raise InvalidInput(f"{file} is no file")
        if not answers.licence.strip():
            raise InvalidInput("a model without a licence may not be used", hint="say which with --licence")
        entry = _described(file, answers)
        with options.overlay() as overlay:
            _require_free_name(options.catalog(overlay.folder), entry.name, replace=replace)
            path = overlay.put_file(file, entry.file)
            overlay.put_entry(entry, as_default=as_default)
            record = _record(options.catalog(overlay.folder), entry)
        screen.say(f"added {entry.name} ({entry.licence}): {options.store or path}")
        if entry.role == "embedder":
            screen.warn("thresholds belong to a model: measure --face-threshold and --track-threshold on faces")
        screen.say("a running system knows it after a restart")
        screen.json_line({"models": [record]})


def _require_free_name(catalog: Catalog, name: str, *, replace: bool) -> None:
    """Raises `Conflict`."""
    if not replace and name in {entry.name for entry in catalog.entries()}:
        raise Conflict(f"a model {name} is in the catalog", hint="choose another --name, or say --replace")


def _described(file: Path, answers: Answers) -> CatalogEntry:
    """Raises `ModelUnusable` for a file that is no model, or not one of that family."""
    session = open_session(file, requested=Provider.CPU, allow_cpu=False, threads=1, name=answers.name)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    entry = described(answers, digest, session.inputs, session.outputs)
    if (fault := signature_fault(entry, session.inputs, session.outputs)) is not None:
        raise ModelUnusable(f"{file} is no model of family {answers.family}: {fault}")
    return entry


def write_triton_repository(
    folder: Path,
    names: list[str],
    options: ModelOptions,
    *,
    kind: InstanceKind,
    backend: Backend,
    threads: int,
) -> None:
    """Raises `typer.Exit`."""
    screen = Screen(as_json=options.as_json)
    with reported(screen):
        catalog = options.catalog()
        chosen = names or [catalog.default(role) for role in ("detector", "embedder", "similarity")]
        for path in write_repository(catalog, folder, chosen, kind=kind, backend=backend, threads=threads):
            screen.result(str(path))
        screen.json_line({"folder": str(folder), "models": chosen, "kind": kind, "backend": backend})


def _chosen(catalog: Catalog, names: list[str]) -> list[CatalogEntry]:
    return [catalog.entry(name) for name in names]


def _state(catalog: Catalog, name: str) -> str:
    if catalog.find(name) is None:
        return "missing"
    try:
        catalog.path(name)
    except ModelUnusable:
        return "changed"
    return "present"


def _record(catalog: Catalog, entry: CatalogEntry) -> dict[str, Any]:
    """The entry's fields, and what became of its file. Embeddings of different spaces are never compared."""
    path = catalog.find(entry.name)
    space = {"embedding_space": entry.sha256} if entry.role == "embedder" else {}
    return {
        **entry.model_dump(mode="json"),
        **space,
        "state": _state(catalog, entry.name),
        "path": str(path) if path else None,
        "is_default": catalog.is_default(entry.name),
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "role", "family", "licence", "state", "sha256", "where"):
        table.add_column(column, overflow="fold")
    for row in rows:
        name = f"{row['name']} (default)" if row["is_default"] else row["name"]
        where = row["path"] or row["url"] or row["source"]
        cells = (
            name,
            row["role"],
            row.get("family", "-"),
            row["licence"],
            row["state"],
            row["sha256"][:12],
            where,
        )
        table.add_row(*map(Text, cells))
    return table
