"""The images of the whole video, from those of its segments: which chips stay, and what each belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from services.detector.chips import pick_chips
from services.detector.row_sink import row_sink
from services.detector.stitching import Ints, Whole
from services.kit.artifacts import ArtifactKind
from services.kit.messages import ArtifactRef
from services.kit.stages import TaskContext
from services.kit.task_files import input_table, store_file

_FROM_DETECTION = ("track_id", "detection_id", "frame_idx", "ts", "bbox_xyxy", "conf", "landmarks")


@dataclass(frozen=True, slots=True)
class SegmentImages:
    """One segment's artifacts; its detections follow the `first_detection` of the segments before it."""

    refs: Mapping[ArtifactKind, ArtifactRef]
    first_detection: int


def write_chips(
    context: TaskContext, segments: Sequence[SegmentImages], detections: pa.Table, chips_per_track: int
) -> ArtifactRef:
    """The artifact CHIPS: those chosen for each track, in order of `detections`, which is DETECTIONS.

    The images of one segment are in memory at a time.
    """
    chosen = _choose(context, segments, detections, chips_per_track)
    with row_sink(context, ArtifactKind.CHIPS) as sink:
        for segment in segments:
            candidates, ids = _candidates(context, segment)
            rows = np.flatnonzero(np.isin(ids, chosen))
            facts = detections.take(ids[rows]).select(_FROM_DETECTION)
            kept = candidates.take(rows).drop_columns("detection_row")
            numbers = {"chip_id": np.arange(sink.rows, sink.rows + len(rows))}
            sink.add_table(
                _with_columns(kept, numbers | dict(zip(facts.column_names, facts.columns, strict=True)))
            )
    return store_file(context, ArtifactKind.CHIPS, rows=sink.rows)


def _candidates(context: TaskContext, segment: SegmentImages) -> tuple[pa.Table, Ints]:
    """A segment's candidate chips in order of detection, and the detection_id of each."""
    context.tick()
    table = input_table(context, segment.refs[ArtifactKind.SEGMENT_CHIPS]).sort_by("detection_row")
    return table, table["detection_row"].to_numpy() + segment.first_detection


def _choose(
    context: TaskContext, segments: Sequence[SegmentImages], detections: pa.Table, chips_per_track: int
) -> list[int]:
    """The detection_id of every chip that stays."""
    ts, tracks = detections["ts"].to_pylist(), detections["track_id"].to_pylist()
    by_track: dict[int, list[tuple[int, float]]] = {}
    for segment in segments:
        candidates, ids = _candidates(context, segment)
        for detection_id, quality in zip(ids.tolist(), candidates["quality"].to_pylist(), strict=True):
            if (track := tracks[detection_id]) is not None:
                by_track.setdefault(track, []).append((detection_id, quality))
    return [
        members[k][0]
        for members in by_track.values()
        for k in pick_chips([(ts[i], quality) for i, quality in members], chips_per_track)
    ]


def write_images(
    context: TaskContext, kind: ArtifactKind, segments: Sequence[SegmentImages], whole: Whole
) -> ArtifactRef:
    """FRAMES or CROPS with the numbers that the segments could not know; a frame is found by its `ts`."""
    with row_sink(context, kind) as sink:
        for segment in (segment for segment in segments if kind in segment.refs):
            context.tick()
            images = input_table(context, segment.refs[kind])
            known: dict[str, Any] = {"frame_idx": np.searchsorted(whole.timeline.ts, images["ts"].to_numpy())}
            if kind is ArtifactKind.CROPS:
                known["detection_id"] = images["detection_id"].to_numpy() + segment.first_detection
                known["track_id"] = whole.tracks[known["detection_id"]]
            sink.add_table(_with_columns(images, known))
    return store_file(context, kind, rows=sink.rows)


def _with_columns(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """`table` with these columns added, or put in place of its own."""
    result = table.drop_columns([name for name in columns if name in table.column_names])
    for name, values in columns.items():
        result = result.append_column(name, values if isinstance(values, pa.ChunkedArray) else pa.array(values))
    return result
