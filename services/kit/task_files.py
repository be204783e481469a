"""A task's files: the tables it reads, checked by digest, and the artifacts it leaves in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.kit.artifacts import ArtifactKind, file_name, read_table, write_table
from services.kit.errors import SystemUnavailable
from services.kit.messages import ArtifactRef
from services.kit.stages import TaskContext


def input_path(context: TaskContext, ref: ArtifactRef) -> Path:
    """The store's own file where the store is a directory, else a copy of this attempt.

    Raises `NotFound`, and `SystemUnavailable` when it is not what the producing attempt left.
    """
    path = context.store.local_path(ref.uri)
    if path is None:
        path = context.scratch_dir / ref.uri.replace("/", "_")
        if not path.exists():
            context.store.fetch(ref.uri, path, sha256=ref.sha256, on_chunk=context.tick)
        return path
    _verify(path, ref)
    return path


def input_table(context: TaskContext, ref: ArtifactRef) -> pa.Table:
    return read_table(input_path(context, ref), ArtifactKind(ref.kind))


def output_path(context: TaskContext, kind: ArtifactKind) -> Path:
    return context.scratch_dir / file_name(kind)


def store_file(context: TaskContext, kind: ArtifactKind, *, rows: int) -> ArtifactRef:
    """The artifact of what was written to `output_path`."""
    stored = context.store.put_file(context.output_key(file_name(kind)), output_path(context, kind))
    return ArtifactRef(kind, stored.key, stored.sha256, stored.size_bytes, rows)


def store_table(context: TaskContext, kind: ArtifactKind, table: pa.Table) -> ArtifactRef:
    write_table(output_path(context, kind), kind, table)
    return store_file(context, kind, rows=table.num_rows)


def store_json(
    context: TaskContext, kind: ArtifactKind, record: Mapping[str, Any], *, rows: int
) -> ArtifactRef:
    text = json.dumps(record, ensure_ascii=False, indent=1)
    output_path(context, kind).write_text(text, "utf-8")
    return store_file(context, kind, rows=rows)


def _verify(path: Path, ref: ArtifactRef) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SystemUnavailable(f"artifact {ref.uri} cannot be read: {error.strerror}") from error
    if found != ref.sha256:
        raise SystemUnavailable(f"artifact {ref.uri} does not have the digest it was stored with")
