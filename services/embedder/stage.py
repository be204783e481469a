"""The stage faces_embed: chips in, faces and embeddings out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from services.embedder.chip_table import ChipTable
from services.embedder.embedding import FaceEmbedder
from services.embedder.face_tables import FaceTables, face_tables
from services.embedder.preprocess import align, decode_chip
from services.embedder.rejection import SkipReason, rejections
from services.kit.alignment import Image
from services.kit.artifacts import ArtifactKind
from services.kit.inference.catalog import Catalog, EmbedderEntry
from services.kit.stage_configs import FacesEmbedConfig
from services.kit.stages import STAGES, Done, Outcome, Reject, Stage, TaskContext, TaskKind
from services.kit.task_files import input_path, output_path, store_file

# Chips held in memory at once, about 10 kB each as JPEG and 110 kB decoded.
_READ_ROWS = 256


class FacesEmbedStage:
    """Implements `services.kit.stages.StageHandler`."""

    stage = Stage.FACES_EMBED

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def roles(self) -> tuple[str, ...]:
        return STAGES[self.stage].model_roles

    def run(self, context: TaskContext) -> Outcome:
        if context.task.kind != TaskKind.WHOLE:
            return Reject(f"{self.stage} has no task of kind {context.task.kind!r}", code="invalid-request")
        config = FacesEmbedConfig.from_json(context.task.config_json)
        model = self._catalog.embedder(config.embedder)
        chips = ChipTable(input_path(context, context.task.input_of(ArtifactKind.CHIPS)))
        return _embed(context, chips, config, model)


def _embed(context: TaskContext, chips: ChipTable, config: FacesEmbedConfig, model: EmbedderEntry) -> Done:
    reasons = rejections(chips.measures(), config)
    session = context.session(context.task.model("embedder"))
    embedder = FaceEmbedder(session, model, config.batch_size)
    faces_path = output_path(context, ArtifactKind.FACES)
    vectors_path = output_path(context, ArtifactKind.EMBEDDINGS)
    with face_tables(faces_path, vectors_path, space=model.sha256, dimensions=model.dimensions) as tables:
        for batch in _full_batches(_aligned(context, chips, reasons, model, tables), embedder.batch_size):
            tables.add_embeddings(embedder.embed(batch))
            context.progress("embed", tables.rows, len(chips), "chips")
    context.progress("embed", tables.rows, len(chips), "chips")
    context.log(f"{tables.accepted} faces embedded with {model.name}, {tables.skipped} chips skipped")
    return Done(
        outputs=(
            store_file(context, ArtifactKind.FACES, rows=tables.rows),
            store_file(context, ArtifactKind.EMBEDDINGS, rows=tables.accepted),
        ),
        counts={"faces": tables.accepted, "skipped": tables.skipped, "chips_read": len(chips)},
    )


def _aligned(
    context: TaskContext,
    chips: ChipTable,
    reasons: list[SkipReason | None],
    model: EmbedderEntry,
    tables: FaceTables,
) -> Iterator[Image]:
    """The aligned faces of all accepted chips; writes each chip's row of `faces` on the way."""
    start = 0
    for batch in chips.batches(_READ_ROWS):
        context.tick()
        found = reasons[start : start + len(batch)]
        faces, final = _align_batch(batch, found, model)
        tables.add_faces(batch, final)
        start += len(batch)
        yield from faces


def _align_batch(
    batch: pa.RecordBatch, reasons: list[SkipReason | None], model: EmbedderEntry
) -> tuple[list[Image], list[SkipReason | None]]:
    faces: list[Image] = []
    final = list(reasons)
    landmarks = np.asarray(batch.column("chip_landmarks").flatten(), np.float32).reshape(-1, 5, 2)
    for row in (row for row, reason in enumerate(reasons) if reason is None):
        chip = decode_chip(batch.column("image")[row].as_py())
        if chip is None:
            final[row] = SkipReason.UNDECODABLE
        else:
            faces.append(align(chip, landmarks[row], model))
    return faces, final


def _full_batches(faces: Iterator[Image], size: int) -> Iterator[list[Image]]:
    batch: list[Image] = []
    for face in faces:
        batch.append(face)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
