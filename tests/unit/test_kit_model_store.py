"""Models by way of the object store: nothing that is not the catalog's gets a model's name."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from services.kit.errors import InvalidSettings, ModelUnusable, SystemUnavailable
from services.kit.inference.catalog import Catalog
from services.kit.inference.model_store import fetch, fill
from services.kit.settings import ModelsSettings, ServiceSettings, StoreSettings
from tests.conftest import REPOSITORY

CONTENT = b"a graph"
ENTRY = f"""
[defaults]
similarity = "mine"
[[models]]
role = "similarity"
name = "mine"
file = "sub/mine.onnx"
sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"
licence = "MIT"
"""


def settings(store: Path, models: Path) -> ServiceSettings:
    return ServiceSettings(store=StoreSettings(url=store.as_uri()), models=ModelsSettings(dir=models))


@pytest.fixture
def source(tmp_path: Path) -> ServiceSettings:
    """The store, and a folder with one model and its catalog."""
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "mine.onnx").write_bytes(CONTENT)
    (folder / "catalog.toml").write_text(ENTRY)
    return settings(tmp_path / "store", folder)


@pytest.fixture
def target(tmp_path: Path) -> ServiceSettings:
    (tmp_path / "target").mkdir()
    return settings(tmp_path / "store", tmp_path / "target")


def folder_of(made: ServiceSettings) -> Path:
    assert made.models.dir is not None
    return made.models.dir


def test_a_model_that_was_stored_is_fetched_and_can_be_loaded(
    source: ServiceSettings, target: ServiceSettings
) -> None:
    assert fill(source) == ["mine"]
    assert fetch(target, ("similarity",)) == ["mine"]
    assert Catalog.load(folder_of(target)).path("mine").read_bytes() == CONTENT


def test_fetching_again_is_harmless(source: ServiceSettings, target: ServiceSettings) -> None:
    fill(source)
    assert fetch(target, ("similarity",)) == fetch(target, ("similarity",))


def test_only_models_of_the_roles_are_fetched(source: ServiceSettings, target: ServiceSettings) -> None:
    fill(source)
    assert fetch(target, ()) == []
    assert [path.name for path in folder_of(target).iterdir()] == ["catalog.toml"]


def test_a_file_that_was_changed_in_the_store_never_gets_its_name(
    source: ServiceSettings, target: ServiceSettings, tmp_path: Path
) -> None:
    fill(source)
    (tmp_path / "store" / "models" / "sub" / "mine.onnx").write_bytes(b"another graph")
    with pytest.raises(SystemUnavailable, match="digest"):
        fetch(target, ("similarity",))
    assert list((folder_of(target) / "sub").iterdir()) == []


def test_a_catalog_other_than_the_pinned_one_is_refused(
    source: ServiceSettings, target: ServiceSettings
) -> None:
    fill(source)
    pinned = hashlib.sha256(ENTRY.encode()).hexdigest()
    assert fetch(target, ("similarity",), catalog_sha256=pinned) == ["mine"]
    with pytest.raises(ModelUnusable, match="sha256"):
        fetch(target, ("similarity",), catalog_sha256="0" * 64)


def test_a_pinned_catalog_that_is_not_there_is_refused(target: ServiceSettings) -> None:
    with pytest.raises(ModelUnusable, match="holds no"):
        fetch(target, (), catalog_sha256="0" * 64)


def test_a_role_whose_default_is_nowhere_is_refused(target: ServiceSettings) -> None:
    (folder_of(target) / "catalog.toml").write_text('defaults = { detector = "yunet-n" }\nmodels = []\n')
    with pytest.raises(ModelUnusable, match="yunet"):
        fetch(target, ("detector",))


def test_an_empty_store_is_enough_for_models_of_the_image(target: ServiceSettings) -> None:
    assert fetch(target, ("similarity",)) == []


def test_a_file_that_is_not_its_entrys_is_not_stored(source: ServiceSettings) -> None:
    (folder_of(source) / "sub" / "mine.onnx").write_bytes(b"another graph")
    with pytest.raises(ModelUnusable):
        fill(source)


def test_without_a_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="MODELS__DIR"):
        fill(settings(tmp_path / "store", tmp_path / "missing"))


def run(module: str, made: ServiceSettings, *args: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "SCREENALYTICS_STORE__URL": made.store.url,
        "SCREENALYTICS_MODELS__DIR": str(made.models.dir),
        "SCREENALYTICS_POSTGRES__DSN": "postgresql://unused",
    }
    argv = [sys.executable, "-m", module, *args]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_commands_fill_and_fetch(source: ServiceSettings, target: ServiceSettings) -> None:
    assert run("services.orchestrator.fill_models", source).returncode == 0
    assert run("services.orchestrator.fetch_models", target).returncode == 0
    refused = run("services.clusterer.fetch_models", target, "--catalog-sha256", "0" * 64)
    assert (refused.returncode, "model-unusable" in refused.stderr) == (2, True)
    fetched = run("services.clusterer.fetch_models", target)
    assert (fetched.returncode, "mine" in fetched.stderr) == (0, True)
