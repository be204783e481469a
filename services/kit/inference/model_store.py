"""Models by way of the object store: one job fills it from a folder, and each pod fetches what its stage needs.

What is fetched is checked against the catalog before it gets its name. The catalog itself may come from the
store too; who pins its digest trusts the store with nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from services.kit.errors import InvalidSettings, ModelUnusable
from services.kit.inference.catalog import CATALOG_FILE, SHIPPED_DIR, Catalog, CatalogEntry
from services.kit.object_store import ObjectStore
from services.kit.settings import ServiceSettings

log = logging.getLogger(__name__)

PREFIX = "models"


def fill(settings: ServiceSettings) -> list[str]:
    """Puts the catalog of the models' folder, and every file that is really its entry's, into the store.

    Returns the names of the models. Raises `InvalidSettings`, `ModelUnusable`, `SystemUnavailable`.
    """
    folder, store = _folder(settings), _store(settings)
    catalog = Catalog.load(folder)
    held = [entry for entry in catalog.entries() if (folder / entry.file).is_file()]
    for entry in held:
        store.put_file(f"{PREFIX}/{entry.file}", catalog.path(entry.name))
        log.info("stored model %s", entry.name)
    if (folder / CATALOG_FILE).is_file():  # last: a catalog never names what is not there yet
        stored = store.put_file(f"{PREFIX}/{CATALOG_FILE}", folder / CATALOG_FILE)
        log.info("stored the catalog, sha256 %s", stored.sha256)
    return [entry.name for entry in held]


def fetch(settings: ServiceSettings, roles: Sequence[str], *, catalog_sha256: str = "") -> list[str]:
    """Fetches the catalog and every stored model of `roles` into the models' folder, and returns their names.

    Raises `InvalidSettings`, `ModelUnusable` (also when a role's default is in neither store nor image).
    """
    folder, store = _folder(settings), _store(settings)
    _fetch_catalog(store, folder, catalog_sha256)
    catalog = Catalog.load(folder)
    fetched = [e for e in catalog.entries() if e.role in roles and _fetch_model(store, folder, e)]
    for role in roles:
        catalog.path(catalog.default(role))
    return [entry.name for entry in fetched]


def _fetch_catalog(store: ObjectStore, folder: Path, sha256: str) -> None:
    key = f"{PREFIX}/{CATALOG_FILE}"
    if not store.exists(key):
        if sha256:
            raise ModelUnusable(f"the store holds no {key}", hint="fill it from a folder that has the catalog")
        return
    data = store.get_bytes(key)
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        raise ModelUnusable(
            f"the catalog in the store has the sha256 {found}, expected {sha256}",
            hint="fill the store again, or pin the new catalog's digest",
        )
    (folder / CATALOG_FILE).write_bytes(data)


def _fetch_model(store: ObjectStore, folder: Path, entry: CatalogEntry) -> bool:
    key, target = f"{PREFIX}/{entry.file}", folder / entry.file
    if (SHIPPED_DIR / entry.file).is_file() or not store.exists(key):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished")
    store.fetch(key, unfinished, sha256=entry.sha256)
    unfinished.rename(target)
    log.info("fetched model %s", entry.name)
    return True


def _folder(settings: ServiceSettings) -> Path:
    folder = settings.models.dir
    if folder is None or not folder.is_dir():
        raise InvalidSettings(f"SCREENALYTICS_MODELS__DIR names no folder: {folder}")
    return folder


def _store(settings: ServiceSettings) -> ObjectStore:
    return ObjectStore(settings.store.url, options=settings.store.options)
