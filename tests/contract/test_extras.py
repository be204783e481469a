"""Each service imports with what its own extra installs, and nothing else of this environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "screenalytics"
# What each extra must be enough for.
IMPORTS = {
    "orchestrator": ("services.orchestrator.app", "services.orchestrator.__main__"),
    "detector": ("services.detector.app", "services.detector.__main__"),
    "embedder": ("services.embedder.app", "services.embedder.__main__"),
    "clusterer": ("services.clusterer.app", "services.clusterer.__main__"),
    "client": ("services.client",),
    "local": ("services.local",),
    "cli": ("services.cli.app", "services.cli.__main__"),
}
_PROGRAM = """
import importlib, importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is not of this extra", name=name)

sys.meta_path.insert(0, Missing(set(sys.argv[1].split(","))))
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


def requirements(name: str, extras: set[str]) -> list[Requirement]:
    """What a distribution asks for; this project's from its source, which may be newer than the install."""
    if name == PROJECT:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        lines = list(project["dependencies"])
        for extra in extras - {""}:
            lines += project["optional-dependencies"][extra]
    else:
        lines = list(distribution(name).requires or ())
    return [Requirement(line) for line in lines]


def applies(requirement: Requirement, extras: set[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras)


def closure(name: str, extras: set[str]) -> set[str]:
    """Canonical names of everything that installing `name[extras]` installs here."""
    wanted: dict[str, set[str]] = {}
    ahead: list[tuple[str, set[str]]] = [(canonicalize_name(name), extras)]
    while ahead:
        current, asked = ahead.pop()
        if current in wanted and asked <= wanted[current]:
            continue
        known = wanted.setdefault(current, {""})
        known |= asked
        ahead += [
            (canonicalize_name(r.name), set(r.extras))
            for r in requirements(current, known)
            if applies(r, known)
        ]
    return set(wanted)


def top_level_modules_outside(names: set[str]) -> set[str]:
    """Import names that only distributions outside of `names` bring."""
    return {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & names and re.fullmatch(r"\w+", module)
    }


@pytest.mark.parametrize("extra", sorted(IMPORTS))
def test_a_service_imports_with_its_extra_alone(extra: str) -> None:
    outside = top_level_modules_outside(closure(PROJECT, {extra})) - {"services"}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, ",".join(sorted(outside)), *IMPORTS[extra]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_closure_of_an_extra_knows_what_it_brings_and_what_it_does_not() -> None:
    orchestrator = closure(PROJECT, {"orchestrator"})
    assert {"fastapi", "starlette", "psycopg", "protobuf"} <= orchestrator
    assert not {"onnxruntime-gpu", "opencv-python-headless", "av", "pytest"} & orchestrator
    assert {"av", "onnxruntime-gpu"} <= closure(PROJECT, {"detector"})


def test_only_the_headless_opencv_is_installed() -> None:
    names = {canonicalize_name(d.metadata["Name"]) for d in distributions()}
    assert not {"opencv-python", "opencv-contrib-python", "scenedetect"} & names
