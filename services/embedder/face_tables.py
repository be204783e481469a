"""Writing faces and embeddings side by side, so that `face_id` is always the row of its embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.embedder.embedding import Vectors
from services.embedder.rejection import SkipReason
from services.kit.artifacts import SCHEMAS, ArtifactKind, embeddings_schema, table_writer

_SCHEMA = SCHEMAS[ArtifactKind.FACES]
_FROM_CHIP = [name for name in _SCHEMA.names if name not in ("face_id", "space", "skip")]


class FaceTables:
    """Two open files. Faces and embeddings may be added at different times, each in the order of the chips."""

    def __init__(
        self, faces: pq.ParquetWriter, embeddings: pq.ParquetWriter, *, space: str, dimensions: int
    ) -> None:
        self.accepted = 0
        self.skipped = 0
        self._faces = faces
        self._embeddings = embeddings
        self._space = space
        self._schema = embeddings_schema(dimensions)
        self._dimensions = dimensions

    @property
    def rows(self) -> int:
        return self.accepted + self.skipped

    def add_faces(self, chips: pa.RecordBatch, reasons: Sequence[SkipReason | None]) -> None:
        """One row per chip; those without a reason get the next face ids."""
        face_ids: list[int | None] = []
        for reason in reasons:
            face_ids.append(self.accepted if reason is None else None)
            self.accepted += reason is None
        self.skipped += sum(reason is not None for reason in reasons)
        columns = {name: chips.column(name) for name in _FROM_CHIP}
        columns["face_id"] = pa.array(face_ids, pa.int64())
        columns["space"] = pa.array([self._space] * len(reasons), pa.string())
        columns["skip"] = pa.array(reasons, pa.string())
        arrays = [columns[name] for name in _SCHEMA.names]
        self._faces.write_batch(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))

    def add_embeddings(self, vectors: Vectors) -> None:
        """float32 [B, D], for the next B face ids."""
        values = pa.array(np.ascontiguousarray(vectors).ravel(), pa.float32())
        column = pa.FixedSizeListArray.from_arrays(values, self._dimensions)
        self._embeddings.write_batch(pa.RecordBatch.from_arrays([column], schema=self._schema))


@contextmanager
def face_tables(faces: Path, embeddings: Path, *, space: str, dimensions: int) -> Iterator[FaceTables]:
    """Files that are complete once the context has ended."""
    schema = embeddings_schema(dimensions)
    with (
        table_writer(faces, ArtifactKind.FACES) as face_writer,
        pq.ParquetWriter(embeddings, schema, compression="zstd") as embedding_writer,
    ):
        yield FaceTables(face_writer, embedding_writer, space=space, dimensions=dimensions)
