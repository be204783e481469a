"""`screenalytics export`: an episode's results as files."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from services.cli.execution import open_kept
from services.cli.options import ExportFormat, SystemOptions
from services.cli.outcome import reported
from services.cli.screen import Screen
from services.cli.session import Session
from services.client import UnexpectedAnswer
from services.kit.errors import InvalidInput


def export_episode(ep_id: str, fmt: ExportFormat, out: Path, options: SystemOptions) -> None:
    """Raises `typer.Exit` when it fails; files already written stay, each of them whole."""
    screen = Screen()
    with reported(screen), open_kept(options, screen, ep_id=ep_id) as session:
        names = session.steadily(lambda client: client.export_names(ep_id, fmt))
        if not names:
            raise InvalidInput(f"{ep_id} has no results to export", hint="run it first: screenalytics run")
        for name in names:
            screen.result(str(_write(session, ep_id, name, out)))


def _write(session: Session, ep_id: str, name: str, out: Path) -> Path:
    """The file, which appears under its name only once it is whole."""
    target = out / _relative(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            unfinished = Path(file.name)
            try:
                session.steadily(lambda client: client.download_export(ep_id, name, file.file))
                file.flush()
                unfinished.chmod(0o644)
                unfinished.replace(target)
            except BaseException:
                with suppress(OSError):
                    unfinished.unlink()
                raise
    except OSError as error:
        raise InvalidInput(f"cannot write {target}: {error.strerror}", hint="choose another --out") from error
    return target


def _relative(name: str) -> PurePosixPath:
    """Names come from a server that need not be ours. Raises `UnexpectedAnswer` for one that leads outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise UnexpectedAnswer(f"the server names a file {name!r}, which leads outside of the export")
    return path
