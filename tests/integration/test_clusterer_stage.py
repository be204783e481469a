"""The cluster stage on real Parquet files, with the real similarity session."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.clusterer.linkage import average_linkage
from services.clusterer.similarity import session_similarity
from services.clusterer.stage import ClusterStage
from services.kit.artifacts import (
    SCHEMAS,
    ArtifactKind,
    SceneFacts,
    embeddings_schema,
    file_name,
    read_table,
    with_metadata,
    write_table,
)
from services.kit.errors import InvalidRequest
from services.kit.inference.catalog import Catalog
from services.kit.messages import ArtifactRef, MediaRef, Task
from services.kit.object_store import ObjectStore
from services.kit.stage_configs import ClusterConfig
from services.kit.stages import STAGES, Cancelled, Done, Reject, Stage
from tests.stage_context import LocalContext

EMBEDDER = "face-reidentification-retail-0095"
KINDS = STAGES[Stage.CLUSTER].inputs
FACTS = asdict(SceneFacts(25.0, 5, 0.2, 500, 100, 20.0, 960, 540))
ANNA, BEN, CARA = np.eye(3)
LEFT, RIGHT = [0.0, 0.0, 100.0, 100.0], [400.0, 0.0, 500.0, 100.0]
# (track, shot, first frame, last frame, box, who, faces); two shots of ten seconds
FILM = [
    (1, 0, 0, 245, LEFT, ANNA, 3),
    (2, 0, 0, 120, RIGHT, BEN, 3),
    (3, 1, 250, 495, LEFT, ANNA, 3),
    (4, 1, 300, 400, RIGHT, CARA, 3),
]


@pytest.fixture(scope="module")
def catalog():
    return Catalog.load(None)


class Studio:
    """Writes the tables of a film and runs the stage on them."""

    def __init__(self, folder, catalog):
        self.store = ObjectStore((folder / "store").as_uri())
        self.folder, self.catalog, self.runs = folder, catalog, 0

    def tables(self, film, *, dimensions=256, seed=0):
        rng = np.random.default_rng(seed)
        detections, tracks, faces, vectors = [], [], [], []
        for track, shot, first, last, box, who, count in film:
            frames = range(first, last + 1, 5)
            rows = [self._detection(len(detections) + k, frame, box, track) for k, frame in enumerate(frames)]
            detections += rows
            tracks.append(self._track(track, shot, rows))
            for row in rows[:count]:
                faces.append(self._face(len(faces), row, self.catalog.embedder(EMBEDDER).sha256))
                vectors.append(np.resize(who, 3) @ np.eye(3, dimensions) + rng.normal(0, 0.01, dimensions))
        unit = np.array(vectors).reshape(-1, dimensions)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        shots = [self._shot(0, 0, 250), self._shot(1, 250, 500)]
        return {
            ArtifactKind.DETECTIONS: self._table(ArtifactKind.DETECTIONS, detections),
            ArtifactKind.TRACKS: self._table(ArtifactKind.TRACKS, tracks),
            ArtifactKind.SCENES: with_metadata(self._table(ArtifactKind.SCENES, shots), FACTS),
            ArtifactKind.FACES: self._table(ArtifactKind.FACES, faces),
            ArtifactKind.EMBEDDINGS: pa.table(
                {"embedding": unit.astype(np.float32).tolist()}, schema=embeddings_schema(dimensions)
            ),
        }

    @staticmethod
    def _table(kind, rows):
        return pa.Table.from_pylist(rows, schema=SCHEMAS[kind])

    @staticmethod
    def _detection(detection_id, frame, box, track):
        return {
            "detection_id": detection_id,
            "frame_idx": frame,
            "pts": frame,
            "ts": frame / 25,
            "bbox_xyxy": box,
            "conf": 0.9,
            "landmarks": [0.0] * 10,
            "track_id": track,
        }

    @staticmethod
    def _track(track, shot, rows):
        return {
            "track_id": track,
            "shot_idx": shot,
            "first_frame_idx": rows[0]["frame_idx"],
            "last_frame_idx": rows[-1]["frame_idx"],
            "first_ts": rows[0]["ts"],
            "last_ts": rows[-1]["ts"],
            "frame_count": len(rows),
            "mean_conf": 0.9,
        }

    @staticmethod
    def _face(face_id, detection, space):
        measured = {"sharpness": 99.0, "contrast": 40.0, "pose_yaw": 0.0, "pose_pitch": 0.0, "pose_roll": 0.0}
        ids = {"chip_id": face_id, "face_id": face_id, "quality": 0.9, "space": space, "skip": None}
        return detection | measured | ids

    @staticmethod
    def _shot(index, start, end):
        times = {"start_ts": start / 25, "end_ts": end / 25, "cut_score": None}
        return {"shot_idx": index, "start_frame_idx": start, "end_frame_idx": end, **times}

    def context(self, tables, **config):
        self.runs += 1
        refs = []
        for kind in KINDS:
            path = self.folder / f"{self.runs}-{file_name(kind)}"
            write_table(path, kind, tables[kind])
            stored = self.store.put_file(f"in/{path.name}", path)
            refs.append(ArtifactRef(kind, stored.key, stored.sha256))
        scratch = self.folder / f"scratch-{self.runs}"
        scratch.mkdir()
        return LocalContext(self.task(tuple(refs), **config), self.store, scratch, self.catalog)

    def task(self, inputs, *, kind="whole", **config):
        values = {
            "thread_cap": 1,
            "batch_size": 1,
            "embedder": EMBEDDER,
            "track_threshold": 0.35,
            "outlier_cosine": 0.2,
            "min_screen_time_s": 0.5,
            "block_rows": 64,
        }
        return Task(
            schema_version=1,
            algorithm_version=1,
            job_id="job",
            run_id="run",
            task_id=f"task-{self.runs}",
            stage=Stage.CLUSTER,
            kind=kind,
            ordinal=0,
            provider="cpu",
            requested_device="cpu",
            ep_id="film",
            episode_uid="uid",
            config_json=ClusterConfig(**values | config).to_json(),
            media=MediaRef("media", "0" * 64, 1, "mov"),
            models=(self.catalog.ref("similarity"), self.catalog.ref(EMBEDDER)),
            inputs=inputs,
        )

    def run(self, tables, **config):
        done = ClusterStage(self.catalog).run(self.context(tables, **config))
        assert isinstance(done, Done)
        paths = {ArtifactKind(ref.kind): self.store.local_path(ref.uri) for ref in done.outputs}
        return done, paths


@pytest.fixture
def studio(tmp_path, catalog):
    return Studio(tmp_path, catalog)


def identities(paths):
    return json.loads(paths[ArtifactKind.IDENTITIES].read_bytes())


def test_people_who_come_back_are_one_identity(studio):
    done, paths = studio.run(studio.tables(FILM))
    record = identities(paths)
    assert [one["track_ids"] for one in record["identities"]] == [[1, 3], [2], [4]]
    assert [one["screen_time_s"] for one in record["identities"]] == pytest.approx([20.0, 4.9, 4.2])
    assert record["stats"] == {
        "faces": 12,
        "clusters": 3,
        "mixed_tracks": 0,
        "outlier_tracks": 0,
        "low_cohesion_identities": 0,
        "unassigned_tracks": 0,
        "brief_identities": 0,
    }
    assert done.counts == {
        "identities": 3, "tracks_clustered": 4, "unassigned_tracks": 0, "outlier_faces": 0, "screen_time_s": 29,
    }  # fmt: skip


def test_every_output_is_stored_under_its_schema_and_digest(studio):
    done, paths = studio.run(studio.tables(FILM))
    assert [ref.kind for ref in done.outputs] == list(STAGES[Stage.CLUSTER].outputs)
    for ref in done.outputs:
        studio.store.fetch(ref.uri, studio.folder / "copy", sha256=ref.sha256)
    screen_time = read_table(paths[ArtifactKind.SCREEN_TIME], ArtifactKind.SCREEN_TIME).to_pylist()
    assert {row["identity_id"] for row in screen_time} == {"id_0001", "id_0002", "id_0003"}
    metrics = json.loads(paths[ArtifactKind.TRACK_METRICS].read_bytes())
    assert metrics["scene_cuts"] == {"count": 1}
    assert metrics["metrics"]["tracks_born"] == 4


def test_twins_who_are_seen_side_by_side_stay_two_identities(studio):
    twins = [(1, 0, 0, 245, LEFT, ANNA, 3), (2, 0, 0, 245, RIGHT, ANNA, 3), (3, 1, 250, 495, LEFT, ANNA, 3)]
    _, paths = studio.run(studio.tables(twins))
    found = [one["track_ids"] for one in identities(paths)["identities"]]
    assert len(found) == 2
    assert not any({1, 2} <= set(track_ids) for track_ids in found)


def test_a_track_without_a_face_is_counted_and_belongs_to_nobody(studio):
    done, paths = studio.run(studio.tables([*FILM, (5, 1, 250, 290, RIGHT, BEN, 0)]))
    record = identities(paths)
    assert record["stats"]["unassigned_tracks"] == done.counts["unassigned_tracks"] == 1
    assert not any(5 in one["track_ids"] for one in record["identities"])


def test_a_flicker_does_not_become_somebody(studio):
    done, paths = studio.run(studio.tables([*FILM, (5, 1, 410, 415, RIGHT, -BEN, 2)]))
    record = identities(paths)
    assert record["stats"]["brief_identities"] == 1
    assert record["stats"]["unassigned_tracks"] == 1
    assert done.counts["identities"] == 3


def test_faces_of_another_space_are_refused(studio):
    tables = studio.tables(FILM)
    with pytest.raises(InvalidRequest, match="run faces_embed again"):
        ClusterStage(studio.catalog).run(studio.context(tables, embedder="mobilefacenet-foamliu"))


def test_embeddings_of_another_run_are_refused(studio):
    tables = studio.tables(FILM)
    tables[ArtifactKind.EMBEDDINGS] = tables[ArtifactKind.EMBEDDINGS].slice(1)
    with pytest.raises(InvalidRequest, match="do not fit"):
        studio.run(tables)


def test_faces_of_unknown_tracks_are_refused(studio):
    tables = studio.tables(FILM)
    tables[ArtifactKind.TRACKS] = tables[ArtifactKind.TRACKS].slice(1)
    with pytest.raises(InvalidRequest, match="tracks that do not exist"):
        studio.run(tables)


@pytest.mark.parametrize("film", [[], [(1, 0, 0, 100, LEFT, ANNA, 0)]])
def test_nobody_to_identify_is_a_result(studio, film):
    done, paths = studio.run(studio.tables(film))
    assert done.counts["identities"] == 0
    assert identities(paths)["identities"] == []
    assert pq.read_metadata(paths[ArtifactKind.SCREEN_TIME]).num_rows == 0


def test_equal_inputs_give_equal_identities_and_screen_time(studio):
    tables = studio.tables(FILM)
    first, second = studio.run(tables)[0], studio.run(tables)[0]

    def digests(done):
        return {ref.kind: ref.sha256 for ref in done.outputs if ref.kind != ArtifactKind.TRACK_METRICS}

    assert digests(first) == digests(second)


def test_a_cancelled_task_stops_before_its_next_block(studio):
    context = studio.context(studio.tables(FILM))
    context.cancel()
    with pytest.raises(Cancelled):
        ClusterStage(studio.catalog).run(context)


def test_a_task_of_an_unknown_kind_is_rejected(studio):
    context = studio.context(studio.tables(FILM))
    context.task = studio.task(context.task.inputs, kind="segment")
    assert isinstance(ClusterStage(studio.catalog).run(context), Reject)


def test_the_inference_session_links_as_numpy_does(studio):
    session = studio.context(studio.tables([])).session(studio.catalog.ref("similarity"))
    rng = np.random.default_rng(4)
    vectors = np.repeat(rng.standard_normal((12, 64)), 10, axis=0) + rng.normal(0, 0.5, (120, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ticks = []

    def labels(similarity):
        return average_linkage(
            vectors, threshold=0.4, similarity=similarity, block_rows=32, cannot_link=[(0, 1)]
        ).labels.tolist()

    through_session = labels(session_similarity(session, lambda: ticks.append(1)))
    assert through_session == labels(lambda rows, columns: rows @ columns.T)
    assert len(ticks) >= 16
