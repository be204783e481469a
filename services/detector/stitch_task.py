"""The last task of a run: reads what the segments left and writes the artifacts of the whole video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from services.detector.final_images import SegmentImages, write_chips, write_images
from services.detector.scenes import CutRule, find_shots
from services.detector.segment_record import tracker_settings
from services.detector.stitching import (
    Timeline,
    Whole,
    detection_table,
    faces_of,
    join_frames,
    scene_table,
    track_faces,
    track_table,
)
from services.kit.artifacts import ArtifactKind, SceneFacts, with_metadata
from services.kit.errors import InvalidRequest
from services.kit.messages import ArtifactRef, MediaInfo
from services.kit.stage_configs import DetectTrackConfig, SceneDetector
from services.kit.stages import Done, TaskContext
from services.kit.task_files import input_table, store_table


@dataclass(frozen=True, slots=True)
class _Segment:
    refs: dict[ArtifactKind, ArtifactRef]
    frames: pa.Table
    detections: pa.Table


def run_stitch(context: TaskContext, config: DetectTrackConfig) -> Done:
    info = context.task.media_info
    if info is None:
        raise InvalidRequest("a stitch task names the facts of its media")
    segments = _segments(context)
    timeline = join_frames([segment.frames for segment in segments])
    shots = find_shots(timeline.cut_score, _cut_rule(config))
    recorded = pa.concat_tables([segment.detections for segment in segments])
    faces = faces_of(recorded, timeline)
    context.tick()
    tracks = track_faces(timeline, faces, shots, tracker_settings(config))
    context.progress("stitch", 1, 2, "steps")
    whole = Whole(timeline, faces, tracks)
    detections = detection_table(whole, recorded)
    facts = _scene_facts(timeline, config, info)
    scenes = with_metadata(scene_table(timeline, shots, facts.duration_s), asdict(facts))
    outputs = [
        store_table(context, ArtifactKind.DETECTIONS, detections),
        store_table(context, ArtifactKind.TRACKS, track_table(whole, shots)),
        store_table(context, ArtifactKind.SCENES, scenes),
    ]
    images = _images(segments)
    outputs.append(write_chips(context, images, detections, config.chips_per_track))
    for kind in (ArtifactKind.FRAMES, ArtifactKind.CROPS):
        if any(kind in segment.refs for segment in segments):
            outputs.append(write_images(context, kind, images, whole))
    context.progress("stitch", 2, 2, "steps")
    counts = {
        "detections": len(faces),
        "tracks": outputs[1].rows,
        "shots": len(shots),
        "chips": outputs[3].rows,
    }
    context.log(", ".join(f"{count} {name}" for name, count in counts.items()))
    return Done(outputs=tuple(outputs), counts=counts)


def _segments(context: TaskContext) -> list[_Segment]:
    """In order of time; the artifacts of one attempt, so of one segment, lie under one prefix."""
    by_prefix: dict[str, dict[ArtifactKind, ArtifactRef]] = {}
    for ref in context.task.inputs:
        by_prefix.setdefault(ref.uri.rpartition("/")[0], {})[ArtifactKind(ref.kind)] = ref
    segments = []
    for refs in by_prefix.values():
        context.tick()
        frames = input_table(context, refs[ArtifactKind.SEGMENT_FRAMES])
        detections = input_table(context, refs[ArtifactKind.SEGMENT_DETECTIONS])
        if frames.num_rows:
            segments.append(_Segment(refs, frames, detections))
    if not segments:
        raise InvalidRequest("a stitch task needs the artifacts of at least one segment with frames")
    return sorted(segments, key=lambda segment: int(segment.frames["pts"][0].as_py()))


def _images(segments: Sequence[_Segment]) -> list[SegmentImages]:
    images, first = [], 0
    for segment in segments:
        images.append(SegmentImages(segment.refs, first))
        first += segment.detections.num_rows
    return images


def _cut_rule(config: DetectTrackConfig) -> CutRule:
    is_off = config.scene_detector is SceneDetector.OFF
    return CutRule(None if is_off else config.cut_threshold, config.cut_ratio)


def _scene_facts(timeline: Timeline, config: DetectTrackConfig, info: MediaInfo) -> SceneFacts:
    return SceneFacts(
        fps=info.fps,
        stride=config.stride,
        sample_period_s=config.stride / info.fps,
        frames_decoded=len(timeline),
        frames_sampled=int(timeline.is_sampled.sum()),
        duration_s=float(timeline.ts[-1]) + 1 / info.fps,
        width=info.width,
        height=info.height,
    )
