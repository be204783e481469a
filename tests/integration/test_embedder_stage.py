"""The faces_embed stage on real Parquet files; where the models are there, with real faces."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.detector.quality import measure_quality
from services.embedder.preprocess import align, decode_chip
from services.embedder.stage import FacesEmbedStage
from services.kit.alignment import CHIP_PX, CHIP_TEMPLATE, similarity_transform, transform_points, warp
from services.kit.artifacts import SCHEMAS, ArtifactKind, embeddings_schema, read_table, write_table
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.inference.catalog import Catalog
from services.kit.messages import ArtifactRef, MediaRef, Task
from services.kit.object_store import ObjectStore
from services.kit.stage_configs import FacesEmbedConfig
from services.kit.stages import STAGES, Cancelled, Done, Reject, Stage
from tests.stage_context import LocalContext

EMBEDDERS = ["face-reidentification-retail-0095", "mobilefacenet-foamliu"]
PEOPLE = ["Ariel_Sharon", "Jennifer_Capriati", "Kofi_Annan", "Vicente_Fox"]
IMAGES_EACH = 4


def chip_row(chip_id, track_id, chip, landmarks, **changes):
    """One row of the chips table; `landmarks` [5, 2] in chip pixels."""
    quality = measure_quality(chip, landmarks, confidence=0.9, face_px=80)
    return {
        "chip_id": chip_id,
        "track_id": track_id,
        "detection_id": 1000 + chip_id,
        "frame_idx": chip_id * 5,
        "ts": chip_id / 5,
        "bbox_xyxy": [0.0, 0.0, 80.0, 80.0],
        "conf": 0.9,
        "landmarks": landmarks.ravel().tolist(),
        "image": cv2.imencode(".jpg", chip, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes(),
        "chip_landmarks": landmarks.ravel().tolist(),
        "transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "face_px": 80.0,
        "sharpness": quality.sharpness,
        "contrast": quality.contrast,
        "pose_yaw": quality.yaw_deg,
        "pose_pitch": quality.pitch_deg,
        "pose_roll": quality.roll_deg,
        "quality": quality.score,
    } | changes


def noise_chips(count, **changes):
    rng = np.random.default_rng(1)
    chips = rng.integers(0, 255, (count, CHIP_PX, CHIP_PX, 3), dtype=np.uint8)
    return [chip_row(k, k // 4, chip, CHIP_TEMPLATE, **changes) for k, chip in enumerate(chips)]


class Studio:
    def __init__(self, folder, catalog):
        self.store = ObjectStore((folder / "store").as_uri())
        self.folder, self.catalog, self.runs = folder, catalog, 0

    def context(self, rows, *, kind="whole", row_group_size=None, **config):
        self.runs += 1
        values = {
            "thread_cap": 1,
            "batch_size": 8,
            "embedder": EMBEDDERS[0],
            "min_confidence": 0.6,
            "min_sharpness": 2.0,
            "min_contrast": 6.0,
            "max_abs_yaw_deg": 60.0,
        } | config
        path = self.folder / f"chips-{self.runs}.parquet"
        table = pa.Table.from_pylist(rows, schema=SCHEMAS[ArtifactKind.CHIPS])
        write_table(path, ArtifactKind.CHIPS, table)
        if row_group_size:
            pq.write_table(table, path, row_group_size=row_group_size)
        stored = self.store.put_file(f"in/{path.name}", path)
        task = Task(
            schema_version=1,
            algorithm_version=1,
            job_id="job",
            run_id="run",
            task_id=f"task-{self.runs}",
            stage=Stage.FACES_EMBED,
            kind=kind,
            ordinal=0,
            provider="cpu",
            requested_device="cpu",
            ep_id="film",
            episode_uid="uid",
            config_json=FacesEmbedConfig(**values).to_json(),
            media=MediaRef("media", "0" * 64, 1, "mov"),
            models=(self.catalog.ref(values["embedder"]),),
            inputs=(ArtifactRef(ArtifactKind.CHIPS, stored.key, stored.sha256),),
        )
        scratch = self.folder / f"scratch-{self.runs}"
        scratch.mkdir()
        return LocalContext(task, self.store, scratch, self.catalog)

    def run(self, rows, **config):
        """(outcome, rows of faces, embeddings [N, D])"""
        done = FacesEmbedStage(self.catalog).run(self.context(rows, **config))
        assert isinstance(done, Done)
        assert [ref.kind for ref in done.outputs] == list(STAGES[Stage.FACES_EMBED].outputs)
        faces, embeddings = (
            read_table(self.store.local_path(ref.uri), ArtifactKind(ref.kind)) for ref in done.outputs
        )
        size = embeddings.schema.field("embedding").type.list_size
        vectors = np.array(embeddings["embedding"].to_pylist(), np.float32).reshape(-1, size)
        assert embeddings.schema.equals(embeddings_schema(size))
        return done, faces.to_pylist(), vectors


@pytest.fixture(scope="module")
def catalog(models_dir):
    return Catalog.load(models_dir)


@pytest.fixture
def studio(tmp_path, catalog):
    return Studio(tmp_path, catalog)


@pytest.fixture(scope="module")
def portraits(media_dir, models_dir):
    """Rows of chips of real people: `track_id` is the person."""
    detector = cv2.FaceDetectorYN.create(str(models_dir / "yunet_s_640_640.onnx"), "", (640, 640), 0.5)
    rows = []
    for person, name in enumerate(PEOPLE):
        for path in sorted((media_dir / "faces" / "lfw158" / name).glob("*.jpg"))[:IMAGES_EACH]:
            image = cv2.resize(cv2.imread(str(path)), (640, 640), interpolation=cv2.INTER_CUBIC)
            face = max(detector.detect(image)[1], key=lambda row: row[2] * row[3])
            landmarks = face[4:14].reshape(5, 2)
            transform = similarity_transform(landmarks, CHIP_TEMPLATE)
            chip = warp(image, transform, CHIP_PX)
            rows.append(chip_row(len(rows), person, chip, transform_points(landmarks, transform)))
    return rows


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_faces_of_one_person_are_alike_and_of_two_are_not(studio, portraits, embedder):
    _, faces, vectors = studio.run(portraits, embedder=embedder, min_sharpness=0, min_contrast=0)
    person = np.array([face["track_id"] for face in faces])
    cosine = vectors @ vectors.T
    same = (person[:, None] == person[None, :]) & ~np.eye(len(person), dtype=bool)
    different = person[:, None] != person[None, :]
    assert cosine[same].mean() - cosine[different].mean() > 0.6
    assert cosine[same].min() > cosine[different].max()


def bgr_as_it_is(face):
    return face.astype(np.float32)


def rgb_by_imagenet_statistics(face):
    return (face[..., ::-1] / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ("embedder", "recipe"), [(EMBEDDERS[0], bgr_as_it_is), (EMBEDDERS[1], rgb_by_imagenet_statistics)]
)
def test_a_face_is_fed_as_its_models_card_says(studio, portraits, catalog, embedder, recipe):
    # A channel swap costs too little accuracy to show in cosines, so the recipe is written out here again.
    session = studio.context([]).session(catalog.ref(embedder))
    face = align(decode_chip(portraits[0]["image"]), points(portraits[0]), catalog.embedder(embedder))
    feed = recipe(face).transpose(2, 0, 1)[None].astype(np.float32)
    expected = session.run({session.inputs[0].name: feed})[session.outputs[0].name][0]
    vector = studio.run(portraits[:1], embedder=embedder)[2][0]
    assert vector @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=1e-5)


def points(row):
    return np.array(row["chip_landmarks"], np.float32).reshape(5, 2)


def test_every_embedding_has_unit_length_and_its_models_space(studio, portraits, catalog):
    _, faces, vectors = studio.run(portraits)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    assert vectors.shape[1] == catalog.embedder(EMBEDDERS[0]).dimensions
    assert {face["space"] for face in faces} == {catalog.embedder(EMBEDDERS[0]).sha256}


def test_the_batch_size_does_not_change_an_embedding(studio):
    rows = noise_chips(11)
    _, _, one_by_one = studio.run(rows, batch_size=1)
    for batch_size in (4, 64):
        assert studio.run(rows, batch_size=batch_size)[2] == pytest.approx(one_by_one, abs=1e-5)


def test_row_i_of_the_embeddings_is_face_i_across_batches_and_row_groups(studio):
    rows = noise_chips(300, sharpness=50.0, contrast=40.0, pose_yaw=0.0)
    rejected = set(range(0, 300, 7))
    for row in rejected:
        rows[row]["sharpness"] = 0.5
    rows[10]["image"] = b"damaged"
    context = studio.context(rows, batch_size=32, row_group_size=37)
    done = FacesEmbedStage(studio.catalog).run(context)
    faces, vectors = (studio.store.local_path(ref.uri) for ref in done.outputs)
    faces = read_table(faces, ArtifactKind.FACES).to_pylist()
    accepted = [face for face in faces if face["face_id"] is not None]
    assert [face["chip_id"] for face in faces] == list(range(300))
    assert [face["face_id"] for face in accepted] == list(range(len(accepted)))
    assert pq.read_metadata(vectors).num_rows == len(accepted)
    assert {face["chip_id"] for face in faces if face["skip"] == "blurry"} == rejected
    assert done.counts == {"faces": 300 - len(rejected) - 1, "skipped": len(rejected) + 1, "chips_read": 300}
    last = accepted[-1]
    alone = studio.run([rows[last["chip_id"]]])[2][0]
    assert alone == pytest.approx(np.array(read_vector(vectors, last["face_id"])), abs=1e-5)


def read_vector(path, face_id):
    return pq.read_table(path)["embedding"][face_id].as_py()


def test_a_chip_that_cannot_be_decoded_is_skipped_with_its_reason(studio):
    rows = noise_chips(3)
    rows[1]["image"] = rows[1]["image"][:40]
    _, faces, vectors = studio.run(rows)
    assert [face["skip"] for face in faces] == [None, "undecodable", None]
    assert [face["face_id"] for face in faces] == [0, None, 1]
    assert len(vectors) == 2


def test_a_track_seen_only_in_profile_still_has_a_face(studio):
    rows = noise_chips(4, pose_yaw=75.0)
    rows[2]["quality"] = 1.0
    _, faces, _ = studio.run(rows)
    assert [face["skip"] for face in faces] == ["extreme_pose", "extreme_pose", None, "extreme_pose"]


def test_no_chips_make_empty_tables_of_the_models_dimensions(studio, catalog):
    done, faces, vectors = studio.run([])
    assert done.counts == {"faces": 0, "skipped": 0, "chips_read": 0}
    assert faces == []
    assert vectors.shape == (0, catalog.embedder(EMBEDDERS[0]).dimensions)


def test_progress_ends_with_every_chip_read(studio):
    context = studio.context(noise_chips(20), batch_size=8)
    FacesEmbedStage(studio.catalog).run(context)
    assert context.progress_log[-1] == ("embed", 20, 20, "chips")
    assert [entry[1] for entry in context.progress_log] == sorted(entry[1] for entry in context.progress_log)


def test_the_chips_are_not_changed(studio):
    context = studio.context(noise_chips(4))
    path = studio.store.local_path(context.task.inputs[0].uri)
    before = path.read_bytes()
    FacesEmbedStage(studio.catalog).run(context)
    assert path.read_bytes() == before


def test_a_damaged_chips_file_is_refused(studio):
    context = studio.context(noise_chips(4))
    studio.store.local_path(context.task.inputs[0].uri).write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(SystemUnavailable, match="digest"):
        FacesEmbedStage(studio.catalog).run(context)


def test_a_table_with_other_columns_is_refused(studio):
    context = studio.context([])
    ref = context.task.inputs[0]
    path = studio.store.local_path(ref.uri)
    pq.write_table(pa.table({"chip_id": [1]}), path)
    other = replace(ref, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    context.task = replace(context.task, inputs=(other,))
    with pytest.raises(InvalidRequest, match="not those of this release"):
        FacesEmbedStage(studio.catalog).run(context)


def test_a_cancelled_task_embeds_nothing_more(studio):
    context = studio.context(noise_chips(4))
    context.cancel()
    with pytest.raises(Cancelled):
        FacesEmbedStage(studio.catalog).run(context)


def test_a_task_of_an_unknown_kind_is_rejected(studio):
    outcome = FacesEmbedStage(studio.catalog).run(studio.context([], kind="plan"))
    assert isinstance(outcome, Reject)
