"""Reads a file of the older system with suspicion: what is returned can be stored and shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from services.kit.errors import DamagedFile
from services.orchestrator.older_files import Document, FaceRecord, MarkerDocument, OlderFile, OlderRecord

MAX_LINE_BYTES = 16 << 20
MAX_DOCUMENT_BYTES = 32 << 20
MAX_MARKER_BYTES = 1 << 20
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Checked:
    """`rows`: records that count; None for a file that holds none. `facts`: what the status needs of it."""

    rows: int | None
    facts: dict[str, Any] = field(default_factory=dict)


def check_file(file: OlderFile, path: Path, *, ep_id: str) -> Checked:
    """Raises `DamagedFile` with the place of the first fault."""
    try:
        return _check_lines(file, path, ep_id) if file.is_lines else _check_document(file, path, ep_id)
    except OSError as error:
        raise DamagedFile(f"{file.name}: cannot be read: {error.strerror}") from error


def _check_lines(file: OlderFile, path: Path, ep_id: str) -> Checked:
    rows = 0
    for number, line in _lines(file, path):
        where = f"{file.name}, line {number}"
        record = _record(file.record, _parsed(line, where), where)
        _check_owner(record, ep_id, where)
        rows += not isinstance(record, FaceRecord) or record.counts
    return Checked(rows)


def _lines(file: OlderFile, path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise DamagedFile(f"{file.name}, line {number}: longer than {MAX_LINE_BYTES} bytes")
            if line.strip():
                yield number, line


def _check_document(file: OlderFile, path: Path, ep_id: str) -> Checked:
    limit = MAX_MARKER_BYTES if file.kind is None else MAX_DOCUMENT_BYTES
    if path.stat().st_size > limit:
        raise DamagedFile(f"{file.name}: larger than {limit} bytes")
    document = _record(file.record, _parsed(path.read_bytes(), file.name), file.name)
    _check_owner(document, ep_id, file.name)
    assert isinstance(document, Document)
    if isinstance(document, MarkerDocument) and document.phase not in (None, file.stage):
        raise DamagedFile(f"{file.name}: is the marker of phase {document.phase[:80]!r}")
    try:
        return Checked(document.rows, document.facts)
    except ValueError as error:
        raise DamagedFile(f"{file.name}: {str(error)[:200]}") from error


def _check_owner(record: OlderRecord, ep_id: str, where: str) -> None:
    if record.ep_id is not None and record.ep_id.lower() != ep_id:
        raise DamagedFile(f"{where}: belongs to episode {record.ep_id[:80]!r}, not to {ep_id}")


def _record(kind: type[OlderRecord], value: Any, where: str) -> OlderRecord:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "record"
        raise DamagedFile(f"{where}: {place[:80]}: {fault['msg'][:200]}") from error


def _parsed(data: bytes, where: str) -> Any:
    """JSON as its standard has it: UTF-8, finite numbers, and no deeper than anyone needs."""
    try:
        value = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
        _check_tree(value)
    except RecursionError as error:
        raise DamagedFile(f"{where}: nested too deeply") from error
    except ValueError as error:  # bad JSON, bad UTF-8, numbers out of range
        raise DamagedFile(f"{where}: {str(error)[:200]}") from error
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _check_tree(value: Any) -> None:
    """Raises `ValueError` for what is too deep, or cannot be stored as text."""
    ahead = [(value, 1)]
    while ahead:
        node, depth = ahead.pop()
        if isinstance(node, str) and ("\0" in node or not _is_text(node)):
            raise ValueError("a text holds what no text can hold")
        if not isinstance(node, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        children = [*node.keys(), *node.values()] if isinstance(node, dict) else node
        ahead += [(child, depth + 1) for child in children if isinstance(child, dict | list | str)]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
