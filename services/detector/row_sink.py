"""Rows of one artifact, written to disk in batches while they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.kit.artifacts import SCHEMAS, ArtifactKind, table_writer
from services.kit.stages import TaskContext
from services.kit.task_files import output_path

Row = Mapping[str, Any]

_FLUSH_ROWS = 1024
_FLUSH_IMAGE_ROWS = 64


class RowSink:
    def __init__(self, kind: ArtifactKind, writer: pq.ParquetWriter) -> None:
        self.rows = 0
        self._schema = SCHEMAS[kind]
        self._flush_rows = _FLUSH_IMAGE_ROWS if "image" in self._schema.names else _FLUSH_ROWS
        self._writer = writer
        self._waiting: list[Row] = []

    def add(self, row: Row) -> None:
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= self._flush_rows:
            self.flush()

    def add_table(self, table: pa.Table) -> None:
        """Columns in any order."""
        self.flush()
        self._writer.write_table(table.select(self._schema.names).cast(self._schema))
        self.rows += table.num_rows

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._waiting, schema=self._schema))
            self._waiting.clear()


@contextmanager
def row_sink(context: TaskContext, kind: ArtifactKind) -> Iterator[RowSink]:
    """The file at `output_path` is complete when the block ends."""
    with table_writer(output_path(context, kind), kind) as writer:
        sink = RowSink(kind, writer)
        yield sink
        sink.flush()
