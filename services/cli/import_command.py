"""`screenalytics import`: results of the older system, registered as they are."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from services.cli.execution import remember, settle
from services.cli.older_folder import (
    OlderFolder,
    OlderPath,
    Rejected,
    Rejection,
    look_into,
    printable,
    usable_file,
)
from services.cli.options import SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import Session, open_session
from services.client import ApiError, ImportedFile
from services.kit.errors import InvalidInput, NotFound

_OUTCOMES = ("imported", "replaced", "unchanged")


def import_folder(folder: Path, options: SystemOptions, *, as_json: bool) -> None:
    """Raises `typer.Exit`: with the status of bad input when a file was rejected."""
    screen = Screen(as_json=as_json)
    with reported(screen):
        found = look_into(folder)
        options = settle(options, screen, may_fall_back=True)
        with open_session(options, screen, workers=False) as session:
            report = _Import(found, session, screen).run()
        for ep_id in report["episodes"]:
            remember(options, ep_id)
        screen.json_line(report)
    if report["rejected"]:
        raise typer.Exit(InvalidInput.exit_status)


class _Import:
    def __init__(self, found: OlderFolder, session: Session, screen: Screen) -> None:
        self._found = found
        self._session = session
        self._screen = screen
        self._rejected: list[Rejection] = []

    def run(self) -> dict[str, Any]:
        """The record of `--json`."""
        for rejection in self._found.rejected:
            self._reject(rejection.file, rejection.reason)
        episodes = {}
        for ep_id in dict.fromkeys(file.ep_id for file in self._found.files):
            counts = self._import_episode(ep_id, [f for f in self._found.files if f.ep_id == ep_id])
            episodes[ep_id] = counts
            words = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES)
            self._screen.result(f"{ep_id}: {words}")
        rejected = [{"file": one.file, "reason": one.reason} for one in self._rejected]
        return {"episodes": episodes, "rejected": rejected}

    def _import_episode(self, ep_id: str, files: list[OlderPath]) -> dict[str, int]:
        known = {(one.run_id, one.name): one for one in self._known(ep_id)}
        counts: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        for file in files:
            try:
                counts[self._import_file(file, known.get((file.run_id, file.name)))] += 1
            except Rejected as rejected:
                self._reject(file.shown, str(rejected))
        return dict(counts)

    def _import_file(self, file: OlderPath, known: ImportedFile | None) -> str:
        """What became of it. Raises `Rejected`."""
        path, modified_at = usable_file(self._found.root, file.path)
        try:
            if known is not None and _is_known(path, modified_at, known):
                return "unchanged"
            done = self._session.steadily(
                lambda client: client.import_file(
                    file.ep_id, file.name, path, run_id=file.run_id, modified_at=modified_at
                )
            )
        except OSError as error:
            raise Rejected(f"cannot be read: {error.strerror}") from error
        except ApiError as error:
            if not 400 <= error.status < 500:
                raise
            raise Rejected(error.detail or error.title) from error
        return done.outcome or "imported"

    def _known(self, ep_id: str) -> list[ImportedFile]:
        try:
            return self._session.steadily(lambda client: client.imported_files(ep_id))
        except ApiError as error:
            if error.code != NotFound.code:
                raise
            return []

    def _reject(self, file: str, reason: str) -> None:
        self._rejected.append(Rejection(file, reason))
        self._screen.warn(f"rejected {file}: {printable(reason)}")


def _is_known(path: Path, modified_at: datetime, known: ImportedFile) -> bool:
    if known.modified_at != modified_at or known.size_bytes != path.stat().st_size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == known.sha256
