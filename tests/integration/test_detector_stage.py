"""The stage detect_track, from a file in the store to its artifacts, on real clips with a real model."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from services.detector.stage import DetectTrackStage
from services.detector.tracker import iou_matrix
from services.kit.alignment import CHIP_PX, transform_points
from services.kit.artifacts import SCHEMAS, ArtifactKind, SceneFacts, file_name, write_table
from services.kit.inference.catalog import Catalog
from services.kit.media_types import SNIFF_BYTES, sniff
from services.kit.messages import ArtifactRef, MediaInfo, MediaRef, Task
from services.kit.object_store import ObjectStore
from services.kit.stage_configs import DetectTrackConfig, SceneDetector
from services.kit.stages import Cancelled, Done, Outcome, Reject, Retry, TaskKind
from tests.made_media import square_frames, write_video
from tests.stage_context import LocalContext, read_output, running_decoders

CONFIG = DetectTrackConfig(
    thread_cap=1,
    batch_size=8,
    detector="yunet-n",
    stride=5,
    detector_long_side_px=640,
    score_threshold=0.5,
    track_high_score=0.7,
    track_match_iou=0.2,
    track_max_lost_s=1.0,
    nms_iou=0.3,
    scene_detector=SceneDetector.INTERNAL,
    cut_threshold=27.0,
    cut_ratio=2.0,
    chips_per_track=6,
    chip_jpeg_quality=92,
    min_face_px=16.0,
    segment_s=300.0,
    save_frames=False,
    save_crops=False,
    jpeg_quality=70,
)


@dataclass
class Run:
    """One video through the stage, task by task."""

    folder: Path
    catalog: Catalog
    video: Path
    config: DetectTrackConfig
    contexts: list[LocalContext] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = ObjectStore(self.folder.as_uri())
        self.stage = DetectTrackStage(self.catalog)
        stored = self.store.put_file("media", self.video)
        container = str(sniff(self.video.read_bytes()[:SNIFF_BYTES]))
        self.media = MediaRef("media", stored.sha256, stored.size_bytes, container)

    def context(self, kind: TaskKind, ordinal: int = 0, **fields: Any) -> LocalContext:
        task = Task(
            schema_version=1,
            algorithm_version=1,
            job_id="job",
            run_id="run",
            task_id=f"{kind}-{ordinal}",
            stage="detect_track",
            kind=kind,
            ordinal=ordinal,
            provider="cpu",
            requested_device="cpu",
            ep_id="ep",
            episode_uid="uid",
            config_json=self.config.to_json(),
            media=self.media,
            models=(self.catalog.ref(self.config.detector),),
            **fields,
        )
        scratch = self.folder / "scratch" / task.task_id
        scratch.mkdir(parents=True, exist_ok=True)
        self.contexts.append(LocalContext(task, self.store, scratch, self.catalog))
        return self.contexts[-1]

    def task(self, kind: TaskKind, ordinal: int = 0, **fields: Any) -> Outcome:
        return self.stage.run(self.context(kind, ordinal, **fields))

    def done(self, kind: TaskKind, ordinal: int = 0, **fields: Any) -> Done:
        outcome = self.task(kind, ordinal, **fields)
        assert isinstance(outcome, Done), outcome
        return outcome

    def whole(self) -> Result:
        plan = self.done(TaskKind.PLAN)
        assert plan.media_info is not None
        parts = [
            self.done(TaskKind.SEGMENT, s.ordinal, segment=s, media_info=plan.media_info) for s in plan.segments
        ]
        recorded = tuple(ref for part in parts for ref in part.outputs)
        stitch = self.done(TaskKind.STITCH, inputs=recorded, media_info=plan.media_info)
        return Result(self.store, plan.media_info, parts, recorded, stitch)


@dataclass
class Result:
    store: ObjectStore
    info: MediaInfo
    parts: list[Done]
    recorded: tuple[ArtifactRef, ...]
    stitch: Done

    def table(self, kind: ArtifactKind) -> pa.Table:
        return read_output(self.store, self.stitch.outputs, kind)


@pytest.fixture(scope="session")
def catalog(models_dir: Path) -> Catalog:
    return Catalog.load(models_dir)


@pytest.fixture(scope="module")
def truth(media_dir: Path) -> dict[str, Any]:
    return dict(json.loads((media_dir / "episode_composite.json").read_text()))


@pytest.fixture(scope="module")
def composite(media_dir: Path, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Result:
    video = media_dir / "episode_composite.mp4"
    return Run(tmp_path_factory.mktemp("whole"), catalog, video, CONFIG).whole()


@pytest.fixture(scope="module")
def in_segments(media_dir: Path, catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Result:
    video = media_dir / "episode_composite.mp4"
    config = CONFIG.model_copy(update={"segment_s": 8.0})
    return Run(tmp_path_factory.mktemp("segments"), catalog, video, config).whole()


def test_every_hard_cut_of_the_composite_is_found_and_no_other(
    composite: Result, truth: dict[str, Any]
) -> None:
    starts = composite.table(ArtifactKind.SCENES)["start_frame_idx"].to_pylist()
    expected = [s["start_frame"] for s in truth["shots"] if s["transition_in"] in ("start", "cut")]
    assert len(starts) == len(expected)
    assert max(abs(a - b) for a, b in zip(starts, expected, strict=True)) <= 1


def test_no_track_of_the_composite_mixes_two_people(composite: Result, truth: dict[str, Any]) -> None:
    boxes = defaultdict(list)
    for frame, person, x, y, w, h, _ in truth["boxes"]["rows"]:
        boxes[frame].append((person, [x, y, x + w, y + h]))
    people: dict[int, Counter[str]] = defaultdict(Counter)
    for row in composite.table(ArtifactKind.DETECTIONS).to_pylist():
        known = boxes.get(row["frame_idx"], [])
        if row["track_id"] is None or not known:
            continue
        overlap = iou_matrix(np.array([row["bbox_xyxy"]]), np.array([box for _, box in known]))[0]
        if overlap.max() > 0.4:
            people[row["track_id"]][known[int(overlap.argmax())][0]] += 1
    assert all(len(seen) == 1 for seen in people.values())
    main = {name for name, person in truth["persons"].items() if person["main"]}
    assert main <= {name for seen in people.values() for name in seen}


def test_tables_of_the_composite_agree_with_each_other(composite: Result) -> None:
    detections = composite.table(ArtifactKind.DETECTIONS)
    tracks = composite.table(ArtifactKind.TRACKS).to_pylist()
    chips = composite.table(ArtifactKind.CHIPS).to_pylist()
    seen = Counter(track for track in detections["track_id"].to_pylist() if track is not None)
    assert {row["track_id"]: row["frame_count"] for row in tracks} == seen
    assert [row["track_id"] for row in tracks] == list(range(len(tracks)))
    assert [row["first_frame_idx"] for row in tracks] == sorted(row["first_frame_idx"] for row in tracks)
    assert [row["chip_id"] for row in chips] == list(range(len(chips)))
    rows = detections.to_pylist()
    for chip in chips:
        source = rows[chip["detection_id"]]
        assert all(chip[name] == source[name] for name in ("track_id", "frame_idx", "ts", "bbox_xyxy", "conf"))
    facts = SceneFacts.of(composite.table(ArtifactKind.SCENES))
    assert (facts.frames_decoded, facts.frames_sampled, facts.stride) == (1403, 281, 5)
    assert facts.duration_s == pytest.approx(56.12)


def test_counts_are_those_of_the_tables(composite: Result) -> None:
    assert composite.parts[0].counts == {"frames_decoded": 1403, "frames_sampled": 281}
    counts = composite.stitch.counts
    assert counts == {
        "detections": composite.table(ArtifactKind.DETECTIONS).num_rows,
        "tracks": composite.table(ArtifactKind.TRACKS).num_rows,
        "shots": composite.table(ArtifactKind.SCENES).num_rows,
        "chips": composite.table(ArtifactKind.CHIPS).num_rows,
    }


def test_every_track_has_chips_and_one_for_each_of_its_seconds(composite: Result) -> None:
    chips = composite.table(ArtifactKind.CHIPS).to_pylist()
    by_track = defaultdict(list)
    for chip in chips:
        by_track[chip["track_id"]].append(chip["ts"])
    for track in composite.table(ArtifactKind.TRACKS).to_pylist():
        times = by_track[track["track_id"]]
        assert len(times) >= min(track["frame_count"], CONFIG.chips_per_track) - 1
        whole_seconds = range(int(track["first_ts"]) + 1, int(track["last_ts"]))
        assert all(any(second <= ts < second + 1 for ts in times) for second in whole_seconds)


def test_a_chip_is_an_upright_face_with_its_landmarks(composite: Result) -> None:
    for chip in composite.table(ArtifactKind.CHIPS).to_pylist()[::20]:
        image = cv2.imdecode(np.frombuffer(chip["image"], np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (CHIP_PX, CHIP_PX, 3)
        landmarks = np.array(chip["landmarks"], np.float32).reshape(5, 2)
        transform = np.array(chip["transform"], np.float32).reshape(2, 3)
        in_chip = np.array(chip["chip_landmarks"]).reshape(5, 2)
        np.testing.assert_allclose(transform_points(landmarks, transform), in_chip, atol=1e-2)
        right_eye, left_eye, *_ = in_chip
        assert abs(right_eye[1] - left_eye[1]) < 25
        assert 0 < chip["quality"] <= 1


def test_segments_find_what_the_whole_video_finds(composite: Result, in_segments: Result) -> None:
    assert len(in_segments.parts) >= 5
    for kind in (ArtifactKind.DETECTIONS, ArtifactKind.TRACKS, ArtifactKind.SCENES):
        assert in_segments.table(kind).equals(composite.table(kind), check_metadata=True), kind


def test_recorded_detections_in_one_or_many_segments_give_identical_artifacts(
    in_segments: Result, catalog: Catalog, media_dir: Path, tmp_path: Path
) -> None:
    """The segments' records, concatenated as if one segment had made them."""
    video = media_dir / "episode_composite.mp4"
    run = Run(tmp_path, catalog, video, CONFIG)
    merged = stored_as_one(in_segments, run.store, tmp_path)
    stitched = run.done(TaskKind.STITCH, inputs=merged, media_info=in_segments.info)
    for ref, other in zip(stitched.outputs, in_segments.stitch.outputs, strict=True):
        kind = ArtifactKind(ref.kind)
        one = read_output(run.store, stitched.outputs, kind)
        assert one.equals(in_segments.table(kind), check_metadata=True), (kind, other.kind)


