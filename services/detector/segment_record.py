"""Everything a pass over a segment writes down, in bounded memory: rows go to disk once they are final."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from services.detector.chips import CandidateBins
from services.detector.face_images import crop, cut_chip, encode_jpeg
from services.detector.families import Detections
from services.detector.media import FrameRecord
from services.detector.row_sink import Row, RowSink, row_sink
from services.detector.tracker import NO_TRACK, Tracker, TrackerSettings
from services.kit.alignment import Image
from services.kit.artifacts import ArtifactKind
from services.kit.stage_configs import DetectTrackConfig
from services.kit.stages import TaskContext

# What only `stitch` can know, in the rows of saved images; it finds the frame again by its `ts`.
UNKNOWN = -1


class SegmentRecord:
    """Tracklets are linked here only to choose candidate chips; the tracks that count are made in `stitch`."""

    def __init__(self, config: DetectTrackConfig, sinks: Mapping[ArtifactKind, RowSink]) -> None:
        self.frames = 0
        self.sampled = 0
        self.last_ts = 0.0
        self._config = config
        self._sinks = sinks
        self._tracker = Tracker(tracker_settings(config))
        self._bins: dict[int, CandidateBins[dict[str, Any]]] = {}
        self._cuts_ahead: list[int] = []

    def rows(self, kind: ArtifactKind) -> int:
        return self._sinks[kind].rows

    def add_frame(self, frame: FrameRecord) -> None:
        """Every decoded frame, in order of time."""
        self._sinks[ArtifactKind.SEGMENT_FRAMES].add(
            {
                "pts": frame.pts,
                "ts": frame.ts,
                "cut_score": frame.cut_score,
                "is_sampled": frame.is_sampled,
                "is_boundary": frame.is_boundary,
            }
        )
        if frame.is_boundary:
            return
        # More cuts than the rule over all frames would find only mean more candidates.
        if frame.cut_score is not None and frame.cut_score >= self._config.cut_threshold:
            self._cuts_ahead.append(frame.pts)
        self.frames += 1
        self.sampled += frame.is_sampled
        self.last_ts = frame.ts

    def add_faces(self, frame: FrameRecord, image: Image, faces: Detections) -> None:
        """The faces of a sampled frame, whose pixels are `image`; frames come in order of time."""
        if self._cuts_ahead and self._cuts_ahead[0] <= frame.pts:
            self._tracker.reset()
            self._cuts_ahead = [pts for pts in self._cuts_ahead if pts > frame.pts]
        tracklets = self._tracker.update(frame.ts, faces.boxes, faces.scores)
        self._close_all_but(self._tracker.open_ids())
        first_row = self.rows(ArtifactKind.SEGMENT_DETECTIONS)
        for i, tracklet in enumerate(tracklets):
            self._sinks[ArtifactKind.SEGMENT_DETECTIONS].add(_detection_row(frame, faces, i))
            if tracklet != NO_TRACK:
                self._offer_chip(tracklet, frame.ts, image, faces, i, first_row + i)
        self._save_images(frame, image, faces, first_row)

    def close(self) -> None:
        """Writes the candidates of the tracklets that are still open."""
        self._close_all_but(set())

    def _offer_chip(self, tracklet: int, ts: float, image: Image, faces: Detections, i: int, row: int) -> None:
        chip = cut_chip(image, faces, i)
        bins = self._bins.setdefault(tracklet, CandidateBins(self._config.chips_per_track))
        bins.offer(ts, chip.quality.score, partial(chip.row, row, self._config.chip_jpeg_quality))

    def _close_all_but(self, open_ids: set[int]) -> None:
        for tracklet in sorted(set(self._bins) - open_ids):
            for candidate in self._bins.pop(tracklet).candidates():
                self._sinks[ArtifactKind.SEGMENT_CHIPS].add(candidate.chip)

    def _save_images(self, frame: FrameRecord, image: Image, faces: Detections, first_row: int) -> None:
        quality = self._config.jpeg_quality
        common = {"frame_idx": UNKNOWN, "ts": frame.ts}
        if frames := self._sinks.get(ArtifactKind.FRAMES):
            frames.add({**common, "image": encode_jpeg(image, quality)})
        if crops := self._sinks.get(ArtifactKind.CROPS):
            for i, box in enumerate(faces.boxes):
                if (pixels := crop(image, box)).size:
                    owner = {"track_id": UNKNOWN, "detection_id": first_row + i}
                    crops.add({**common, **owner, "image": encode_jpeg(pixels, quality)})


@contextmanager
def segment_record(context: TaskContext, config: DetectTrackConfig) -> Iterator[SegmentRecord]:
    """The files of `segment_kinds` are complete when the block ends."""
    with ExitStack() as stack:
        sinks = {kind: stack.enter_context(row_sink(context, kind)) for kind in segment_kinds(config)}
        record = SegmentRecord(config, sinks)
        yield record
        record.close()


def segment_kinds(config: DetectTrackConfig) -> list[ArtifactKind]:
    kinds = [ArtifactKind.SEGMENT_FRAMES, ArtifactKind.SEGMENT_DETECTIONS, ArtifactKind.SEGMENT_CHIPS]
    if config.save_frames:
        kinds.append(ArtifactKind.FRAMES)
    if config.save_crops:
        kinds.append(ArtifactKind.CROPS)
    return kinds


def tracker_settings(config: DetectTrackConfig) -> TrackerSettings:
    return TrackerSettings(config.track_high_score, config.track_match_iou, config.track_max_lost_s)


def _detection_row(frame: FrameRecord, faces: Detections, i: int) -> Row:
    return {
        "pts": frame.pts,
        "ts": frame.ts,
        "bbox_xyxy": faces.boxes[i],
        "conf": faces.scores[i],
        "landmarks": faces.landmarks[i].ravel(),
    }
