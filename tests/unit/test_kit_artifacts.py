"""Every artifact's schema survives its file, and a file that is not one is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.kit.artifacts import (
    JSON_KINDS,
    SCHEMAS,
    ArtifactKind,
    SceneFacts,
    embeddings_schema,
    file_name,
    read_metadata,
    read_table,
    table_writer,
    with_metadata,
    write_table,
)
from services.kit.errors import InvalidRequest

FACTS = SceneFacts(25.0, 5, 0.2, 100, 20, 4.0, 640, 360)


def sample_value(kind: pa.DataType, row: int) -> object:
    if pa.types.is_fixed_size_list(kind):
        return [float(row + i) for i in range(kind.list_size)]
    if pa.types.is_boolean(kind):
        return row % 2 == 0
    if pa.types.is_binary(kind):
        return bytes([row, 0, 255])
    if pa.types.is_string(kind):
        return f"text {row}"
    return row + 0.5 if pa.types.is_floating(kind) else row


def sample_table(kind: ArtifactKind, rows: int = 3) -> pa.Table:
    """Every nullable column has a null in its second row."""
    schema = SCHEMAS[kind]
    columns = {
        field.name: [None if field.nullable and i == 1 else sample_value(field.type, i) for i in range(rows)]
        for field in schema
    }
    return pa.table(columns, schema=schema)


@pytest.mark.parametrize("kind", list(SCHEMAS))
@pytest.mark.parametrize("rows", [0, 3])
def test_a_table_survives_its_file(tmp_path: Path, kind: ArtifactKind, rows: int) -> None:
    table = sample_table(kind, rows)
    write_table(tmp_path / "a", kind, table)
    assert read_table(tmp_path / "a", kind).equals(table)


def test_columns_may_be_written_in_any_order(tmp_path: Path) -> None:
    table = sample_table(ArtifactKind.TRACKS)
    write_table(tmp_path / "a", ArtifactKind.TRACKS, table.select(sorted(table.column_names, reverse=True)))
    assert read_table(tmp_path / "a", ArtifactKind.TRACKS).equals(table)


def test_a_table_without_a_column_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="track_id"):
        write_table(tmp_path / "a", ArtifactKind.TRACKS, sample_table(ArtifactKind.TRACKS).drop("track_id"))


def test_a_null_in_a_required_column_is_not_written(tmp_path: Path) -> None:
    table = sample_table(ArtifactKind.TRACKS)
    hole = pa.array([1, None, 3], pa.int64())
    broken = table.drop("track_id").append_column("track_id", hole)
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        write_table(tmp_path / "a", ArtifactKind.TRACKS, broken)


def test_embeddings_keep_their_rows_and_their_width(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).normal(size=(4, 8)).astype(np.float32)
    table = pa.table(
        {"embedding": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 8)}, schema=embeddings_schema(8)
    )
    write_table(tmp_path / "e", ArtifactKind.EMBEDDINGS, table)
    column = read_table(tmp_path / "e", ArtifactKind.EMBEDDINGS).column("embedding").combine_chunks()
    np.testing.assert_array_equal(column.flatten().to_numpy().reshape(-1, 8), vectors)


def test_the_clock_of_the_scenes_travels_as_metadata(tmp_path: Path) -> None:
    table = with_metadata(sample_table(ArtifactKind.SCENES), asdict(FACTS))
    write_table(tmp_path / "s", ArtifactKind.SCENES, table)
    assert SceneFacts.of(read_table(tmp_path / "s", ArtifactKind.SCENES)) == FACTS


def test_a_table_without_metadata_has_none() -> None:
    assert read_metadata(sample_table(ArtifactKind.SCENES)) == {}


def test_batches_make_the_same_file_as_a_table(tmp_path: Path) -> None:
    table = sample_table(ArtifactKind.SEGMENT_CHIPS)
    with table_writer(tmp_path / "c", ArtifactKind.SEGMENT_CHIPS) as writer:
        for batch in table.to_batches(max_chunksize=1):
            writer.write_batch(batch)
    assert read_table(tmp_path / "c", ArtifactKind.SEGMENT_CHIPS).equals(table)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped"])
def test_a_damaged_file_is_refused_by_its_kind(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a"
    write_table(path, ArtifactKind.TRACKS, sample_table(ArtifactKind.TRACKS))
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "text": b"no parquet at all, but long enough to look like a file of something",
            "truncated": whole[: len(whole) // 2],
            "flipped": whole[:-20] + bytes(b ^ 0xFF for b in whole[-20:-8]) + whole[-8:],
        }[damage]
    )
    with pytest.raises(InvalidRequest, match="tracks"):
        read_table(path, ArtifactKind.TRACKS)


def test_a_file_that_is_not_there_is_refused_by_its_kind(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="tracks"):
        read_table(tmp_path / "nowhere", ArtifactKind.TRACKS)


def test_a_file_of_another_kind_is_refused_by_its_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "a", ArtifactKind.SCENES, sample_table(ArtifactKind.SCENES))
    with pytest.raises(InvalidRequest, match="shot_idx"):
        read_table(tmp_path / "a", ArtifactKind.TRACKS)


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    table = sample_table(ArtifactKind.TRACKS)
    pq.write_table(table.set_column(0, "track_id", table["track_id"].cast(pa.int32())), tmp_path / "a")
    with pytest.raises(InvalidRequest):
        read_table(tmp_path / "a", ArtifactKind.TRACKS)


def test_every_kind_has_a_schema_or_is_json_or_has_one_of_its_models_width() -> None:
    assert set(SCHEMAS) | JSON_KINDS | {ArtifactKind.EMBEDDINGS} == set(ArtifactKind)


def test_a_file_is_named_after_its_kind() -> None:
    assert file_name(ArtifactKind.TRACKS) == "tracks.parquet"
    assert file_name(ArtifactKind.IDENTITIES) == "identities.json"


def test_metadata_is_json() -> None:
    table = with_metadata(sample_table(ArtifactKind.SCENES), {"a": [1, "é"]})
    assert json.loads(table.schema.metadata[b"screenalytics"]) == {"a": [1, "é"]}
