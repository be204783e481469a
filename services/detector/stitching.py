"""Joins the records of a video's segments into one timeline and one set of tracks. Pure.

Tracking runs here, over all detections in order of time, and not per segment: a tracker's state outlives any
overlap that segments could have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.detector.scenes import Shot
from services.detector.tracker import NO_TRACK, Tracker, TrackerSettings

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All decoded frames in presentation order; a frame's index is its `frame_idx`. Each array is [N]; `ts` in
    seconds, `cut_score` NaN where unknown."""

    pts: Ints
    ts: NDArray[np.float64]
    cut_score: NDArray[np.float32]
    is_sampled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, slots=True)
class Faces:
    """All detections in order of time. `frame_idx`: [N]; `boxes`: [N, 4]; `scores`: [N]."""

    frame_idx: Ints
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Whole:
    """The video in one piece; `tracks`: [N] of each face, `NO_TRACK` for none."""

    timeline: Timeline
    faces: Faces
    tracks: Ints


def join_frames(segments: Sequence[pa.Table]) -> Timeline:
    """`segments`: tables of kind SEGMENT_FRAMES in order. A boundary frame is the next segment's first, which
    could not know its own score."""
    everything = pa.concat_tables(segments)
    is_boundary = _numpy(everything, "is_boundary")
    pts, scores = _numpy(everything, "pts"), _scores(everything)
    kept = np.flatnonzero(~is_boundary)
    score_at_boundary = dict(zip(pts[is_boundary].tolist(), scores[is_boundary].tolist(), strict=True))
    joined = scores[kept].copy()
    for i in np.flatnonzero(np.isnan(joined)):
        joined[i] = score_at_boundary.get(int(pts[kept][i]), np.nan)
    return Timeline(
        pts=pts[kept],
        ts=_numpy(everything, "ts")[kept],
        cut_score=joined,
        is_sampled=_numpy(everything, "is_sampled")[kept],
    )


def faces_of(detections: pa.Table, timeline: Timeline) -> Faces:
    """`detections`: all SEGMENT_DETECTIONS in order."""
    return Faces(
        frame_idx=np.searchsorted(timeline.pts, _numpy(detections, "pts")),
        boxes=fixed_lists(detections, "bbox_xyxy"),
        scores=_numpy(detections, "conf").astype(np.float32),
    )


def track_faces(timeline: Timeline, faces: Faces, shots: Sequence[Shot], settings: TrackerSettings) -> Ints:
    """[N] track of each face, numbered by first appearance; `NO_TRACK` for a face of no track."""
    tracker = Tracker(settings)
    tracks = np.full(len(faces), NO_TRACK, np.int64)
    for shot in shots:
        tracker.reset()
        sampled = shot.start + np.flatnonzero(timeline.is_sampled[shot.start : shot.end])
        bounds = np.searchsorted(faces.frame_idx, [sampled, sampled + 1])
        for frame, start, end in zip(sampled, *bounds, strict=True):
            ts = float(timeline.ts[frame])
            tracks[start:end] = tracker.update(ts, faces.boxes[start:end], faces.scores[start:end])
    return _without_doubtful(tracks, faces.scores, settings.high_score)


def _without_doubtful(tracks: Ints, scores: NDArray[np.float32], high_score: float) -> Ints:
    """A track that was seen once, by a score in the lower half of what may start one, is taken for a false
    alarm; the others are numbered anew."""
    seen = np.bincount(tracks[tracks != NO_TRACK], minlength=1)
    is_doubtful = (scores < (high_score + 1) / 2) & (tracks != NO_TRACK) & (seen[tracks] == 1)
    kept = np.where(is_doubtful, NO_TRACK, tracks)
    ids, numbered = np.unique(kept, return_inverse=True)
    return numbered.astype(np.int64) - int(NO_TRACK in ids)


def track_table(whole: Whole, shots: Sequence[Shot]) -> pa.Table:
    """The artifact TRACKS."""
    members = np.flatnonzero(whole.tracks != NO_TRACK)
    owners, frames = whole.tracks[members], whole.faces.frame_idx[members]
    # Frames ascend, so each track's first and last mention are its ends.
    ids, first_at, seen = np.unique(owners, return_index=True, return_counts=True)
    last_at = len(owners) - 1 - np.unique(owners[::-1], return_index=True)[1]
    first, last = frames[first_at], frames[last_at]
    starts = np.array([shot.start for shot in shots], np.int64)
    conf = np.bincount(owners, weights=whole.faces.scores[members], minlength=len(ids))
    return pa.table(
        {
            "track_id": ids,
            "shot_idx": np.searchsorted(starts, first, side="right") - 1,
            "first_frame_idx": first,
            "last_frame_idx": last,
            "first_ts": whole.timeline.ts[first],
            "last_ts": whole.timeline.ts[last],
            "frame_count": seen,
            "mean_conf": conf / seen,
        }
    )


def scene_table(timeline: Timeline, shots: Sequence[Shot], duration_s: float) -> pa.Table:
    """The artifact SCENES; `duration_s`: the end of the last frame."""
    starts = [shot.start for shot in shots]
    start_ts = timeline.ts[starts].tolist() if starts else []
    return pa.table(
        {
            "shot_idx": pa.array(range(len(shots)), pa.int64()),
            "start_frame_idx": pa.array(starts, pa.int64()),
            "end_frame_idx": pa.array([shot.end for shot in shots], pa.int64()),
            "start_ts": pa.array(start_ts, pa.float64()),
            "end_ts": pa.array([*start_ts[1:], duration_s] if starts else [], pa.float64()),
            "cut_score": pa.array([shot.cut_score for shot in shots], pa.float32()),
        }
    )


def detection_table(whole: Whole, recorded: pa.Table) -> pa.Table:
    """The artifact DETECTIONS, in the order of `recorded`: all SEGMENT_DETECTIONS."""
    frame_idx, tracks = whole.faces.frame_idx, whole.tracks
    return pa.table(
        {
            "detection_id": np.arange(len(tracks)),
            "frame_idx": frame_idx,
            "pts": recorded["pts"],
            "ts": whole.timeline.ts[frame_idx],
            "bbox_xyxy": recorded["bbox_xyxy"],
            "conf": recorded["conf"],
            "landmarks": recorded["landmarks"],
            "track_id": pa.array(tracks, pa.int64(), mask=tracks == NO_TRACK),
        }
    )


def fixed_lists(table: pa.Table, name: str) -> NDArray[np.float32]:
    """[N, L] of a column of lists of L floats."""
    column = table[name].combine_chunks()
    width = table.schema.field(name).type.list_size
    values: NDArray[np.float32] = np.asarray(column.flatten(), np.float32).reshape(-1, width)
    return values


def _numpy(table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table[name].to_numpy()
    return values


def _scores(frames: pa.Table) -> NDArray[np.float32]:
    return _numpy(frames, "cut_score").astype(np.float32)
