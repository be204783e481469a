"""The packaged chart: what lies in it, and what an upgrade from it may not touch."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from helm_python import Chart

from deploy.helm.generate import described_values, generated
from tests.chart.helm import CHART, RELEASE, VALUES, Document, Rendered, documents_in, texts, values_of
from tests.conftest import REPOSITORY

# What the release that came first may never lose: recorded from its package by `python -m tests.chart.test_package`.
BASELINE = Path(__file__).parent / "immutable_fields.json"


def packaged(folder: Path, source: Path = CHART) -> Chart:
    return Chart.load(helm_python.package(source, destination=str(folder)))


def immutable_fields(document: Document) -> Any:
    """The fields that the API server refuses to change; None for kinds without any."""
    spec = document.get("spec", {})
    kept = {
        "Deployment": ("selector",),
        "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
        "Job": ("template", "selector", "completions"),
        "PersistentVolumeClaim": ("accessModes", "storageClassName"),
        "Service": ("clusterIP",),
    }.get(document["kind"])
    if kept is None or "helm.sh/hook" in document["metadata"].get("annotations", {}):
        return None  # a hook is deleted before it is made anew
    return {field: spec.get(field) for field in kept}


def immutable(found: Rendered) -> dict[str, Any]:
    fields = {f"{d['kind']}/{d['metadata']['name']}": immutable_fields(d) for d in found.documents}
    return {name: value for name, value in fields.items() if value is not None}


def of_chart(chart: Chart, values: dict[str, Any]) -> dict[str, Any]:
    return immutable(Rendered(documents_in(texts(values, of=chart))))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return packaged(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def next_package(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The same chart as a later release of both chart and application."""
    folder = tmp_path_factory.mktemp("next")
    shutil.copytree(CHART, folder / "screenalytics")
    meta = folder / "screenalytics" / "Chart.yaml"
    meta.write_text(meta.read_text().replace("ersion: 0.1.0", "ersion: 9.9.9"))
    return packaged(folder, folder / "screenalytics")


def test_the_package_holds_the_schema_the_test_and_the_alerts(package: Chart) -> None:
    assert package.schema == json.loads((CHART / "values.schema.json").read_text())
    names = {file["name"] for file in package.files}
    assert {"README.md", "files/episode.mp4", "files/episode_test.py", "files/rules.yaml"} <= names
    assert {f"examples/{path.name}" for path in (CHART / "examples").iterdir()} <= names


def test_the_package_renders_what_the_folder_renders(package: Chart) -> None:
    for name in ("production", "air-gapped"):
        assert texts(values_of(name), of=package) == texts(values_of(name))


def test_the_chart_has_the_version_of_the_project(package: Chart) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert package.metadata["appVersion"] == project["version"]


@pytest.mark.parametrize("name", VALUES)
def test_an_upgrade_keeps_every_immutable_field(name: str, package: Chart, next_package: Chart) -> None:
    before, after = of_chart(package, values_of(name)), of_chart(next_package, values_of(name))
    for document in set(before) & set(after):
        assert before[document] == after[document], document


@pytest.mark.parametrize("name", VALUES)
def test_an_upgrade_from_the_first_release_keeps_every_immutable_field(name: str) -> None:
    recorded, now = json.loads(BASELINE.read_text())[name], of_chart(Chart.load(CHART), values_of(name))
    for document in set(recorded) & set(now):
        assert recorded[document] == now[document], document
    lost = {document for document in set(recorded) - set(now) if not document.startswith("Job/")}
    assert not lost, "renamed or removed by an upgrade"


def test_another_template_of_a_job_is_another_job(package: Chart, next_package: Chart) -> None:
    def job(chart: Chart) -> str:
        return next(name for name in of_chart(chart, values_of("cpu-only")) if name.startswith("Job/"))

    assert job(package) != job(next_package)


def test_helm_installs_and_upgrades_it_in_a_dry_run(package: Chart, next_package: Chart) -> None:
    helm_python.validate_release_name(RELEASE)
    with helm_python.Config(namespace="media", storage_driver="memory") as config:
        first = config.install(package, RELEASE, values_of("one-gpu"), dry_run="client")
    assert first["name"] == RELEASE


def test_what_the_chart_takes_from_elsewhere_is_fresh() -> None:
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, f"{path.name} is stale: make docs"


def test_every_value_is_described() -> None:
    text = (CHART / "values.yaml").read_text()
    described = {path for path, _ in described_values(text)}

    def leaves(value: Any, path: str) -> list[str]:
        if isinstance(value, dict) and value and path not in described:
            return [found for key, part in value.items() for found in leaves(part, f"{path}.{key}".strip("."))]
        return [path]

    left = set(leaves(yaml.safe_load(text), "")) - described
    assert all(path.startswith(("gpuProfiles.", "workers.")) for path in left), left


def test_every_description_is_whole_sentences() -> None:
    for path, description in described_values((CHART / "values.yaml").read_text()):
        assert description.endswith("."), path


def test_the_readme_links_to_each_example_and_they_are_there() -> None:
    readme = (CHART / "README.md").read_text()
    for path in (CHART / "examples").iterdir():
        assert f"(examples/{path.name})" in readme


if __name__ == "__main__":
    recorded = {name: of_chart(Chart.load(CHART), values_of(name)) for name in VALUES}
    BASELINE.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
