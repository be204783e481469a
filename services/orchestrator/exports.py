"""The files that users of the older system know, made from artifacts when they are asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.kit.artifacts import PIPELINE_VER, ArtifactKind, SceneFacts, read_table
from services.kit.errors import NotFound
from services.orchestrator.older_files import OLDER_FILES

_BATCH_ROWS = 1_000

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExportSource:
    """`paths`: local files by artifact kind; `names`: the models of the runs."""

    ep_id: str
    paths: Mapping[ArtifactKind, Path]
    detector: str
    embedder: str

    def table(self, kind: ArtifactKind) -> pa.Table:
        return read_table(self.paths[kind], kind)


def _rows(table: pa.Table) -> Iterator[Record]:
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from batch.to_pylist()


def _rounded(values: list[float], digits: int = 2) -> list[float]:
    return [round(v, digits) for v in values]


def _points(flat: list[float]) -> list[list[float]]:
    values = _rounded(flat)
    return [values[i : i + 2] for i in range(0, len(values), 2)]


def detections(source: ExportSource) -> Iterator[Record]:
    fps = SceneFacts.of(source.table(ArtifactKind.SCENES)).fps
    for row in _rows(source.table(ArtifactKind.DETECTIONS)):
        yield {
            "ep_id": source.ep_id,
            "ts": round(row["ts"], 4),
            "frame_idx": row["frame_idx"],
            "class": "face",
            "conf": round(row["conf"], 4),
            "bbox_xyxy": _rounded(row["bbox_xyxy"]),
            "track_id": row["track_id"],
            "model": source.detector,
            "detector": source.detector,
            "tracker": "bytetrack",
            "pipeline_ver": PIPELINE_VER,
            "fps": fps,
            "landmarks": _points(row["landmarks"]),
        }


def tracks(source: ExportSource) -> Iterator[Record]:
    samples: dict[int, list[Record]] = {}
    for row in _rows(source.table(ArtifactKind.DETECTIONS)):
        if row["track_id"] is not None:
            samples.setdefault(row["track_id"], []).append(
                {
                    "frame_idx": row["frame_idx"],
                    "ts": round(row["ts"], 4),
                    "bbox_xyxy": _rounded(row["bbox_xyxy"]),
                    "landmarks": _points(row["landmarks"]),
                    "conf": round(row["conf"], 4),
                }
            )
    for row in _rows(source.table(ArtifactKind.TRACKS)):
        yield {
            "track_id": row["track_id"],
            "class": "face",
            "first_ts": round(row["first_ts"], 4),
            "last_ts": round(row["last_ts"], 4),
            "frame_count": row["frame_count"],
            "first_frame_idx": row["first_frame_idx"],
            "last_frame_idx": row["last_frame_idx"],
            "bboxes_sampled": samples.get(row["track_id"], []),
            "pipeline_ver": PIPELINE_VER,
        }


def faces(source: ExportSource) -> Iterator[Record]:
    vectors = source.table(ArtifactKind.EMBEDDINGS).column("embedding")
    for row in _rows(source.table(ArtifactKind.FACES)):
        yield _face(source, row, vectors)


def _face(source: ExportSource, row: Record, vectors: pa.ChunkedArray) -> Record:
    record: Record = {
        "ep_id": source.ep_id,
        "face_id": row["face_id"],
        "track_id": row["track_id"],
        "frame_idx": row["frame_idx"],
        "ts": round(row["ts"], 4),
        "bbox_xyxy": _rounded(row["bbox_xyxy"]),
        "conf": round(row["conf"], 4),
        "quality": round(row["quality"], 4),
        "embedding": None,
        "embedding_model": source.embedder,
        "detector": source.detector,
        "pipeline_ver": PIPELINE_VER,
        "landmarks": _points(row["landmarks"]),
        "pose_yaw": round(row["pose_yaw"], 1),
        "pose_pitch": round(row["pose_pitch"], 1),
        "pose_roll": round(row["pose_roll"], 1),
    }
    if row["skip"] is None:
        record["embedding"] = _rounded(vectors[row["face_id"]].as_py(), 6)
    else:
        record["skip"] = row["skip"]
        record["skip_data"] = {
            "reason": row["skip"],
            "blur_score": round(row["sharpness"], 2),
            "confidence": round(row["conf"], 4),
            "contrast": round(row["contrast"], 2),
        }
    return record


def identities(source: ExportSource) -> Iterator[Record]:
    yield from json.loads(source.paths[ArtifactKind.IDENTITIES].read_bytes())["identities"]


def screen_time(source: ExportSource) -> Iterator[Record]:
    yield from _rows(source.table(ArtifactKind.SCREEN_TIME))


@dataclass(frozen=True, slots=True)
class Export:
    """`columns` head the table, also when it has no rows."""

    needs: tuple[ArtifactKind, ...]
    records: Callable[[ExportSource], Iterator[Record]]
    columns: tuple[str, ...]


_K = ArtifactKind
_DETECTIONS = Export(
    (_K.DETECTIONS, _K.SCENES),
    detections,
    (
        "ep_id", "ts", "frame_idx", "class", "conf", "bbox_xyxy", "track_id", "model", "detector", "tracker",
        "pipeline_ver", "fps", "landmarks",
    ),
)  # fmt: skip
_TRACKS = Export(
    (_K.DETECTIONS, _K.TRACKS),
    tracks,
    (
        "track_id", "class", "first_ts", "last_ts", "frame_count", "first_frame_idx", "last_frame_idx",
        "bboxes_sampled", "pipeline_ver",
    ),
)  # fmt: skip
_FACES = Export(
    (_K.FACES, _K.EMBEDDINGS),
    faces,
    (
        "ep_id", "face_id", "track_id", "frame_idx", "ts", "bbox_xyxy", "conf", "quality", "embedding",
        "embedding_model", "detector", "pipeline_ver", "landmarks", "pose_yaw", "pose_pitch", "pose_roll",
        "skip", "skip_data",
    ),
)  # fmt: skip
_IDENTITIES = Export(
    (_K.IDENTITIES,),
    identities,
    (
        "identity_id", "label", "track_ids", "size", "cohesion", "rep_thumb_rel_path",
        "first_ts", "last_ts", "screen_time_s", "bridged_s",
    ),
)  # fmt: skip
_SCREEN_TIME = Export((_K.SCREEN_TIME,), screen_time, ("identity_id", "kind", "start_ts", "end_ts"))

EXPORTS: Mapping[str, Export] = {
    "detections.jsonl": _DETECTIONS,
    "tracks.jsonl": _TRACKS,
    "faces.jsonl": _FACES,
    "detections.csv": _DETECTIONS,
    "tracks.csv": _TRACKS,
    "faces.csv": _FACES,
    "identities.csv": _IDENTITIES,
    "screen_time.csv": _SCREEN_TIME,
}
# Served as they were written.
JSON_FILES: Mapping[str, ArtifactKind] = {
    "identities.json": _K.IDENTITIES,
    "track_metrics.json": _K.TRACK_METRICS,
}


def names(export_format: str) -> list[str]:
    tables = [name for name in EXPORTS if name.endswith(f".{export_format}")]
    return tables + (list(JSON_FILES) if export_format == "jsonl" else [])


def export(name: str) -> Export:
    """Raises `NotFound` for a name that is no export."""
    try:
        return EXPORTS[name]
    except KeyError:
        raise NotFound(f"no export {name!r}", hint=f"known: {', '.join([*EXPORTS, *JSON_FILES])}") from None


def render(name: str, source: ExportSource) -> Iterator[bytes]:
    """The file's text in pieces, UTF-8."""
    found = export(name)
    records = found.records(source)
    return _as_csv(records, found.columns) if name.endswith(".csv") else _as_jsonl(records)


def imported_name(name: str) -> str | None:
    """The file of the older system that an export is made from, where there is one."""
    stem = name.partition(".")[0]
    return next((file.name for file in OLDER_FILES.values() if file.kind == stem), None)


def render_imported_csv(name: str, path: Path) -> Iterator[bytes]:
    """As `render`, from the imported file of `imported_name`."""
    return _as_csv(_imported_records(path, imported_name(name) or ""), export(name).columns)


def _imported_records(path: Path, file_name: str) -> Iterator[Record]:
    if not file_name.endswith(".jsonl"):
        yield from json.loads(path.read_bytes())["identities"]
        return
    with path.open("rb") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _as_jsonl(records: Iterator[Record]) -> Iterator[bytes]:
    for record in records:
        yield (json.dumps(record, ensure_ascii=False) + "\n").encode()


def _as_csv(records: Iterator[Record], columns: Sequence[str]) -> Iterator[bytes]:
    """Nested values stand as JSON in their cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({k: _cell(v) for k, v in record.items()})
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
