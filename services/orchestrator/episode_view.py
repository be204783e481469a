"""Episodes and their imported files as the API shows them, from their rows. Pure."""

from __future__ import annotations

from typing import Any

from services.orchestrator.database import Row, as_json

_EPISODE_FIELDS = (
    "ep_id", "episode_uid", "title", "labels", "filename", "sha256", "size_bytes", "container", "created_at",
    "trashed_at", "purge_at", "media_removed_at",
)  # fmt: skip
_IMPORT_FIELDS = ("name", "stage", "sha256", "size_bytes", "rows", "modified_at", "imported_at")


def episode_shown(row: Row) -> dict[str, Any]:
    info = row["media_info"]
    if info is not None:
        info = {**info, "fps": info["fps_num"] / info["fps_den"]}
    shown = {name: as_json(row[name]) for name in _EPISODE_FIELDS}
    return {**shown, "media_info": info, "etag": episode_tag(row)}


def episode_tag(row: Row) -> str:
    return f"{row['episode_uid']}.{row['revision']}"


def import_shown(row: Row) -> dict[str, Any]:
    return {**{name: as_json(row[name]) for name in _IMPORT_FIELDS}, "run_id": row["run_key"]}
