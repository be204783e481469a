"""What a job is, as one page of plain Python: the model that the real engine is held against. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SEGMENTS = 3
MAX_ATTEMPTS = 2
STAGES = ("detect_track", "faces_embed", "cluster")
ACTIVE = ("waiting", "queued", "running")
NEEDS = {"detect_track": (), "faces_embed": ("detect_track",), "cluster": ("detect_track", "faces_embed")}

TaskName = tuple[str, str, int]  # stage, kind, ordinal


@dataclass
class ModelTask:
    name: TaskName
    state: str = "live"
    attempts: int = 0
    generation: int = 0
    newest: str | None = None
    published: int = 1


@dataclass
class ModelJob:
    stages: tuple[str, ...]
    state: str = "queued"
    runs: dict[str, str] = field(default_factory=dict)
    tasks: dict[TaskName, ModelTask] = field(default_factory=dict)
    attempts: dict[str, tuple[TaskName, int, str]] = field(default_factory=dict)  # task, generation, state

    def __post_init__(self) -> None:
        self.runs = dict.fromkeys(self.stages, "waiting")
        self._begin(self.stages[0])

    # -- what can happen to it ------------------------------------------------------------------

    def claim(self, name: TaskName, attempt: str) -> tuple[str, int]:
        """(decision, generation)"""
        task = self.tasks[name]
        if self.state not in ACTIVE or self.runs[name[0]] not in ACTIVE or task.state != "live":
            return "drop", 0
        if attempt in self.attempts:
            return "run", self.attempts[attempt][1]
        if task.attempts >= MAX_ATTEMPTS:
            self._die(task)
            return "dead", 0
        task.attempts, task.generation, task.newest = task.attempts + 1, task.generation + 1, attempt
        self.attempts[attempt] = (name, task.generation, "open")
        self.runs[name[0]] = self.state = "running"
        return "run", task.generation

    def result(self, attempt: str, outcome: str) -> str:
        """The verdict."""
        name, generation, state = self.attempts[attempt]
        if state != "open":
            return "duplicate"
        accepted = self.state in ACTIVE and self._apply(self.tasks[name], attempt, outcome)
        self.attempts[attempt] = (name, generation, outcome if accepted else "fenced")
        return "accepted" if accepted else "fenced"

    def cancel(self) -> None:
        if self.state in ACTIVE:
            self._end("cancelled")

    def shown(self) -> tuple[str, dict[str, str], dict[TaskName, tuple[str, int, int, int]], Counter[str]]:
        """(state, states of the runs, of each task: state, attempts, generation, rows in the outbox; attempts)"""
        tasks = {n: (t.state, t.attempts, t.generation, t.published) for n, t in self.tasks.items()}
        return self.state, self.runs, tasks, Counter(state for _, _, state in self.attempts.values())

    # -- what follows ---------------------------------------------------------------------------

    def _apply(self, task: ModelTask, attempt: str, outcome: str) -> bool:
        if task.state != "live":
            return False
        if outcome == "succeeded":
            task.state = "done"
            self._go_on(task.name)
        elif outcome == "handed_back":
            task.attempts -= 1
            task.published += 1
        elif task.newest != attempt:
            return False
        elif outcome == "rejected" or task.attempts >= MAX_ATTEMPTS:
            self._die(task)
        return True

    def _go_on(self, name: TaskName) -> None:
        stage, kind, _ = name
        if kind == "plan":
            self._add(*((stage, "segment", ordinal) for ordinal in range(SEGMENTS)))
        elif kind == "segment":
            segments = [t for t in self.tasks.values() if t.name[1] == "segment"]
            if all(t.state == "done" for t in segments):
                self._add((stage, "stitch", 0))
        else:
            self.runs[stage] = "succeeded"
            waiting = [s for s in self.stages if self.runs[s] == "waiting"]
            if waiting:
                self._begin(waiting[0])
            else:
                self.state = "succeeded"

    def _begin(self, stage: str) -> None:
        self.runs[stage] = "queued"
        self._add((stage, "plan" if stage == "detect_track" else "whole", 0))

    def _add(self, *names: TaskName) -> None:
        for name in names:
            self.tasks[name] = ModelTask(name)

    def _die(self, task: ModelTask) -> None:
        task.state = "dead"
        self.runs[task.name[0]] = "failed"
        self._end("failed")

    def _end(self, state: str) -> None:
        self.state = state
        for stage, run in self.runs.items():
            if run in ACTIVE:
                self.runs[stage] = "cancelled"
        for task in self.tasks.values():
            if task.state == "live":
                task.state = "cancelled"
