"""The models this system knows: what each file is, how it is fed, and whether the file is really it.

The catalog is `models/catalog.toml`. A model's file is looked for in the folder of the setting
`SCREENALYTICS_MODELS__DIR` first, then in the overlay that `screenalytics models pull|add` writes, then beside
the catalog. A file whose sha256 is not the catalog's is never loaded. Each of those folders may bring its own
`catalog.toml`, whose entries are added and win in the same order.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kit.errors import InvalidSettings, ModelUnusable
from services.kit.messages import ModelRef

SHIPPED_DIR = Path(__file__).resolve().parents[3] / "models"

CATALOG_FILE = "catalog.toml"

# A name below the folder: no part is `..`, none is hidden, none is empty.
_PART = r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*"
_Template = Annotated[list[tuple[float, float]], Field(min_length=5, max_length=5)]


class ChannelOrder(StrEnum):
    BGR = "bgr"
    RGB = "rgb"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    file: str = Field(pattern=rf"^{_PART}(/{_PART})*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    source: str = ""
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")  # where `models pull` fetches it
    tags: tuple[str, ...] = ()


class _ImageModel(_Entry):
    """Pixels 0..255 become `(pixel - mean) / std`, per channel in the model's own order."""

    channels: ChannelOrder
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    input_dtype: Literal["float32", "uint8"] = "float32"


class DetectorEntry(_ImageModel):
    role: Literal["detector"] = "detector"
    family: Literal["yunet", "scrfd"]
    size_multiple_px: int = Field(ge=1)
    fixed_size_px: tuple[int, int] | None = None  # (height, width), for graphs that take only one
    max_batch: int | None = None


class EmbedderEntry(_ImageModel):
    """`template`: five alignment points as shares of the input's side. Thresholds are cosines."""

    role: Literal["embedder"] = "embedder"
    size_px: int
    dimensions: int
    template: _Template
    face_threshold: float = Field(ge=-1, le=1)
    track_threshold: float = Field(ge=-1, le=1)
    max_batch: int | None = None


class SimilarityEntry(_Entry):
    role: Literal["similarity"] = "similarity"


CatalogEntry = Annotated[DetectorEntry | EmbedderEntry | SimilarityEntry, Field(discriminator="role")]


class CatalogFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    defaults: dict[str, str] = {}
    models: list[CatalogEntry]


class Catalog:
    def __init__(
        self, entries: Mapping[str, CatalogEntry], defaults: Mapping[str, str], folders: list[Path]
    ) -> None:
        self._entries = dict(entries)
        self._defaults = dict(defaults)
        self._folders = folders

    @classmethod
    def load(cls, models_dir: Path | None, overlay_dir: Path | None = None) -> Catalog:
        """An overlay need not exist yet. Raises `InvalidSettings` for a damaged catalog or a missing folder."""
        if models_dir is not None and not models_dir.is_dir():
            raise InvalidSettings(f"SCREENALYTICS_MODELS__DIR names {models_dir}, which is no folder")
        folders = [folder for folder in (models_dir, overlay_dir, SHIPPED_DIR) if folder is not None]
        entries: dict[str, CatalogEntry] = {}
        defaults: dict[str, str] = {}
        for folder in reversed(folders):
            part = read_catalog(folder / CATALOG_FILE)
            entries.update({entry.name: entry for entry in part.models})
            defaults.update(part.defaults)
        return cls(entries, defaults, folders)

    def entries(self) -> list[CatalogEntry]:
        return list(self._entries.values())

    def entry(self, name: str) -> CatalogEntry:
        """Raises `ModelUnusable` for a name that is not in the catalog."""
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(sorted(self._entries))
            raise ModelUnusable(f"no model {name!r} in the catalog", hint=f"known: {known}") from None

    def detector(self, name: str) -> DetectorEntry:
        entry = self.entry(name)
        if not isinstance(entry, DetectorEntry):
            raise ModelUnusable(f"model {name} is of role {entry.role}, not a detector")
        return entry

    def embedder(self, name: str) -> EmbedderEntry:
        entry = self.entry(name)
        if not isinstance(entry, EmbedderEntry):
            raise ModelUnusable(f"model {name} is of role {entry.role}, not an embedder")
        return entry

    def default(self, role: str) -> str:
        """The name of the model that is used when a request names none."""
        try:
            return self._defaults[role]
        except KeyError:
            raise InvalidSettings(f"the catalog names no default {role}") from None

    def is_default(self, name: str) -> bool:
        return name in self._defaults.values()

    def ref(self, name: str) -> ModelRef:
        entry = self.entry(name)
        return ModelRef(entry.role, entry.name, entry.sha256)

    def current(self, ref: ModelRef) -> ModelRef:
        """The model that now has the name and role of `ref`; `ref` itself where there is none any more."""
        entry = self._entries.get(ref.name)
        return self.ref(ref.name) if entry is not None and entry.role == ref.role else ref

    def find(self, name: str) -> Path | None:
        """Where the model's file lies, unverified; None when it is in no folder."""
        entry = self.entry(name)
        candidates = (folder / entry.file for folder in self._folders)
        return next((path for path in candidates if path.is_file()), None)

    def path(self, name: str) -> Path:
        """The verified file. Raises `ModelUnusable` when it is missing or is another file."""
        entry, path = self.entry(name), self.find(name)
        if path is not None:
            _verify(path, entry)
            return path
        looked = " or ".join(str(folder) for folder in self._folders)
        raise ModelUnusable(
            f"the file {entry.file} of model {name} is not in {looked}",
            hint="set SCREENALYTICS_MODELS__DIR to a folder that has it; models/README.md says where to get it"
            + (f", or fetch it: screenalytics models pull {name}" if entry.url else ""),
        )


def default_cache_dir() -> Path:
    """XDG Base Directory Specification: `$XDG_CACHE_HOME`, ignored unless absolute, else `~/.cache`."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "screenalytics" / "models"


def read_catalog(path: Path) -> CatalogFile:
    """Raises `InvalidSettings`."""
    if not path.is_file():
        return CatalogFile(models=[])
    try:
        return CatalogFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise InvalidSettings(f"{path} is not a model catalog: {error}") from error


def _verify(path: Path, entry: CatalogEntry) -> None:
    stat = path.stat()
    found = _sha256(path, stat.st_mtime_ns, stat.st_size)
    if found != entry.sha256:
        raise ModelUnusable(
            f"{path} is not the file the catalog names for {entry.name}: "
            f"its sha256 is {found}, expected {entry.sha256}",
            hint="fetch the file again, or give your own model an entry of its own in catalog.toml",
        )


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