def stored_as_one(result: Result, store: ObjectStore, folder: Path) -> tuple[ArtifactRef, ...]:
    def tables(kind: ArtifactKind) -> list[pa.Table]:
        return [read_output(result.store, part.outputs, kind) for part in result.parts]

    frames = tables(ArtifactKind.SEGMENT_FRAMES)
    last_score = {
        table["pts"][-1].as_py(): table["cut_score"][-1].as_py()
        for table in frames
        if table["is_boundary"][-1].as_py()
    }
    rows = [row for table in frames for row in table.to_pylist() if not row["is_boundary"]]
    for row in rows:
        row["cut_score"] = last_score.get(row["pts"], row["cut_score"])
    detections = tables(ArtifactKind.SEGMENT_DETECTIONS)
    chips, first = [], 0
    for table, found in zip(tables(ArtifactKind.SEGMENT_CHIPS), detections, strict=True):
        shifted = pa.array(table["detection_row"].to_numpy() + first)
        chips.append(table.set_column(0, SCHEMAS[ArtifactKind.SEGMENT_CHIPS].field(0), shifted))
        first += found.num_rows
    merged = {
        ArtifactKind.SEGMENT_FRAMES: pa.Table.from_pylist(rows, SCHEMAS[ArtifactKind.SEGMENT_FRAMES]),
        ArtifactKind.SEGMENT_DETECTIONS: pa.concat_tables(detections),
        ArtifactKind.SEGMENT_CHIPS: pa.concat_tables(chips),
    }
    return tuple(stored(store, folder, kind, table) for kind, table in merged.items())


