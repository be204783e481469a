"""Whether a path can be a video at all, asked before anything is started for it."""

from __future__ import annotations

from pathlib import Path

from services.kit.errors import InvalidInput, InvalidMedia


def require_video_file(path: Path) -> Path:
    """The absolute path of a readable file that is not empty.

    Raises `InvalidInput` for a path that leads to no readable file, `InvalidMedia` for an empty one.
    """
    try:
        if not path.exists():
            raise InvalidInput(f"no such file: {path}")
        if not path.is_file():
            raise InvalidInput(f"not a file: {path}", hint="name one video file")
        with path.open("rb") as file:
            if not file.read(1):
                raise InvalidMedia(f"the file is empty: {path}")
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    return path.absolute()
