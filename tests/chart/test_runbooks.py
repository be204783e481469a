"""What a runbook tells somebody to type or to look for at night is there: requests, labels, panels, values, words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deploy.grafana.dashboards import DASHBOARDS
from services.cli.__main__ import app
from services.kit.errors import ScreenalyticsError
from services.orchestrator.operations import OPERATIONS
from services.orchestrator.settings import OrchestratorSettings
from tests.chart.helm import CHART, VALUES, rendered
from tests.chart.test_alerts import ALERTS
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "runbooks"
RUNBOOKS = [pytest.param(path.read_text("utf-8"), id=path.stem) for path in sorted(FOLDER.glob("*.md"))]
PAGES = [
    *RUNBOOKS,
    *(
        pytest.param((REPOSITORY / "docs" / f"{name}.md").read_text("utf-8"), id=name)
        for name in ("operations", "scale")
    ),
]
ASK = 'ask() { curl -sS -H "Authorization: Bearer $KEY" "$API$1"; }'
PATHS = [
    re.compile(re.sub(r"\{\w+\}", "[^/]+", operation.rest.removeprefix("GET ")))
    for operation in OPERATIONS
    if operation.rest.startswith("GET ")
]


CHORES = (
    "Install",
    "Size",
    "Scale",
    "Upgrade",
    "Drain",
    "Back up and restore",
    "Rotate keys",
    "Lose a GPU",
    "Lose NATS",
    "Lose PostgreSQL",
)


def commands(text: str) -> list[str]:
    """The lines of its blocks, without their comments."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line.partition("  # ")[0].strip() for block in blocks for line in block.splitlines()]


def values_at(path: str) -> Any:
    """What stands in values.yaml below a path; a worker's own field is found among the defaults."""
    found: Any = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    if path.startswith("workers."):
        found, path = found["workerDefaults"], path.split(".", 2)[2]
    for part in path.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize("text", PAGES)
def test_every_request_is_one_of_the_api(text: str) -> None:
    asked = [found[1] for line in commands(text) if (found := re.match(r"ask '?(/[^' ?]*)", line))]
    for path in asked:
        assert any(known.fullmatch(path) for known in PATHS), path
    assert ("ask()" in text) is bool(asked)
    assert "curl -s " not in text, "the API asks everybody for a key"


def test_the_operations_page_has_a_chapter_for_each_chore() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    assert set(CHORES) <= set(re.findall(r"^## (.+)$", page, re.MULTILINE))


@pytest.mark.parametrize("text", RUNBOOKS)
def test_a_runbook_stands_by_itself(text: str) -> None:
    lines = commands(text)
    first = next((line for line in lines if line.startswith("ask")), None)
    assert first in (None, ASK)


@pytest.mark.parametrize("text", PAGES)
def test_every_label_selects_something_of_the_chart(text: str) -> None:
    labels = {
        f"{key}={value}"
        for name in VALUES
        for document in rendered(name).documents
        for owner in (document, document.get("spec", {}).get("template", {}))
        for key, value in owner.get("metadata", {}).get("labels", {}).items()
    }
    for line in commands(text):
        for selector in re.findall(r" -l (\S+)", line):
            assert selector in labels, line


@pytest.mark.parametrize("text", PAGES)
def test_every_command_of_ours_exists(text: str) -> None:
    verbs = set(typer.main.get_group(app).commands)
    for verb in re.findall(r"[`\n]screenalytics ([a-z]+)", text):
        assert verb in verbs
    for module in re.findall(r"python -m (services\.[\w.]+)", text):
        assert (REPOSITORY / module.replace(".", "/")).with_suffix(".py").is_file(), module


@pytest.mark.parametrize("text", PAGES)
def test_every_panel_that_is_named_is_on_a_dashboard(text: str) -> None:
    titles = {panel.title for spec in DASHBOARDS for panel in spec.panels}
    prose = re.sub(r"^```\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'"([A-Z][^"]+)"', prose)) <= titles


@pytest.mark.parametrize("text", PAGES)
def test_every_alert_that_is_named_is_one(text: str) -> None:
    known = {name.removeprefix("Screenalytics") for name in ALERTS}
    for name in re.findall(r"\b(?:[Ss]ee|As of|alert) ((?:[A-Z][a-z]+){2,})\b", text):
        assert name in known


@pytest.mark.parametrize("text", PAGES)
def test_every_value_and_every_setting_that_is_named_exists(text: str) -> None:
    groups = {
        name: set(outer.annotation.model_fields)  # type: ignore[union-attr]
        for name, outer in OrchestratorSettings.model_fields.items()
    }
    for path in re.findall(r"`([a-z]\w+(?:\.\w+)+)(?:: \w+)?`", text):
        group, _, rest = path.partition(".")
        if group == "scaling":
            assert values_at(f"workerDefaults.{path}") is not None
        elif group in groups and rest in groups[group]:
            continue
        elif group not in {"error", "catalog"} and not path.endswith((".py", ".md")):
            assert values_at(path) is not None, path


@pytest.mark.parametrize("text", RUNBOOKS)
def test_every_word_in_code_style_that_looks_like_an_error_code_is_one(text: str) -> None:
    def codes(cls: type[ScreenalyticsError]) -> set[str]:
        return {cls.code}.union(*(codes(below) for below in cls.__subclasses__()))

    mitigations = re.findall(r"`([a-z]+-[a-z]+)`:", text)
    assert set(mitigations) <= codes(ScreenalyticsError)


def test_words_that_a_log_is_searched_for_are_said_by_the_code() -> None:
    said = "\n".join(path.read_text("utf-8") for path in (REPOSITORY / "services").rglob("*.py"))
    for words in (
        "unforeseen failure",
        "connection lost, reconnecting",
        "no answer yet",
        "handed back task",
        "the schema lacks the migrations",
        "Postgres does not answer",
        "is too large to send",
    ):
        assert words in said
    searched = {
        word
        for path in Path(FOLDER).glob("*.md")
        for found in re.findall(r'grep -iE "([^"]+)"', path.read_text("utf-8"))
        for word in found.split("|")
    }
    assert searched == {"lost", "reconnect", "answer", "claim", "handed back"}
