"""The Dockerfile: what it promises, read from it; and its install steps, run here without an engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.chart.dockerfile import Dockerfile, Playground
from tests.conftest import REPOSITORY
from tests.contract.test_extras import PROJECT, closure

# Installing some forty wheels takes as long as the disk does.
pytestmark = pytest.mark.timeout(900)

FILE = Dockerfile.read()
LOCKS = REPOSITORY / "deploy" / "images"
# target -> (extras that its lock must be enough for, the stage that installs them)
TARGETS = {
    "orchestrator": ({"orchestrator"}, "orchestrator-environment"),
    "detector": ({"detector", "cuda"}, "detector-environment"),
    "embedder": ({"embedder", "cuda"}, "worker-environment"),
    "clusterer": ({"clusterer", "cuda"}, "worker-environment"),
    "cpu": ({"cli"}, "cpu-environment"),
}
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def pins(lock: Path) -> set[tuple[str, str, str]]:
    return set(_PIN.findall(lock.read_text("utf-8")))


def lock_of(target: str) -> Path:
    (found,) = {
        word
        for step in FILE.stages[TARGETS[target][1]].of("RUN")
        for word in step.text.split()
        if word.endswith(".lock")
    }
    return REPOSITORY / found


def test_the_base_and_its_digest_are_arguments_without_a_default() -> None:
    assert [step.text for step in FILE.arguments] == ["BASE_IMAGE", "BASE_DIGEST"]
    foreign = {stage.source for stage in FILE.stages.values()} - set(FILE.stages)
    assert foreign == {"${BASE_IMAGE}@${BASE_DIGEST}"}


def test_every_image_is_a_stage_that_none_stands_on() -> None:
    assert set(TARGETS) <= set(FILE.stages)
    assert not {stage.source for stage in FILE.stages.values()} & set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_65532_and_its_command_is_a_module_of_ours(target: str) -> None:
    assert FILE.last(target, "USER").text == "65532:65532"
    python, flag, module = FILE.entrypoint(target)
    assert (python, flag) == ("python", "-m")
    assert (REPOSITORY / module.replace(".", "/") / "__main__.py").is_file()


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_no_build_tools_and_nothing_is_installed_in_it(target: str) -> None:
    commands = " ".join(step.text for step in FILE.steps(target) if step.keyword == "RUN")
    assert "pip uninstall" in commands
    assert not re.search(r"apt|apk|\binstall\b|\bwheel\b|curl|wget", commands)
    copied = [step for step in FILE.steps(target) if step.keyword == "COPY"]
    assert {step.options["from"] for step in copied} == {"build", TARGETS[target][1]}
    assert {word for step in copied for word in step.words} == {"/app", "/opt/venv"}


def test_an_image_has_the_version_of_the_project_where_none_is_given() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"VERSION={project['version']}" in [step.text for step in FILE.stages["runtime"].of("ARG")]


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_carries_its_labels(target: str) -> None:
    keys = {
        word.split("=", 1)[0]
        for step in FILE.steps(target)
        if step.keyword == "LABEL"
        for word in step.text.split()
    }
    wanted = {"title", "licenses", "version", "revision", "created", "base.name", "base.digest"}
    assert {f"org.opencontainers.image.{name}" for name in wanted} <= keys


def test_everything_is_installed_by_hash_or_is_the_project_itself() -> None:
    for stage in FILE.stages.values():
        for step in stage.of("RUN"):
            for command in step.text.split("&&"):
                if re.search(r"pip\b.* install\b", command):
                    assert "--require-hashes --only-binary :all:" in command or "--no-deps" in command, command


def test_what_is_copied_from_the_checkout_is_let_through_and_is_there() -> None:
    let_through = [
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for stage in FILE.stages.values():
        for step in stage.of("COPY"):
            if "from" in step.options:
                continue
            for source in step.words[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert any(source == entry or source.startswith(f"{entry}/") for entry in let_through), source


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.lock")), ids=lambda lock: lock.stem)
def test_a_lock_of_an_image_pins_what_the_tests_ran_with(lock: Path) -> None:
    tested = pins(REPOSITORY / "requirements.lock")
    own = {pin for pin in pins(lock) if not pin[0].startswith("nvidia-")}
    assert own
    assert own - tested == set()
    assert "://" not in lock.read_text("utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_a_lock_of_an_image_is_enough_for_what_the_image_runs(target: str) -> None:
    extras = TARGETS[target][0] - {"cuda"}  # NVIDIA's libraries are not in this environment
    missing = closure(PROJECT, extras) - {name for name, _, _ in pins(lock_of(target))} - {PROJECT}
    assert missing == set()


def test_only_images_for_a_gpu_hold_nvidias_libraries() -> None:
    with_cuda = {t for t in TARGETS if any(name.startswith("nvidia-cudnn") for name, _, _ in pins(lock_of(t)))}
    assert with_cuda == {"detector", "embedder", "clusterer"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """The orchestrator's image, made by its own steps in bare folders: the smallest that proves the way."""
    ground = Playground(tmp_path_factory.mktemp("image"))
    ground.play(FILE.steps(TARGETS["orchestrator"][1]))
    return ground


def _in(image: Playground, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(image.at("/opt/venv") / "bin" / argv[0]), *argv[1:]],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(image.at("/app"))} | env,
        cwd=image.at("/app"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_of_a_built_image_runs_ours_and_names_the_settings_it_lacks(image: Playground) -> None:
    ended = _in(image, *FILE.entrypoint("orchestrator"))
    refusal = json.loads(ended.stderr)
    assert refusal["code"] == "invalid-settings"
    assert "SCREENALYTICS_POSTGRES" in refusal["reason"]


def test_the_models_of_the_repository_lie_where_a_built_image_looks_for_them(image: Playground) -> None:
    program = "from services.kit.inference.catalog import *; print(Catalog.load(None).path('similarity'))"
    ended = _in(image, "python", "-c", program)
    assert ended.stdout.strip() == str(image.at("/app") / "models" / "similarity.onnx"), ended.stderr


def test_a_built_image_holds_its_bill_of_materials_and_no_installer(image: Playground) -> None:
    bill = json.loads((image.at("/opt/venv") / "sbom.cdx.json").read_text())
    named = {part["name"]: part["version"] for part in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert {(name, version) for name, version in named.items() if name != PROJECT} <= {
        (name, version) for name, version, _ in pins(lock_of("orchestrator"))
    }
    assert {"fastapi", "psycopg", PROJECT} <= set(named)
    assert _in(image, "python", "-m", "pip", "--version").returncode != 0
