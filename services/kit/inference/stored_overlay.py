"""An overlay of the catalog in an object store, for services that share no disk with whoever adds models.

Below its prefix lie `catalog.toml` and the files that it names, as in the overlay of a data directory.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from services.kit.errors import InvalidSettings, NotFound
from services.kit.inference.catalog import CATALOG_FILE, Catalog, CatalogEntry, default_cache_dir, read_catalog
from services.kit.object_store import ObjectStore
from services.kit.settings import ServiceSettings


def load_catalog(settings: ServiceSettings, *, with_files: bool) -> Catalog:
    """The catalog as the settings describe it. Blocks on the network where an overlay is stored.

    Raises `InvalidSettings`, `SystemUnavailable` when the store does not answer.
    """
    models = settings.models
    if not models.overlay_url:
        return Catalog.load(models.dir, models.overlay_dir)
    key = hashlib.sha256(models.overlay_url.encode()).hexdigest()[:16]
    folder = (models.cache_dir or default_cache_dir()) / "overlays" / key
    store = ObjectStore(models.overlay_url, options=settings.store.options)
    try:
        fetch_overlay(store, folder, with_files=with_files)
    except OSError as error:
        raise InvalidSettings(
            f"{folder} cannot be written: {error.strerror}", hint="set SCREENALYTICS_MODELS__CACHE_DIR"
        ) from error
    return Catalog.load(models.dir, folder)


def fetch_overlay(store: ObjectStore, folder: Path, *, with_files: bool) -> None:
    """Makes `folder` what the store has; a store without a catalog is an empty overlay.

    Raises `OSError` for a folder that cannot be written, `SystemUnavailable`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalog = folder / CATALOG_FILE
    try:
        _replace(catalog, store.get_bytes(CATALOG_FILE))
    except NotFound:
        catalog.unlink(missing_ok=True)
    if with_files:
        for entry in read_catalog(catalog).models:
            _fetch_file(store, entry, folder / entry.file)


def _fetch_file(store: ObjectStore, entry: CatalogEntry, target: Path) -> None:
    if target.is_file() and _sha256(target) == entry.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(target)
    try:
        store.fetch(entry.file, part, sha256=entry.sha256)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _replace(target: Path, content: bytes) -> None:
    part = _part_of(target)
    part.write_bytes(content)
    part.replace(target)


def _part_of(target: Path) -> Path:
    """A name of its own, since workers on one machine share a cache."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    return Path(name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
