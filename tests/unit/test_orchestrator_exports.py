"""The files that users of the older system know, from small artifacts in the real schemas."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from services.kit.artifacts import (
    SCHEMAS,
    ArtifactKind,
    SceneFacts,
    embeddings_schema,
    file_name,
    with_metadata,
    write_table,
)
from services.kit.errors import NotFound
from services.orchestrator.exports import EXPORTS, JSON_FILES, ExportSource, names, render

K = ArtifactKind
FIVE_POINTS = [float(i) for i in range(10)]
DETECTION = {"bbox_xyxy": [1.0, 2.0, 31.123456, 42.0], "conf": 0.91234567, "landmarks": FIVE_POINTS}
POSE = {"pose_yaw": 1.26, "pose_pitch": -2.0, "pose_roll": 0.5}
IDENTITY = {
    "identity_id": "id-1", "label": None, "track_ids": [7], "size": 1, "cohesion": 0.9,
    "rep_thumb_rel_path": None, "first_ts": 0.0, "last_ts": 0.2, "screen_time_s": 0.4, "bridged_s": 0.0,
}  # fmt: skip


def detection(row: int, track_id: int | None) -> dict[str, Any]:
    return {
        "detection_id": row,
        "frame_idx": row * 5,
        "pts": row,
        "ts": row / 5,
        **DETECTION,
        "track_id": track_id,
    }


def face(row: int, skip: str | None = None) -> dict[str, Any]:
    return {
        "chip_id": row, "face_id": None if skip else 0, "track_id": 7, "detection_id": row,
        "frame_idx": row * 5, "ts": row / 5, **DETECTION, "sharpness": 12.345, "contrast": 30.0, **POSE,
        "quality": 0.75, "space": "abc", "skip": skip,
    }  # fmt: skip


TRACK = {
    "track_id": 7, "shot_idx": 0, "first_frame_idx": 0, "last_frame_idx": 5, "first_ts": 0.0, "last_ts": 0.2,
    "frame_count": 2, "mean_conf": 0.9,
}  # fmt: skip
FULL: dict[ArtifactKind, list[dict[str, Any]]] = {
    K.DETECTIONS: [detection(0, 7), detection(1, 7), detection(2, None)],
    K.TRACKS: [TRACK],
    K.SCENES: [],
    K.FACES: [face(0), face(1, skip="blurry")],
    K.SCREEN_TIME: [{"identity_id": "id-1", "kind": "observed", "start_ts": 0.0, "end_ts": 1.5}],
}


def source(folder: Path, tables: dict[ArtifactKind, list[dict[str, Any]]] = FULL) -> ExportSource:
    for kind, rows in tables.items():
        table = pa.Table.from_pylist(rows, schema=SCHEMAS[kind])
        facts = asdict(SceneFacts(25.0, 5, 0.2, 15, 3, 0.6, 640, 360)) if kind is K.SCENES else {}
        write_table(folder / file_name(kind), kind, with_metadata(table, facts))
    vectors = pa.table({"embedding": [[0.6, 0.8]] if tables[K.FACES] else []}, schema=embeddings_schema(2))
    write_table(folder / file_name(K.EMBEDDINGS), K.EMBEDDINGS, vectors)
    identities = [IDENTITY] if tables[K.FACES] else []
    (folder / "identities.json").write_text(json.dumps({"identities": identities, "stats": {}}))
    kinds = [*tables, K.EMBEDDINGS, K.IDENTITIES]
    return ExportSource("show", {k: folder / file_name(k) for k in kinds}, "yunet-n", "retail-0095")


def empty(folder: Path) -> ExportSource:
    return source(folder, {kind: [] for kind in FULL})


def jsonl(name: str, made: ExportSource) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(render(name, made)).decode().splitlines()]


def table_of(name: str, made: ExportSource) -> tuple[list[str], list[dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(b"".join(render(name, made)).decode()))
    return list(reader.fieldnames or []), list(reader)


FIELDS = {
    "detections": [
        "ep_id", "ts", "frame_idx", "class", "conf", "bbox_xyxy", "track_id", "model", "detector", "tracker",
        "pipeline_ver", "fps", "landmarks",
    ],
    "tracks": [
        "track_id", "class", "first_ts", "last_ts", "frame_count", "first_frame_idx", "last_frame_idx",
        "bboxes_sampled", "pipeline_ver",
    ],
    "faces": [
        "ep_id", "face_id", "track_id", "frame_idx", "ts", "bbox_xyxy", "conf", "quality", "embedding",
        "embedding_model", "detector", "pipeline_ver", "landmarks", "pose_yaw", "pose_pitch", "pose_roll",
    ],
    "identities": [
        "identity_id", "label", "track_ids", "size", "cohesion", "rep_thumb_rel_path",
        "first_ts", "last_ts", "screen_time_s", "bridged_s",
    ],
    "screen_time": ["identity_id", "kind", "start_ts", "end_ts"],
}  # fmt: skip
SKIP_FIELDS = ["skip", "skip_data"]


@pytest.mark.parametrize("what", ["detections", "tracks", "faces"])
def test_a_line_has_exactly_the_known_fields_in_their_order(tmp_path: Path, what: str) -> None:
    assert list(jsonl(f"{what}.jsonl", source(tmp_path))[0]) == FIELDS[what]


@pytest.mark.parametrize("what", list(FIELDS))
def test_a_table_has_the_same_columns(tmp_path: Path, what: str) -> None:
    columns, rows = table_of(f"{what}.csv", source(tmp_path))
    assert columns == FIELDS[what] + (SKIP_FIELDS if what == "faces" else [])
    assert rows


def test_a_detection_is_told_in_pixels_seconds_and_points(tmp_path: Path) -> None:
    first, _, loose = jsonl("detections.jsonl", source(tmp_path))
    assert (first["bbox_xyxy"], first["conf"], first["fps"]) == ([1.0, 2.0, 31.12, 42.0], 0.9123, 25.0)
    assert first["landmarks"] == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]
    assert (first["class"], first["model"], first["detector"]) == ("face", "yunet-n", "yunet-n")
    assert (first["track_id"], loose["track_id"]) == (7, None)


def test_a_track_carries_its_sampled_boxes(tmp_path: Path) -> None:
    (track,) = jsonl("tracks.jsonl", source(tmp_path))
    assert [s["frame_idx"] for s in track["bboxes_sampled"]] == [0, 5]
    assert list(track["bboxes_sampled"][0]) == ["frame_idx", "ts", "bbox_xyxy", "landmarks", "conf"]


def test_a_face_carries_its_embedding(tmp_path: Path) -> None:
    kept = jsonl("faces.jsonl", source(tmp_path))[0]
    assert kept["embedding"] == [0.6, 0.8]
    assert (kept["embedding_model"], kept["pose_yaw"]) == ("retail-0095", 1.3)


def test_a_rejected_face_says_why(tmp_path: Path) -> None:
    rejected = jsonl("faces.jsonl", source(tmp_path))[1]
    assert list(rejected) == FIELDS["faces"] + SKIP_FIELDS
    assert rejected["embedding"] is None
    assert rejected["skip"] == "blurry"
    assert rejected["skip_data"] == {
        "reason": "blurry", "blur_score": 12.35, "confidence": 0.9123, "contrast": 30.0
    }  # fmt: skip


def test_a_table_whose_first_face_was_rejected_keeps_the_embeddings_of_the_rest(tmp_path: Path) -> None:
    _, rows = table_of("faces.csv", source(tmp_path, FULL | {K.FACES: [face(1, skip="dark"), face(0)]}))
    assert [row["skip"] for row in rows] == ["dark", ""]
    assert json.loads(rows[1]["embedding"]) == [0.6, 0.8]


def test_nested_values_of_a_table_are_json(tmp_path: Path) -> None:
    _, rows = table_of("detections.csv", source(tmp_path))
    assert json.loads(rows[0]["bbox_xyxy"]) == [1.0, 2.0, 31.12, 42.0]
    assert rows[2]["track_id"] == ""


@pytest.mark.parametrize("name", [n for n in EXPORTS if n.endswith(".jsonl")])
def test_zero_rows_make_an_empty_file_of_lines(tmp_path: Path, name: str) -> None:
    assert jsonl(name, empty(tmp_path)) == []


@pytest.mark.parametrize("what", list(FIELDS))
def test_zero_rows_make_a_table_of_its_header_alone(tmp_path: Path, what: str) -> None:
    columns, rows = table_of(f"{what}.csv", empty(tmp_path))
    assert columns == FIELDS[what] + (SKIP_FIELDS if what == "faces" else [])
    assert rows == []


def test_text_is_utf_8_and_not_escaped(tmp_path: Path) -> None:
    made = source(tmp_path)
    (tmp_path / "identities.json").write_text(json.dumps({"identities": [IDENTITY | {"label": "Zoë, 朴"}]}))
    assert "Zoë, 朴".encode() in b"".join(render("identities.csv", made))


def test_the_names_of_a_format_are_all_files_of_it() -> None:
    assert names("csv") == [n for n in EXPORTS if n.endswith(".csv")]
    assert names("jsonl") == [n for n in EXPORTS if n.endswith(".jsonl")] + list(JSON_FILES)


def test_a_name_that_is_no_export_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="passwd"):
        list(render("../../etc/passwd", source(tmp_path)))
