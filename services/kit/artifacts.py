"""Every artifact's kind, file name and typed schema: the only place where a column is named.

Boxes are `x1, y1, x2, y2` in pixels of the upright full frame; landmarks are five `x, y` pairs in YuNet's
order (right eye, left eye, nose tip, right and left mouth corner, as seen from the person, so image-left
first). `ts` is seconds since the first video frame's presentation time. `frame_idx` is the rank of a decoded
frame in presentation order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.kit.errors import InvalidRequest

# Stands in every export and in identities.json; raised when their fields change.
PIPELINE_VER = "screenalytics-1"
_META_KEY = b"screenalytics"


class ArtifactKind(StrEnum):
    SEGMENT_FRAMES = "segment_frames"
    SEGMENT_DETECTIONS = "segment_detections"
    SEGMENT_CHIPS = "segment_chips"
    DETECTIONS = "detections"
    TRACKS = "tracks"
    CHIPS = "chips"
    SCENES = "scenes"
    FRAMES = "frames"
    CROPS = "crops"
    FACES = "faces"
    EMBEDDINGS = "embeddings"
    IDENTITIES = "identities"
    TRACK_METRICS = "track_metrics"
    SCREEN_TIME = "screen_time"


BOX = pa.list_(pa.float32(), 4)
LANDMARKS = pa.list_(pa.float32(), 10)
AFFINE = pa.list_(pa.float32(), 6)


def _schema(**columns: pa.DataType) -> pa.Schema:
    """A schema whose columns are required, but for those typed as `_optional`."""
    return pa.schema(
        [
            pa.field(n, t.of, True) if isinstance(t, _Nullable) else pa.field(n, t, False)
            for n, t in columns.items()
        ]
    )


@dataclass(frozen=True, slots=True)
class _Nullable:
    of: pa.DataType


_DETECTION = {"bbox_xyxy": BOX, "conf": pa.float32(), "landmarks": LANDMARKS}
_CHIP = {
    "image": pa.binary(),  # JPEG, CHIP_PX x CHIP_PX, BGR when decoded
    "chip_landmarks": LANDMARKS,  # in chip pixels
    "transform": AFFINE,  # row-major 2x3, frame pixels -> chip pixels
    "face_px": pa.float32(),  # shorter side of the box in the frame
    "sharpness": pa.float32(),
    "contrast": pa.float32(),
    "pose_yaw": pa.float32(),  # degrees, estimated from the landmarks
    "pose_pitch": pa.float32(),
    "pose_roll": pa.float32(),
    "quality": pa.float32(),  # 0..1
}

SCHEMAS: Mapping[ArtifactKind, pa.Schema] = {
    # One row per decoded frame. `cut_score` compares it with the frame before; null where that is unknown.
    # `is_boundary` marks the one frame after the segment's end, decoded only for its score.
    ArtifactKind.SEGMENT_FRAMES: _schema(
        pts=pa.int64(),
        ts=pa.float64(),
        cut_score=_Nullable(pa.float32()),
        is_sampled=pa.bool_(),
        is_boundary=pa.bool_(),
    ),
    ArtifactKind.SEGMENT_DETECTIONS: _schema(pts=pa.int64(), ts=pa.float64(), **_DETECTION),
    # `detection_row` is the row of the segment's detections the chip was cut from.
    ArtifactKind.SEGMENT_CHIPS: _schema(detection_row=pa.int64(), **_CHIP),
    # `track_id` is null for a detection that belongs to no track.
    ArtifactKind.DETECTIONS: _schema(
        detection_id=pa.int64(),
        frame_idx=pa.int64(),
        pts=pa.int64(),
        ts=pa.float64(),
        **_DETECTION,
        track_id=_Nullable(pa.int64()),
    ),
    ArtifactKind.TRACKS: _schema(
        track_id=pa.int64(),
        shot_idx=pa.int64(),
        first_frame_idx=pa.int64(),
        last_frame_idx=pa.int64(),
        first_ts=pa.float64(),
        last_ts=pa.float64(),
        frame_count=pa.int64(),  # sampled frames in which it was observed
        mean_conf=pa.float32(),
    ),
    ArtifactKind.CHIPS: _schema(
        chip_id=pa.int64(),
        track_id=pa.int64(),
        detection_id=pa.int64(),
        frame_idx=pa.int64(),
        ts=pa.float64(),
        **_DETECTION,
        **_CHIP,
    ),
    # Shots; frames `start_frame_idx <= i < end_frame_idx`. Metadata: `SceneFacts`.
    ArtifactKind.SCENES: _schema(
        shot_idx=pa.int64(),
        start_frame_idx=pa.int64(),
        end_frame_idx=pa.int64(),
        start_ts=pa.float64(),
        end_ts=pa.float64(),
        cut_score=_Nullable(pa.float32()),
    ),
    ArtifactKind.FRAMES: _schema(frame_idx=pa.int64(), ts=pa.float64(), image=pa.binary()),
    ArtifactKind.CROPS: _schema(
        track_id=pa.int64(), detection_id=pa.int64(), frame_idx=pa.int64(), ts=pa.float64(), image=pa.binary()
    ),
    # `face_id` is the row in `embeddings`; null for a chip that was rejected, and then `skip` says why.
    ArtifactKind.FACES: _schema(
        chip_id=pa.int64(),
        face_id=_Nullable(pa.int64()),
        track_id=pa.int64(),
        detection_id=pa.int64(),
        frame_idx=pa.int64(),
        ts=pa.float64(),
        **_DETECTION,
        sharpness=pa.float32(),
        contrast=pa.float32(),
        pose_yaw=pa.float32(),
        pose_pitch=pa.float32(),
        pose_roll=pa.float32(),
        quality=pa.float32(),
        space=pa.string(),  # sha256 of the embedder: two spaces are never compared
        skip=_Nullable(pa.string()),
    ),
    # Observed and bridged intervals of each identity, non-overlapping within one identity and kind.
    ArtifactKind.SCREEN_TIME: _schema(
        identity_id=pa.string(), kind=pa.string(), start_ts=pa.float64(), end_ts=pa.float64()
    ),
}
JSON_KINDS = frozenset({ArtifactKind.IDENTITIES, ArtifactKind.TRACK_METRICS})


def embeddings_schema(dimensions: int) -> pa.Schema:
    """`embedding`: float32 [D], L2-normalised; row i belongs to `face_id` i."""
    return pa.schema([pa.field("embedding", pa.list_(pa.float32(), dimensions), False)])


def file_name(kind: ArtifactKind) -> str:
    return f"{kind}.json" if kind in JSON_KINDS else f"{kind}.parquet"


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """What the later stages must know about the clock of the detections; metadata of `scenes`."""

    fps: float  # nominal, frames per second
    stride: int
    sample_period_s: float
    frames_decoded: int
    frames_sampled: int
    duration_s: float  # end of the last frame
    width: int
    height: int

    @classmethod
    def of(cls, table: pa.Table) -> SceneFacts:
        return cls(**read_metadata(table))


def with_metadata(table: pa.Table, metadata: Mapping[str, Any]) -> pa.Table:
    return table.replace_schema_metadata({_META_KEY: json.dumps(dict(metadata))})


def read_metadata(table: pa.Table) -> dict[str, Any]:
    raw = (table.schema.metadata or {}).get(_META_KEY)
    return dict(json.loads(raw)) if raw else {}


def write_table(path: Path, kind: ArtifactKind, table: pa.Table) -> None:
    """Writes `table`, its columns in any order, under the schema of `kind`; pyarrow says what does not fit."""
    schema = table.schema if kind is ArtifactKind.EMBEDDINGS else SCHEMAS[kind]
    metadata = table.schema.metadata
    fitted = table.select(schema.names).cast(schema).replace_schema_metadata(metadata)
    pq.write_table(fitted, path, compression="zstd")


@contextmanager
def table_writer(path: Path, kind: ArtifactKind) -> Iterator[pq.ParquetWriter]:
    """For tables that do not fit in memory: write record batches of the kind's schema."""
    with pq.ParquetWriter(path, SCHEMAS[kind], compression="zstd") as writer:
        yield writer


def read_table(path: Path, kind: ArtifactKind) -> pa.Table:
    """Raises `InvalidRequest` when the file is damaged or has other columns than `kind` names."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidRequest(f"artifact {kind} is damaged: {error}") from error
    if kind is not ArtifactKind.EMBEDDINGS and not table.schema.equals(SCHEMAS[kind]):
        raise InvalidRequest(f"artifact {kind} has columns {table.schema.names}, not those of this release")
    return table
