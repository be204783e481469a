"""docs/security.md names tests and settings that are there."""

from __future__ import annotations

import re

from docs.generate_settings import fields
from services.orchestrator.settings import OrchestratorSettings
from tests.conftest import REPOSITORY

_PAGE = (REPOSITORY / "docs" / "security.md").read_text("utf-8")


def test_every_test_and_module_that_the_page_names_is_there() -> None:
    named = re.findall(r"`((?:tests|services)/[\w/.]+)`", _PAGE)
    assert len(named) > 15
    assert [path for path in named if not (REPOSITORY / path).is_file()] == []


def test_every_promise_names_tests() -> None:
    sections = _PAGE.split("\n## ")[2:]
    held = [section for section in sections if "Held by: " in section]
    assert len(held) >= 5
    for section in held:
        assert "`tests/" in section.partition("Held by: ")[2]


def test_the_table_of_retention_is_that_of_the_settings() -> None:
    page = (REPOSITORY / "docs" / "erasure.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(SCREENALYTICS_RETENTION__\w+)` \| (\d+) \|", page, re.MULTILINE))
    known = {n: d for n, d in fields(OrchestratorSettings) if n.startswith("SCREENALYTICS_RETENTION__")}
    assert {name: float(days) for name, days in told.items()} == {
        name: float(default.strip("`")) for name, default in known.items()
    }
