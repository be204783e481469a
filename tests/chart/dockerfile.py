"""Reads the Dockerfile, and plays the steps of a target on this machine, below a folder, without an engine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import REPOSITORY


@dataclass(frozen=True)
class Step:
    """One instruction; `text` is what follows its keyword, on one line."""

    keyword: str
    text: str

    @property
    def options(self) -> dict[str, str]:
        """`--from=build` and its kin."""
        found = re.match(r"((?:--[\w-]+=\S+\s+)*)", self.text)
        assert found
        return dict(part[2:].split("=", 1) for part in found[1].split())

    @property
    def words(self) -> list[str]:
        return [word for word in shlex.split(self.text) if not word.startswith("--")]


@dataclass
class BuildStage:
    name: str
    source: str
    steps: list[Step] = field(default_factory=list)

    def of(self, keyword: str) -> list[Step]:
        return [step for step in self.steps if step.keyword == keyword]


@dataclass
class Dockerfile:
    arguments: list[Step]  # before the first stage
    stages: dict[str, BuildStage]

    @classmethod
    def read(cls, path: Path = REPOSITORY / "Dockerfile") -> Dockerfile:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip() and line[0] != "#"]
        made = cls([], {})
        stage: BuildStage | None = None
        for line in "\n".join(lines).replace("\\\n", " ").splitlines():
            keyword, _, text = line.partition(" ")
            step = Step(keyword, " ".join(text.split()))
            if keyword == "FROM":
                source, _, name = step.text.partition(" AS ")
                stage = made.stages[name] = BuildStage(name, source)
            elif stage is None:
                made.arguments.append(step)
            else:
                stage.steps.append(step)
        return made

    def chain(self, target: str) -> list[BuildStage]:
        """The target and the stages it stands on, the lowest first."""
        stage = self.stages[target]
        return [*(self.chain(stage.source) if stage.source in self.stages else []), stage]

    def steps(self, target: str) -> list[Step]:
        return [step for stage in self.chain(target) for step in stage.steps]

    def last(self, target: str, keyword: str) -> Step:
        return [step for step in self.steps(target) if step.keyword == keyword][-1]

    def entrypoint(self, target: str) -> list[str]:
        argv = json.loads(self.last(target, "ENTRYPOINT").text)
        assert isinstance(argv, list)
        return argv


class Playground:
    """Folders that stand for the images' absolute paths."""

    FOLDERS = ("/src", "/build", "/app", "/opt/venv")

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in self.FOLDERS:
            self.at(folder).parent.mkdir(parents=True, exist_ok=True)
        self.at("/src").mkdir()

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def moved(self, text: str) -> str:
        """`text` with each path of an image replaced by the folder that stands for it."""
        alternatives = "|".join(map(re.escape, self.FOLDERS))
        return re.sub(rf"(?<![\w./-])({alternatives})(?=[/\s:\"]|$)", lambda m: str(self.at(m[1])), text)

    def play(self, steps: list[Step]) -> None:
        for step in steps:
            if step.keyword == "RUN":
                self._run(self.moved(step.text))
            elif step.keyword == "COPY":
                self._copy(step)

    def _run(self, command: str) -> None:
        done = subprocess.run(
            ["bash", "-euc", command], cwd=self.at("/src"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def _copy(self, step: Step) -> None:
        *sources, target = step.words
        for source in sources:
            came_from = REPOSITORY / source
            goes_to = self.at("/src") / target
            if came_from.is_dir():
                shutil.copytree(
                    came_from, goes_to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                goes_to = goes_to / came_from.name if target.endswith("/") else goes_to
                goes_to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(came_from, goes_to)
