"""One segment in one pass: decode, detect in the sampled frames, keep candidate chips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

import numpy as np

from services.detector.decode_protocol import EndFacts, FrameRequest
from services.detector.detect import FaceDetector
from services.detector.families import Detections
from services.detector.media import FrameRecord, Media, decode
from services.detector.segment_record import SegmentRecord, segment_kinds, segment_record
from services.detector.segments import check_whole
from services.kit.alignment import Image
from services.kit.artifacts import ArtifactKind
from services.kit.errors import InvalidRequest
from services.kit.inference.catalog import DetectorEntry
from services.kit.messages import MediaInfo, Segment
from services.kit.stage_configs import DetectTrackConfig
from services.kit.stages import Done, TaskContext
from services.kit.task_files import store_file

# Full frames wait for their batch's detections, since chips are cut from them.
_BATCH_BYTES = 256 << 20
_PROGRESS_EVERY_FRAMES = 25

SampledFrame = tuple[FrameRecord, Image]


def run_segment(context: TaskContext, config: DetectTrackConfig, media: Media, entry: DetectorEntry) -> Done:
    """Raises `InvalidMedia`, `DecoderDied`, `StageFailed`."""
    info, segment = context.task.media_info, context.task.segment
    if info is None or info.first_pts is None or segment is None:
        raise InvalidRequest("a segment task names its segment and the facts of its media")
    detector = FaceDetector(
        context.session(context.task.model("detector")),
        entry,
        long_side_px=config.detector_long_side_px,
        score_threshold=config.score_threshold,
        nms_iou=config.nms_iou,
    )
    ends: list[EndFacts] = []
    records = decode(media, _frame_request(config, info, segment), ends.append)
    with closing(records), segment_record(context, config) as record:
        for batch in _batches(_watched(context, info, segment, records, record), config.batch_size, info):
            images = [image for _, image in batch]
            for (frame, image), faces in zip(batch, detector.detect(images), strict=True):
                record.add_faces(frame, image, _large_enough(faces, config.min_face_px))
    (end,) = ends
    warnings = _warnings(segment, info, record, end)
    context.log(
        f"segment {segment.ordinal}: {record.frames} frames, {record.sampled} sampled, "
        f"{record.rows(ArtifactKind.SEGMENT_DETECTIONS)} faces"
    )
    return Done(
        outputs=tuple(store_file(context, kind, rows=record.rows(kind)) for kind in segment_kinds(config)),
        counts={"frames_decoded": record.frames, "frames_sampled": record.sampled},
        warnings=tuple(warnings),
    )


def _frame_request(config: DetectTrackConfig, info: MediaInfo, segment: Segment) -> FrameRequest:
    assert info.first_pts is not None
    return FrameRequest(
        stride=config.stride,
        scene_detector=config.scene_detector,
        width=info.width,
        height=info.height,
        fps_num=info.fps_num,
        fps_den=info.fps_den,
        first_pts=info.first_pts,
        start_pts=segment.start_pts,
        end_pts=segment.end_pts,
        prev_pts=segment.prev_pts,
    )


def _watched(
    context: TaskContext,
    info: MediaInfo,
    segment: Segment,
    records: Iterator[FrameRecord],
    record: SegmentRecord,
) -> Iterator[SampledFrame]:
    """The sampled frames; every frame is recorded and counts as progress."""
    expected = info.expected_frames(segment)
    for frame in records:
        context.tick()
        record.add_frame(frame)
        if record.frames % _PROGRESS_EVERY_FRAMES == 0:
            context.progress("detect", min(record.frames, expected), expected, "frames")
        if frame.image is not None:
            yield frame, frame.image
    context.progress("detect", expected, expected, "frames")


def _batches(frames: Iterator[SampledFrame], size: int, info: MediaInfo) -> Iterator[list[SampledFrame]]:
    size = max(1, min(size, _BATCH_BYTES // (info.width * info.height * 3)))
    batch: list[SampledFrame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _large_enough(faces: Detections, min_face_px: float) -> Detections:
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    kept = np.flatnonzero(sides.min(axis=1, initial=np.inf) >= min_face_px)
    return Detections(faces.boxes[kept], faces.scores[kept], faces.landmarks[kept])


def _warnings(segment: Segment, info: MediaInfo, record: SegmentRecord, end: EndFacts) -> list[str]:
    """Raises `InvalidMedia` when the video's last segment ends too early."""
    found = []
    if segment.end_pts is None:
        found.append(
            check_whole(record.last_ts + float(1 / Fraction(info.fps_num, info.fps_den)), info.duration_s)
        )
    if not record.frames:
        found.append(f"no frame of segment {segment.ordinal} can be decoded")
    if end.damaged_packets:
        found.append(f"{end.damaged_packets} damaged packets were skipped in segment {segment.ordinal}")
    if end.unordered_frames:
        found.append(f"{end.unordered_frames} frames out of order were dropped in segment {segment.ordinal}")
    return [warning for warning in found if warning is not None]