def stored(store: ObjectStore, folder: Path, kind: ArtifactKind, table: pa.Table) -> ArtifactRef:
    path = folder / file_name(kind)
    write_table(path, kind, table)
    put = store.put_file(f"merged/{file_name(kind)}", path)
    return ArtifactRef(kind, put.key, put.sha256, put.size_bytes, table.num_rows)


@pytest.mark.parametrize("detector", [SceneDetector.INTERNAL, SceneDetector.PYSCENEDETECT])
@pytest.mark.parametrize(
    ("clip", "cuts"),
    [("short_hamilton_clip.mp4", [20, 82, 211]), ("asl_book.mkv", []), ("facenet_pytorch_video.mp4", [])],
)
def test_cuts_of_other_clips(
    media_dir: Path, catalog: Catalog, tmp_path: Path, clip: str, cuts: list[int], detector: SceneDetector
) -> None:
    config = CONFIG.model_copy(update={"scene_detector": detector, "stride": 25, "detector_long_side_px": 128})
    result = Run(tmp_path, catalog, media_dir / clip, config).whole()
    assert result.table(ArtifactKind.SCENES)["start_frame_idx"].to_pylist() == [0, *cuts]


def test_without_a_scene_detector_the_video_is_one_shot(
    media_dir: Path, catalog: Catalog, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"scene_detector": SceneDetector.OFF, "stride": 25})
    result = Run(tmp_path, catalog, media_dir / "short_hamilton_clip.mp4", config).whole()
    assert result.table(ArtifactKind.SCENES).num_rows == 1


