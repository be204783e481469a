"""Files of the older system are read with suspicion: each fault is named by its file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.kit.errors import DamagedFile
from services.orchestrator import older_check
from services.orchestrator.older_check import Checked, check_file
from services.orchestrator.older_files import OLDER_FILES

DETECTION = {"ep_id": "show", "ts": 0.5, "frame_idx": 12, "bbox_xyxy": [1, 2, 3.5, 4], "conf": 0.9, "fps": 25}
TRACK = {"track_id": 1, "first_ts": 0.5, "last_ts": 2, "frame_count": 4, "class": "face"}
FACE = {"ep_id": "show", "track_id": 1, "frame_idx": 12, "ts": 0.5, "embedding": [0.6, 0.8]}
SKIPPED = {"track_id": 1, "frame_idx": 13, "ts": 0.6, "skip": "blur", "skip_data": {"reason": "blur"}}
IDENTITIES = {"ep_id": "show", "identities": [{"identity_id": "id_1", "track_ids": [1, "t2"]}], "stats": {}}
METRICS = {"ep_id": "show", "metrics": {"tracks_born": 3}, "scene_cuts": {"count": 2}}
MARKER = {
    "phase": "cluster", "status": "success", "version": 3, "run_id": "r1", "finished_at": "2026-01-01T12:00:00Z",
    "identities": 0, "cluster_thresh": 0.5,
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def checked(path: Path, name: str, content: bytes) -> Checked:
    path.write_bytes(content)
    return check_file(OLDER_FILES[name], path, ep_id="show")


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_what_the_older_system_wrote_is_taken(path: Path) -> None:
    assert checked(path, "detections.jsonl", lines(DETECTION, DETECTION)).rows == 2
    assert checked(path, "tracks.jsonl", lines(TRACK)).rows == 1
    assert checked(path, "identities.json", json.dumps(IDENTITIES).encode()).rows == 1
    assert checked(path, "track_metrics.json", json.dumps(METRICS).encode()).rows is None
    assert checked(path, "active_run.json", b'{"ep_id": "SHOW", "run_id": "r1"}').facts == {"run_id": "r1"}


def test_rejected_faces_do_not_count(path: Path) -> None:
    assert checked(path, "faces.jsonl", lines(FACE, SKIPPED)).rows == 1


@pytest.mark.parametrize("content", [b"", b"\n  \n"])
def test_an_empty_file_of_lines_has_zero_rows(path: Path, content: bytes) -> None:
    assert checked(path, "faces.jsonl", content).rows == 0


def test_a_marker_yields_what_the_status_needs(path: Path) -> None:
    facts = checked(path, "cluster.json", json.dumps(MARKER).encode()).facts
    assert (facts["status"], facts["finished_at"]) == ("success", "2026-01-01T12:00:00+00:00")
    assert facts["counts"] == {"identities": 0}


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Completed", "success"), ("error", "failed"), ("running", "unknown"), (None, "unknown")],
)
def test_words_of_other_releases_of_the_older_system_are_understood(
    path: Path, status: str | None, expected: str
) -> None:
    marker = json.dumps(MARKER | {"status": status}).encode()
    assert checked(path, "cluster.json", marker).facts["status"] == expected


def test_a_time_without_an_offset_is_utc(path: Path) -> None:
    marker = json.dumps(MARKER | {"finished_at": "2026-01-01T12:00:00"}).encode()
    assert checked(path, "cluster.json", marker).facts["finished_at"] == "2026-01-01T12:00:00+00:00"


DAMAGED_LINES = {
    "cut off": b'{"ts": 0.5, "frame_i',
    "no object": b"[1, 2]",
    "a number": b"3",
    "null": b"null",
    "not UTF-8": b'{"ep_id": "\xff"}',
    "NaN": b'{"ts": NaN, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "Infinity": b'{"ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, -Infinity]}',
    "out of range": b'{"ts": 1e999, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "text for a number": b'{"ts": 1, "frame_idx": "1", "bbox_xyxy": [1, 2, 3, 4]}',
    "true for a number": b'{"ts": 1, "frame_idx": true, "bbox_xyxy": [1, 2, 3, 4]}',
    "a negative frame": b'{"ts": 1, "frame_idx": -1, "bbox_xyxy": [1, 2, 3, 4]}',
    "half a box": b'{"ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2]}',
    "no box": b'{"ts": 1, "frame_idx": 1}',
    "another episode": b'{"ep_id": "other", "ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "a NUL": b'{"x": "\\u0000", "ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "half a character": b'{"x": "\\ud800", "ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "too deep": b'{"x": ' + b"[" * 40 + b"]" * 40 + b', "ts": 1, "frame_idx": 1, "bbox_xyxy": [1, 2, 3, 4]}',
    "far too deep": b"[" * 200_000,
    "a number of a million digits": b'{"ts": ' + b"1" * 1_000_000 + b"}",
    "two records in a line": b'{"ts": 1} {"ts": 2}',
}


@pytest.mark.parametrize("line", DAMAGED_LINES.values(), ids=DAMAGED_LINES)
def test_a_damaged_line_is_named(path: Path, line: bytes) -> None:
    with pytest.raises(DamagedFile, match=r"^detections\.jsonl, line 2: ") as caught:
        checked(path, "detections.jsonl", lines(DETECTION) + line + b"\n")
    assert len(caught.value.message) < 400


DAMAGED_DOCUMENTS = {
    "identities.json": [
        b"", b"[]", b'{"identities": {}}', b'{"identities": [{"identity_id": 5, "track_ids": []}]}',
        b'{"identities": [{"identity_id": "a", "track_ids": [1.5]}]}', b'{"identities": [null]}',
    ],
    "track_metrics.json": [b'{"metrics": []}', b"{}"],
    "cluster.json": [
        b"{", b'{"phase": "faces_embed"}', b'{"finished_at": "yesterday"}', b'{"finished_at": 1767268800}',
        b'{"status": {"a": 1}}', b'{"identities": "many"}', b'{"run_id": ["x"]}',
    ],
    "active_run.json": [b"{}", b'{"run_id": 3}'],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"), [(name, text) for name, texts in DAMAGED_DOCUMENTS.items() for text in texts], ids=str
)
def test_a_damaged_document_is_named(path: Path, name: str, content: bytes) -> None:
    with pytest.raises(DamagedFile, match=f"^{name}: "):
        checked(path, name, content)


def test_sizes_are_capped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(older_check, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(older_check, "MAX_MARKER_BYTES", 100)
    monkeypatch.setattr(older_check, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(DamagedFile, match="line 1: longer than 100 bytes"):
        checked(path, "tracks.jsonl", b" " * 101)
    for name in ("cluster.json", "identities.json"):
        with pytest.raises(DamagedFile, match="larger than 100 bytes"):
            checked(path, name, b" " * 101)
