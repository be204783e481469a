"""The catalog of models: only the file it names is ever loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.kit.errors import InvalidSettings, ModelUnusable
from services.kit.inference.catalog import SHIPPED_DIR, Catalog, SimilarityEntry
from services.kit.messages import ModelRef

CONTENT = b"a graph"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def entry(name: str = "mine", file: str = "mine.onnx", sha256: str = DIGEST) -> str:
    return f'[[models]]\nrole = "similarity"\nname = "{name}"\nfile = "{file}"\nsha256 = "{sha256}"\nlicence = "MIT"\n'


def catalog_of(folder: Path, text: str) -> Catalog:
    (folder / "catalog.toml").write_text(text)
    return Catalog.load(folder)


def test_the_shipped_catalog_names_a_default_for_every_role() -> None:
    catalog = Catalog.load(None)
    assert catalog.detector(catalog.default("detector")).role == "detector"
    assert catalog.embedder(catalog.default("embedder")).role == "embedder"
    assert catalog.ref(catalog.default("similarity")).role == "similarity"


def test_the_shipped_similarity_model_is_the_file_its_entry_names() -> None:
    assert Catalog.load(None).path("similarity") == SHIPPED_DIR / "similarity.onnx"


def test_no_shipped_entry_lacks_a_licence_and_research_models_say_so() -> None:
    for model in Catalog.load(None).entries():
        assert model.licence
        assert ("non-commercial" in model.licence) == ("non-commercial" in model.tags)


def test_the_right_file_is_found_in_the_folder_of_the_setting(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    catalog = catalog_of(tmp_path, entry())
    assert catalog.path("mine") == tmp_path / "mine.onnx"
    assert catalog.ref("mine") == ModelRef("similarity", "mine", DIGEST)


def test_a_file_with_another_digest_is_refused_and_both_digests_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"another graph")
    with pytest.raises(ModelUnusable) as refused:
        catalog_of(tmp_path, entry()).path("mine")
    assert DIGEST in refused.value.message
    assert hashlib.sha256(b"another graph").hexdigest() in refused.value.message


def test_a_file_that_changes_after_it_was_checked_is_checked_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(CONTENT)
    catalog = catalog_of(tmp_path, entry())
    catalog.path("mine")
    file.write_bytes(CONTENT + b" and more")
    with pytest.raises(ModelUnusable):
        catalog.path("mine")


def test_a_missing_file_is_refused_with_a_hint_at_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable) as refused:
        catalog_of(tmp_path, entry()).path("mine")
    assert "SCREENALYTICS_MODELS__DIR" in refused.value.hint
    assert str(tmp_path) in refused.value.message


def test_an_unknown_name_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable) as refused:
        catalog_of(tmp_path, entry()).entry("yours")
    assert "mine" in refused.value.hint


def test_an_entry_of_the_overlay_wins_and_the_shipped_rest_stays(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, '[defaults]\nsimilarity = "mine"\n' + entry("similarity") + entry())
    assert catalog.ref("similarity").sha256 == DIGEST
    assert catalog.default("similarity") == "mine"
    assert catalog.default("detector") == Catalog.load(None).default("detector")
    assert {e.name for e in catalog.entries()} == {e.name for e in Catalog.load(None).entries()} | {"mine"}


def test_a_folder_without_a_catalog_adds_nothing(tmp_path: Path) -> None:
    assert Catalog.load(tmp_path).entries() == Catalog.load(None).entries()


@pytest.mark.parametrize(
    "file", ["../x", "/etc/passwd", "a/../../x", "a/..", "~/x", "a//b", "a/", "..", "a b", ""]
)
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(InvalidSettings, match="file"):
        catalog_of(tmp_path, entry(file=file))


@pytest.mark.parametrize("file", ["a.onnx", "sub/a_b-1.2.onnx", "A/B/c", "yunet.2023.onnx"])
def test_a_file_inside_the_folder_is_taken(tmp_path: Path, file: str) -> None:
    found = catalog_of(tmp_path, entry(file=file)).entry("mine")
    assert isinstance(found, SimilarityEntry)
    assert found.file == file


@pytest.mark.parametrize(
    "text",
    [
        "not toml [",
        entry(sha256="ABC"),
        entry().replace("licence", "license"),
        entry().replace("similarity", "oracle"),
        "models = 3",
    ],
)
def test_a_damaged_catalog_is_refused_by_its_path(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSettings, match=r"catalog\.toml"):
        catalog_of(tmp_path, text)


def test_a_folder_that_is_not_there_is_refused_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="SCREENALYTICS_MODELS__DIR"):
        Catalog.load(tmp_path / "nowhere")


def test_a_model_of_another_role_is_refused() -> None:
    catalog = Catalog.load(None)
    with pytest.raises(ModelUnusable, match="not a detector"):
        catalog.detector("similarity")
    with pytest.raises(ModelUnusable, match="not an embedder"):
        catalog.embedder("similarity")


def test_a_default_that_nobody_named_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="oracle"):
        Catalog.load(None).default("oracle")