def test_saved_frames_and_crops_carry_the_numbers_of_the_whole_video(
    media_dir: Path, catalog: Catalog, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"save_frames": True, "save_crops": True, "segment_s": 2.0})
    result = Run(tmp_path, catalog, media_dir / "short_hamilton_clip.mp4", config).whole()
    assert len(result.parts) > 1
    frames = result.table(ArtifactKind.FRAMES).to_pylist()
    assert [row["frame_idx"] for row in frames] == list(range(0, 275, 5))
    assert cv2.imdecode(np.frombuffer(frames[0]["image"], np.uint8), cv2.IMREAD_COLOR).shape == (360, 640, 3)
    detections = result.table(ArtifactKind.DETECTIONS).to_pylist()
    crops = result.table(ArtifactKind.CROPS).to_pylist()
    assert len(crops) == len(detections)
    for crop, detection in zip(crops, detections, strict=True):
        assert crop["detection_id"] == detection["detection_id"]
        assert crop["frame_idx"] == detection["frame_idx"]
        assert crop["track_id"] == (-1 if detection["track_id"] is None else detection["track_id"])
    assert cv2.imdecode(np.frombuffer(crops[0]["image"], np.uint8), cv2.IMREAD_COLOR).size > 0


def test_a_video_without_faces_succeeds_with_empty_tables(catalog: Catalog, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", square_frames(60))
    config = CONFIG.model_copy(update={"save_frames": True, "save_crops": True})
    result = Run(tmp_path / "run", catalog, video, config).whole()
    assert result.stitch.counts == {"detections": 0, "tracks": 0, "shots": 1, "chips": 0}
    for kind in (ArtifactKind.DETECTIONS, ArtifactKind.TRACKS, ArtifactKind.CHIPS, ArtifactKind.CROPS):
        assert result.table(kind).num_rows == 0
    assert result.table(ArtifactKind.FRAMES).num_rows == 12


def test_progress_reaches_its_total_and_never_goes_back(small_run: Run) -> None:
    small_run.whole()
    for context in small_run.contexts[1:]:
        done = [entry[1] for entry in context.progress_log]
        assert done == sorted(done)
        assert context.progress_log[-1][1] == context.progress_log[-1][2]


@pytest.fixture
def small_run(catalog: Catalog, tmp_path: Path) -> Run:
    video = write_video(tmp_path / "v.mp4", square_frames(120), codec_options={"g": "25"})
    return Run(tmp_path / "run", catalog, video, CONFIG.model_copy(update={"segment_s": 1.5}))


def test_a_cancelled_segment_stops(small_run: Run) -> None:
    plan = small_run.done(TaskKind.PLAN)
    context = small_run.context(TaskKind.SEGMENT, segment=plan.segments[0], media_info=plan.media_info)
    context.cancel()
    with pytest.raises(Cancelled):
        small_run.stage.run(context)


class DeadlyContext(LocalContext):
    """Kills the decoder at the first sign of progress, as the kernel does when memory runs out."""

    def progress(self, phase: str, done: float, total: float, unit: str) -> None:
        for decoder in running_decoders():
            decoder.kill()


def test_a_segment_whose_decoder_is_killed_is_worth_another_attempt(
    media_dir: Path, catalog: Catalog, tmp_path: Path
) -> None:
    # At stride 1 the decoder cannot be far ahead of the detector.
    run = Run(tmp_path, catalog, media_dir / "episode_composite.mp4", CONFIG.model_copy(update={"stride": 1}))
    plan = run.done(TaskKind.PLAN)
    healthy = run.context(TaskKind.SEGMENT, segment=plan.segments[0], media_info=plan.media_info)
    outcome = run.stage.run(DeadlyContext(healthy.task, run.store, healthy.scratch_dir, catalog))
    assert isinstance(outcome, Retry)
    assert "signal 9" in outcome.reason


def test_a_truncated_video_is_rejected_with_what_can_be_decoded(catalog: Catalog, tmp_path: Path) -> None:
    video = write_video(
        tmp_path / "v.mp4",
        square_frames(250),
        codec_options={"g": "25"},
        container_options={"movflags": "+faststart"},
    )
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    outcome = Run(tmp_path / "run", catalog, video, CONFIG).task(TaskKind.PLAN)
    assert isinstance(outcome, Reject)
    assert outcome.code == "invalid-media"
    assert "the video is truncated: " in outcome.reason
    assert " of 10.0 seconds can be decoded" in outcome.reason


def test_a_segment_whose_frames_end_early_is_rejected(small_run: Run) -> None:
    plan = small_run.done(TaskKind.PLAN)
    assert plan.media_info is not None
    longer = replace(plan.media_info, duration_s=plan.media_info.duration_s + 5)
    outcome = small_run.task(TaskKind.SEGMENT, segment=plan.segments[-1], media_info=longer)
    assert isinstance(outcome, Reject)
    assert "can be decoded" in outcome.reason


def test_a_text_file_is_rejected(catalog: Catalog, tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    video.write_text("not a video\n" * 100)
    outcome = Run(tmp_path / "run", catalog, video, CONFIG).task(TaskKind.PLAN)
    assert isinstance(outcome, Reject)
    assert outcome.code == "invalid-media"
    assert "MP4" in outcome.reason


def test_a_store_that_is_no_folder_serves_as_well(media_dir: Path, catalog: Catalog, tmp_path: Path) -> None:
    video = media_dir / "short_hamilton_clip.mp4"
    local = Run(tmp_path / "local", catalog, video, CONFIG.model_copy(update={"segment_s": 3.0})).whole()
    remote = Run(tmp_path / "remote", catalog, video, CONFIG.model_copy(update={"segment_s": 3.0}))
    remote.store = ObjectStore("memory:///")
    remote.store.put_file("media", video)
    result = remote.whole()
    for ref, expected in zip(result.stitch.outputs, local.stitch.outputs, strict=True):
        assert (ref.kind, ref.sha256) == (expected.kind, expected.sha256)
