"""The tables of errors in docs/api.md are the tree of errors, whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from services.kit.errors import ScreenalyticsError, error_class

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
REST, _, GRPC = PAGE.partition("## gRPC\n")

OF_THE_COMMAND = {"already-running", "port-in-use", "data-dir-unusable"}
GENERAL = {"invalid-input"}  # never raised itself
REST_ONLY = {"unsupported-media-type", "checksum-mismatch", "stage-failed"}


def tree(of: type[ScreenalyticsError] = ScreenalyticsError) -> Iterator[type[ScreenalyticsError]]:
    yield of
    for child in of.__subclasses__():
        yield from tree(child)


def of_the_api() -> set[str]:
    ours = {error.code for error in tree() if error.__module__ == ScreenalyticsError.__module__}
    return ours - OF_THE_COMMAND - GENERAL


def codes(cell: str) -> list[str]:
    """Without what stands in brackets."""
    return re.findall(r"`([a-z-]+)`", re.sub(r"\([^)]*\)", "", cell))


def test_the_table_of_rest_names_every_error_with_its_status_and_the_commands() -> None:
    told = {}
    for cell, statuses, exit_status in re.findall(
        r"^\| (`.+) \| (\d{3}(?:, \d{3})*) \| (\d) \|$", REST, re.MULTILINE
    ):
        named, numbers = codes(cell), [int(status) for status in statuses.split(", ")]
        numbers = numbers * len(named) if len(numbers) == 1 else numbers
        told |= {code: (number, int(exit_status)) for code, number in zip(named, numbers, strict=True)}
    known = {code: (error_class(code).http_status, error_class(code).exit_status) for code in of_the_api()}
    assert told == known


def test_the_table_of_grpc_names_every_error_with_its_status() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", GRPC, re.MULTILINE)
    told = {code: status for status, cell in rows for code in codes(cell)}
    assert told == {code: error_class(code).grpc_status for code in of_the_api() - REST_ONLY}
