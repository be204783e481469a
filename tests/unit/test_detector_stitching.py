"""Segments joined into one timeline, one set of tracks, one table of shots."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.detector.scenes import Shot
from services.detector.stitching import (
    Faces,
    Timeline,
    Whole,
    detection_table,
    faces_of,
    join_frames,
    scene_table,
    track_faces,
    track_table,
)
from services.detector.tracker import NO_TRACK, TrackerSettings
from services.kit.artifacts import SCHEMAS, ArtifactKind

SETTINGS = TrackerSettings(high_score=0.7, match_iou=0.2, max_lost_s=1.0)


def frames(pts: list[int], scores: list[float | None], *, has_boundary: bool = False) -> pa.Table:
    return pa.table(
        {
            "pts": pts,
            "ts": [p / 25 for p in pts],
            "cut_score": scores,
            "is_sampled": [p % 5 == 0 for p in pts],
            "is_boundary": [False] * (len(pts) - has_boundary) + [True] * has_boundary,
        },
        schema=SCHEMAS[ArtifactKind.SEGMENT_FRAMES],
    )


def timeline(length: int) -> Timeline:
    index = np.arange(length)
    return Timeline(index, index / 25, np.full(length, np.nan, np.float32), index % 5 == 0)


def faces(rows: list[tuple[int, float, float]]) -> Faces:
    """Of (frame, left edge in px, score)."""
    frame, left, score = (np.array(column) for column in zip(*rows, strict=True))
    boxes = np.stack([left, np.full_like(left, 50), left + 60, np.full_like(left, 110)], axis=1)
    return Faces(frame.astype(np.int64), boxes.astype(np.float32), score.astype(np.float32))


def test_a_boundary_frame_lends_its_score_to_the_next_segment_and_is_dropped() -> None:
    joined = join_frames([frames([0, 1, 2], [None, 1.0, 70.0], has_boundary=True), frames([2, 3], [None, 2.0])])
    assert joined.pts.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(joined.cut_score, [np.nan, 1.0, 70.0, 2.0])


def test_a_missing_boundary_frame_leaves_the_score_unknown() -> None:
    joined = join_frames([frames([0, 1], [None, 1.0]), frames([2, 3], [None, 2.0])])
    np.testing.assert_array_equal(joined.cut_score, [np.nan, 1.0, np.nan, 2.0])


def test_a_detection_takes_the_rank_of_its_frame() -> None:
    joined = join_frames([frames([10, 15, 40], [None, 1.0, 1.0])])
    detections = pa.table(
        {
            "pts": [15, 40, 40],
            "bbox_xyxy": pa.array(
                [[0.0] * 4] * 3, SCHEMAS[ArtifactKind.SEGMENT_DETECTIONS].field("bbox_xyxy").type
            ),
            "conf": pa.array([0.9] * 3, pa.float32()),
        }
    )
    assert faces_of(detections, joined).frame_idx.tolist() == [1, 2, 2]


def test_a_track_ends_at_a_cut() -> None:
    seen = faces([(0, 100, 0.9), (5, 100, 0.9), (10, 100, 0.9), (15, 100, 0.9)])
    tracks = track_faces(timeline(20), seen, [Shot(0, 8, None), Shot(8, 20, 50.0)], SETTINGS)
    assert tracks.tolist() == [0, 0, 1, 1]


def test_a_face_seen_once_is_a_track_only_if_it_is_sure() -> None:
    seen = faces([(0, 100, 0.8), (5, 400, 0.9), (10, 700, 0.8), (15, 700, 0.72)])
    tracks = track_faces(timeline(20), seen, [Shot(0, 20, None)], SETTINGS)
    assert tracks.tolist() == [NO_TRACK, 0, 1, 1]


def test_sampled_frames_without_faces_age_the_tracks() -> None:
    seen = faces([(0, 100, 0.9), (5, 100, 0.9), (50, 100, 0.9), (55, 100, 0.9)])
    tracks = track_faces(timeline(60), seen, [Shot(0, 60, None)], SETTINGS)
    assert tracks.tolist() == [0, 0, 1, 1]


def test_the_tables_of_a_known_scene() -> None:
    seen = faces([(0, 100, 0.9), (0, 300, 0.8), (5, 300, 1.0), (10, 302, 0.9)])
    shots = [Shot(0, 8, None), Shot(8, 15, 50.0)]
    whole = Whole(timeline(15), seen, np.array([NO_TRACK, 0, 0, 1]))
    assert track_table(whole, shots).to_pylist() == [
        {"track_id": 0, "shot_idx": 0, "first_frame_idx": 0, "last_frame_idx": 5, "first_ts": 0.0,
         "last_ts": 0.2, "frame_count": 2, "mean_conf": np.float32(0.8) / 2 + 0.5},
        {"track_id": 1, "shot_idx": 1, "first_frame_idx": 10, "last_frame_idx": 10, "first_ts": 0.4,
         "last_ts": 0.4, "frame_count": 1, "mean_conf": float(np.float32(0.9))},
    ]  # fmt: skip
    assert scene_table(whole.timeline, shots, 0.6).to_pylist() == [
        {"shot_idx": 0, "start_frame_idx": 0, "end_frame_idx": 8, "start_ts": 0.0, "end_ts": 0.32,
         "cut_score": None},
        {"shot_idx": 1, "start_frame_idx": 8, "end_frame_idx": 15, "start_ts": 0.32, "end_ts": 0.6,
         "cut_score": 50.0},
    ]  # fmt: skip


def test_a_video_without_faces_has_empty_tables_of_the_right_types() -> None:
    nobody = Faces(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    tracks = track_faces(timeline(20), nobody, [Shot(0, 20, None)], SETTINGS)
    whole = Whole(timeline(20), nobody, tracks)
    recorded = SCHEMAS[ArtifactKind.SEGMENT_DETECTIONS].empty_table()
    for kind, table in (
        (ArtifactKind.TRACKS, track_table(whole, [Shot(0, 20, None)])),
        (ArtifactKind.DETECTIONS, detection_table(whole, recorded)),
    ):
        assert table.select(SCHEMAS[kind].names).cast(SCHEMAS[kind]).num_rows == 0
