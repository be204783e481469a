"""Reading the chips artifact: measures of all chips at once, images a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.embedder.rejection import ChipMeasures
from services.kit.artifacts import SCHEMAS, ArtifactKind
from services.kit.errors import InvalidRequest

_MEASURES = ("track_id", "conf", "sharpness", "contrast", "pose_yaw", "quality")


class ChipTable:
    """An open chips artifact. Chips come in the order of the table."""

    def __init__(self, path: Path) -> None:
        """Raises `InvalidRequest` when the file is damaged or is no table of chips."""
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise InvalidRequest(f"artifact chips is damaged: {error}") from error
        if not self._file.schema_arrow.equals(SCHEMAS[ArtifactKind.CHIPS]):
            raise InvalidRequest(
                f"artifact chips has columns {self._file.schema_arrow.names}, not those of this release"
            )

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def measures(self) -> ChipMeasures:
        table = self._file.read(columns=list(_MEASURES))
        return ChipMeasures(*(table.column(name).to_numpy() for name in _MEASURES))

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """All columns, at most `rows` chips at a time. Raises `InvalidRequest` for damaged pages."""
        try:
            yield from self._file.iter_batches(batch_size=rows)
        except (pa.ArrowException, OSError) as error:
            raise InvalidRequest(f"artifact chips is damaged: {error}") from error
