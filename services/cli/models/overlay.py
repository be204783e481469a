"""The folder of a data directory in which a user's own and fetched models lie, with a catalog of its own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from services.kit.errors import DataDirUnusable
from services.kit.inference.catalog import CATALOG_FILE, CatalogEntry, CatalogFile, read_catalog
from services.kit.object_store import ObjectStore

_HEAD = "# Written by `screenalytics models add`; entries here win over the shipped ones.\n"


class Overlay:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put_entry(self, entry: CatalogEntry, *, as_default: bool) -> None:
        """Adds the entry, or replaces the one of that name. Raises `InvalidSettings`, `DataDirUnusable`."""
        held = read_catalog(self.folder / CATALOG_FILE)
        models = [*(other for other in held.models if other.name != entry.name), entry]
        defaults = held.defaults | {entry.role: entry.name} if as_default else held.defaults
        text = catalog_text(CatalogFile(defaults=defaults, models=models))
        with self.writable(), _replacing(self.folder / CATALOG_FILE) as part:
            part.write_text(text, "utf-8")

    def put_file(self, source: Path, name: str) -> Path:
        """A copy under `name`; readers see all of it or none. Raises `DataDirUnusable`."""
        target = self.folder / name
        if target == source:
            return target
        with self.writable(), _replacing(target) as part:
            shutil.copyfile(source, part)
        return target

    def send_to(self, store: ObjectStore) -> None:
        """Files first, so that no reader finds an entry whose file is not there. Raises `SystemUnavailable`."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name != CATALOG_FILE:
                store.put_file(path.relative_to(self.folder).as_posix(), path)
        catalog = self.folder / CATALOG_FILE
        if catalog.is_file():
            store.put_bytes(CATALOG_FILE, catalog.read_bytes())

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Makes the folder. Raises `DataDirUnusable`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise DataDirUnusable(
                f"{self.folder} cannot be written: {error.strerror}", hint="choose another --data-dir"
            ) from error


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its place when the block has succeeded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def catalog_text(catalog: CatalogFile) -> str:
    """The catalog as TOML. JSON's strings, numbers and arrays are TOML's as well."""
    lines = [_HEAD]
    if catalog.defaults:
        lines += ["[defaults]", *_pairs(catalog.defaults), ""]
    for entry in catalog.models:
        said = entry.model_dump(mode="json", exclude_defaults=True)
        lines += ["[[models]]", *_pairs({"role": entry.role, **said}), ""]
    return "\n".join(lines)


def _pairs(values: Mapping[str, object]) -> Iterator[str]:
    for key, value in values.items():
        if value is not None:
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
