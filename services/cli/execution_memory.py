"""Remembers where each episode was worked on, in a file of its own, so that commands need no lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.options import Mode
from services.local import write_atomically

_EP_ID = re.compile(r"^[a-z0-9][a-z0-9._-]{0,127}$")


@dataclass(frozen=True, slots=True)
class Remembered:
    """`address` is None for this machine."""

    mode: Mode
    address: str | None


class ExecutionMemory:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls, env: Mapping[str, str] = os.environ) -> ExecutionMemory:
        """XDG Base Directory Specification: `$XDG_STATE_HOME`, ignored unless absolute."""
        configured = Path(env.get("XDG_STATE_HOME", ""))
        base = configured if configured.is_absolute() else Path.home() / ".local" / "state"
        return cls(base / "screenalytics" / "execution")

    def recall(self, *, ep_id: str | None = None, video: str | None = None) -> Remembered | None:
        """By the episode's name, else by the video that it was made from. A damaged memory is none."""
        if ep_id is None and video is not None:
            ep_id = _read(self._of_video(video)).get("ep_id")
        if not isinstance(ep_id, str) or not _EP_ID.fullmatch(ep_id):
            return None
        record = _read(self._of_episode(ep_id))
        address = record.get("address")
        with suppress(ValueError):
            return Remembered(Mode(record.get("mode", "")), address if isinstance(address, str) else None)
        return None

    def keep(self, ep_id: str, chosen: Remembered, *, video: str | None = None) -> None:
        """What cannot be written is forgotten."""
        with suppress(OSError):
            _write(self._of_episode(ep_id), {"mode": chosen.mode, "address": chosen.address})
            if video is not None:
                _write(self._of_video(video), {"video": video, "ep_id": ep_id})

    def forget(self, ep_id: str) -> None:
        """The episode, and the videos that it was made from. What cannot be removed stays."""
        if not _EP_ID.fullmatch(ep_id):
            return
        with suppress(OSError):
            self._of_episode(ep_id).unlink(missing_ok=True)
            for path in (self._folder / "videos").glob("*.json"):
                if _read(path).get("ep_id") == ep_id:
                    path.unlink(missing_ok=True)

    def _of_episode(self, ep_id: str) -> Path:
        return self._folder / "episodes" / f"{ep_id}.json"

    def _of_video(self, video: str) -> Path:
        digest = hashlib.sha256(video.encode(errors="surrogateescape")).hexdigest()
        return self._folder / "videos" / f"{digest[:32]}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, record: Mapping[str, object]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(path, record, durable=False)
