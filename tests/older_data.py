"""A small data folder as the older system left it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

DETECTIONS = [
    {
        "ep_id": "show", "ts": 0.04 * i, "frame_idx": i, "class": "face", "conf": 0.9,
        "bbox_xyxy": [10.0, 20.0, 60.0, 80.0], "track_id": 1, "model": "retinaface", "detector": "retinaface",
        "tracker": "bytetrack", "pipeline_ver": "2025-11", "fps": 25.0, "landmarks": [[1, 2]] * 5,
    }
    for i in range(4)
]  # fmt: skip
TRACKS = [
    {
        "track_id": 1, "class": "face", "first_ts": 0.0, "last_ts": 0.12, "frame_count": 4, "first_frame_idx": 0,
        "last_frame_idx": 3, "pipeline_ver": "2025-11",
        "bboxes_sampled": [{"frame_idx": 0, "ts": 0.0, "bbox_xyxy": [10, 20, 60, 80]}],
    }
]  # fmt: skip
FACES = [
    {
        "ep_id": "show", "face_id": "f1", "track_id": 1, "frame_idx": 0, "ts": 0.0,
        "bbox_xyxy": [10, 20, 60, 80], "conf": 0.9, "quality": 0.8, "embedding": [0.6, 0.8],
        "embedding_model": "arcface", "detector": "retinaface", "pipeline_ver": "2025-11",
    },
    {
        "ep_id": "show", "track_id": 1, "frame_idx": 1, "ts": 0.04, "skip": "blur",
        "skip_data": {"reason": "blur", "blur_score": 1.0, "confidence": 0.9, "contrast": 3.0},
    },
]  # fmt: skip
IDENTITIES = {
    "ep_id": "show", "pipeline_ver": "2025-11", "config": {"cluster_thresh": 0.5},
    "stats": {"faces": 1, "clusters": 1},
    "identities": [{"identity_id": "id_0001", "label": None, "track_ids": [1], "size": 1, "cohesion": 1.0}],
}  # fmt: skip
TRACK_METRICS = {
    "ep_id": "show", "generated_at": "2025-11-01T10:00:00Z", "metrics": {"tracks_born": 1},
    "scene_cuts": {"count": 0}, "cluster_metrics": {"singleton_fraction": 1.0},
}  # fmt: skip
FLAT: Mapping[str, Any] = {
    "detections.jsonl": DETECTIONS,
    "tracks.jsonl": TRACKS,
    "faces.jsonl": FACES,
    "identities.json": IDENTITIES,
    "track_metrics.json": TRACK_METRICS,
}


def marker(stage: str, finished_at: str, **fields: Any) -> dict[str, Any]:
    return {
        "phase": stage, "status": "success", "version": 2, "run_id": "r1", "requested_device": "cuda",
        "resolved_device": "cuda", "started_at": "2025-11-01T09:00:00Z", "finished_at": finished_at,
    } | fields  # fmt: skip


MARKERS = {
    f"{stage}.json": marker(stage, f"2025-11-01T{hour}:00:00Z")
    for stage, hour in (("detect_track", 10), ("faces_embed", 11), ("cluster", 12))
}


def text_of(name: str, content: Any) -> str:
    if name.endswith(".jsonl"):
        return "".join(json.dumps(record) + "\n" for record in content)
    return json.dumps(content)


def write_flat(folder: Path, ep_id: str = "show") -> Path:
    """Manifests in `folder`, markers below its `runs`. `ep_id` takes the place of the recorded one."""
    write_files(folder, FLAT, ep_id)
    write_files(folder / "runs", MARKERS, ep_id)
    return folder


def write_run(folder: Path, run_id: str, ep_id: str = "show") -> Path:
    """The same as a run of its own: manifests and markers side by side."""
    write_files(folder / "runs" / run_id, {**FLAT, **MARKERS}, ep_id)
    return folder


def write_files(folder: Path, contents: Mapping[str, Any], ep_id: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(text_of(name, content).replace('"show"', json.dumps(ep_id)))


def set_mtime(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder that an import must leave alone."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }
