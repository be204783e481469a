"""What comes from elsewhere: pinned by hash, under licences that fit, listed, and never unpickled."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kit.inference.catalog import SHIPPED_DIR, Catalog
from tests.conftest import REPOSITORY

LOCKS = [REPOSITORY / "requirements.lock", *sorted((REPOSITORY / "deploy" / "images").glob("*.lock"))]
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
_REFUSED_LICENCES = re.compile(r"AGPL|Affero|non-?commercial|SSPL|BUSL|CC-BY-NC|not stated", re.IGNORECASE)
# Modules that make objects from bytes by running what the bytes say.
_UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
_UNSAFE_CALLS = {"yaml.load", "yaml.full_load", "yaml.unsafe_load", "pandas.read_pickle", "pd.read_pickle"}
_CODE = sorted(
    path
    for folder in ("services", "models", "bench", "tests", "deploy", "docs")
    for path in (REPOSITORY / folder).rglob("*.py")
    if "node_modules" not in path.parts
)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_of_a_lock_is_pinned_by_version_and_hash(lock: Path) -> None:
    lines = [line for line in lock.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    pins = [n for n, line in enumerate(lines) if not line.startswith(" ")]
    assert pins
    for number in pins:
        assert re.match(r"^[a-z0-9._-]+==\S+( ; .+)? \\$", lines[number]), lines[number]
        assert _HASH.match(lines[number + 1]), lines[number]
    assert all(_HASH.match(line) for n, line in enumerate(lines) if n not in pins)
    assert "://" not in lock.read_text("utf-8")


def test_packages_are_installed_by_hash_alone() -> None:
    installs = [
        line
        for name in ("Makefile", "Dockerfile")
        for line in (REPOSITORY / name).read_text("utf-8").splitlines()
        if "pip install" in line and ".lock" in line
    ]
    assert installs
    assert all("--require-hashes" in line for line in installs), installs


def licence_rows() -> list[str]:
    rows = (REPOSITORY / "docs" / "licences.md").read_text("utf-8").splitlines()
    return [row for row in rows if row.startswith("| ") and not row.startswith("| package")]


def test_no_package_is_under_a_licence_that_binds_or_forbids_use() -> None:
    assert len(licence_rows()) > 100
    assert [row for row in licence_rows() if _REFUSED_LICENCES.search(row)] == []


def unsafe_calls(tree: ast.AST, *, may_load_weights: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (n.name for n in names if n.name.partition(".")[0] in _UNSAFE_MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _UNSAFE_MODULES:
                yield module
            case ast.Call():
                yield from _unsafe_call(node, may_load_weights=may_load_weights)


def _unsafe_call(node: ast.Call, *, may_load_weights: bool) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if name in _UNSAFE_CALLS or given.get("allow_pickle", "False") != "False":
        yield name
    if name == "torch.load" and not (may_load_weights and given.get("weights_only") == "True"):
        yield name


def test_no_code_unpickles() -> None:
    found = {}
    for path in _CODE:
        may_load = path.is_relative_to(REPOSITORY / "models" / "training")
        if calls := list(unsafe_calls(ast.parse(path.read_text("utf-8")), may_load_weights=may_load)):
            found[path.relative_to(REPOSITORY).as_posix()] = calls
    assert found == {}
    assert len(_CODE) > 300


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import marshal as m",
        "np.load(f, allow_pickle=True)",
        "yaml.load(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
    ],
)
def test_the_search_for_unpickling_finds_each_form_of_it(code: str) -> None:
    assert list(unsafe_calls(ast.parse(code), may_load_weights=True))


def test_every_model_of_the_catalog_is_known_by_its_digest() -> None:
    entries = Catalog.load(None).entries()
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry.sha256) for entry in entries)
    shipped = sorted(SHIPPED_DIR.rglob("*.onnx"))
    assert shipped
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped} <= {e.sha256 for e in entries}


def test_the_bill_of_materials_names_every_locked_package_that_is_installed_here() -> None:
    script = REPOSITORY / "deploy" / "images" / "sbom.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    bill = json.loads(made.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(refs) == len(set(refs))
    for component in bill["components"]:
        assert re.fullmatch(r"pkg:pypi/[a-z0-9-]+@\S+", component["purl"])
        assert {"type", "name", "version"} <= component.keys()
    named = {component["name"] for component in bill["components"]}
    assert {row.split("|")[1].strip() for row in licence_rows() if "only where" not in row} <= named
