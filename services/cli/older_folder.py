"""Finds the files of the older system in a folder. Reads names and the heads of files, and writes nothing.

`DIR/[data/][manifests/]EP_ID/` holds the flat layout; `runs/RUN_ID/` below it holds one run each. `DIR` may be
the folder of one episode as well.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from services.kit.errors import InvalidInput
from services.orchestrator.older_files import ACTIVE_RUN, OLDER_FILES

_HEAD_BYTES = 4096
_EP_ID = re.compile(r"^[a-z0-9][a-z0-9._-]{0,127}$")
_RECORDED_EP_ID = re.compile(rb'"ep_id"\s*:\s*"([^"\\]{1,128})"')
_MANIFESTS = tuple(name for name, file in OLDER_FILES.items() if file.kind is not None)
_MARKERS = tuple(name for name, file in OLDER_FILES.items() if file.is_marker)
_PARENTS = ("manifests", "data/manifests")
_MAX_FOLDERS = 100_000


class Rejected(Exception):
    """A file that cannot be imported; the text says why."""


@dataclass(frozen=True, slots=True)
class OlderPath:
    """`run_id` is empty in the flat layout. `shown` is the path below the folder, fit for a terminal."""

    ep_id: str
    run_id: str
    name: str
    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Rejection:
    file: str
    reason: str


@dataclass(slots=True)
class OlderFolder:
    root: Path
    files: list[OlderPath] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


def look_into(folder: Path) -> OlderFolder:
    """Raises `InvalidInput` for what is no folder, or holds nothing of the older system."""
    try:
        found = OlderFolder(folder.resolve(strict=True))
        for episode in _episode_folders(found):
            _add_episode(found, episode)
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be read: {error.strerror}") from error
    if not found.files and not found.rejected:
        raise InvalidInput(
            f"{folder} holds no files of the older system",
            hint="give the folder that has manifests/, or that of one episode",
        )
    return found


def usable_file(root: Path, path: Path) -> tuple[Path, datetime]:
    """The real path of a file, and when it was written. Raises `Rejected`."""
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root):
            raise Rejected("is a link that leads outside of the folder")
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Rejected("is no regular file")
        return real, datetime.fromtimestamp(status.st_mtime, UTC)
    except OSError as error:
        raise Rejected(f"cannot be read: {error.strerror}") from error
    except (ValueError, OverflowError, RuntimeError) as error:  # a time out of range, a loop of links
        raise Rejected(f"cannot be read: {error}") from error


def printable(text: str) -> str:
    """Control characters and bytes that are no text are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _episode_folders(found: OlderFolder) -> Iterator[Path]:
    if _holds_episode(found.root):
        yield found.root
        return
    base = next((b for name in _PARENTS if (b := found.root / name).is_dir()), found.root)
    yield from (folder for folder in _folders(found, base) if _holds_episode(folder))


def _holds_episode(folder: Path) -> bool:
    """A run's folder may lie below `runs`, so that the folder itself is enough."""
    has_manifest = any((folder / name).exists() or (folder / name).is_symlink() for name in _MANIFESTS)
    return has_manifest or (folder / "runs").is_dir()


def _folders(found: OlderFolder, parent: Path) -> Iterator[Path]:
    """Folders below `parent`, by name; a link to a folder is rejected, wherever it leads."""
    for count, child in enumerate(sorted(parent.iterdir())):
        if count >= _MAX_FOLDERS:
            raise InvalidInput(f"{printable(str(parent))} has more than {_MAX_FOLDERS} entries")
        if child.is_symlink() and child.is_dir():
            found.rejected.append(Rejection(_shown(found.root, child), "is a link to a folder"))
        elif child.is_dir():
            yield child


def _add_episode(found: OlderFolder, folder: Path) -> None:
    places = [("", folder / name) for name in _MANIFESTS]
    runs = folder / "runs"
    if runs.is_symlink():
        found.rejected.append(Rejection(_shown(found.root, runs), "is a link to a folder"))
    elif runs.is_dir():
        places += [("", runs / name) for name in (*_MARKERS, ACTIVE_RUN)]
        for run in _folders(found, runs):
            places += [(run.name, run / name) for name in (*_MANIFESTS, *_MARKERS)]
            places += [(run.name, run / "runs" / name) for name in _MARKERS]
    present = [(run_id, path) for run_id, path in places if path.exists() or path.is_symlink()]
    ep_id = (_recorded_ep_id(found.root, [path for _, path in present]) or folder.name).lower()
    reason = None
    if not _EP_ID.fullmatch(ep_id):
        reason = f"{printable(ep_id)[:200]} is no name of an episode, which matches {_EP_ID.pattern}"
    elif any(file.ep_id == ep_id for file in found.files):
        reason = f"another folder holds episode {ep_id} already"
    if reason is not None:
        found.rejected.append(Rejection(_shown(found.root, folder), reason))
        return
    found.files += [
        OlderPath(ep_id, run_id, path.name, path, _shown(found.root, path)) for run_id, path in present
    ]


def _recorded_ep_id(root: Path, paths: list[Path]) -> str | None:
    """The name that the files themselves give, which a renamed folder has lost."""
    for path in paths:
        try:
            with usable_file(root, path)[0].open("rb") as file:
                match = _RECORDED_EP_ID.search(file.read(_HEAD_BYTES))
        except (Rejected, OSError):
            continue
        if match:
            return match[1].decode(errors="replace")
    return None


def _shown(root: Path, path: Path) -> str:
    return printable(str(path.relative_to(root))) if path != root else printable(root.name)
