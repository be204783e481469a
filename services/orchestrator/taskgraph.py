"""Which tasks a stage run is made of, and which come next. Pure.

detect_track: one `plan`, then its `segment`s, then one `stitch` over their outputs.
faces_embed and cluster: one `whole`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.messages import ArtifactRef, Segment, TaskResult
from services.kit.stages import STAGES, Stage, TaskKind


@dataclass(frozen=True, slots=True)
class NewTask:
    kind: TaskKind
    ordinal: int
    inputs: tuple[ArtifactRef, ...] = ()
    segment: Segment | None = None


@dataclass(frozen=True, slots=True)
class TaskState:
    kind: TaskKind
    ordinal: int
    is_done: bool


def first_task(stage: Stage, inputs: Sequence[ArtifactRef]) -> NewTask:
    return NewTask(STAGES[stage].first_kind, 0, tuple(inputs))


def next_tasks(
    finished: TaskKind, result: TaskResult, tasks: Sequence[TaskState], outputs: Sequence[ArtifactRef]
) -> list[NewTask]:
    """What follows a finished task; empty when it was the run's last, or others must finish first.

    `tasks` are all of the run, the finished one included; `outputs` those of all finished tasks, in order of
    their ordinals.
    """
    if finished is TaskKind.PLAN:
        return [NewTask(TaskKind.SEGMENT, s.ordinal, segment=s) for s in result.segments]
    if finished is TaskKind.SEGMENT and all(t.is_done for t in tasks if t.kind is TaskKind.SEGMENT):
        return [NewTask(TaskKind.STITCH, 0, tuple(outputs))]
    return []


def is_complete(tasks: Sequence[TaskState]) -> bool:
    """Whether the run's last task is done."""
    last = {TaskKind.STITCH, TaskKind.WHOLE}
    return any(t.kind in last and t.is_done for t in tasks)


# A run's progress is made of its tasks': planning and stitching are short beside the segments.
_WEIGHT = {TaskKind.PLAN: 0.01, TaskKind.SEGMENT: 0.94, TaskKind.STITCH: 0.05, TaskKind.WHOLE: 1.0}


def run_fraction(tasks: Sequence[tuple[TaskKind, bool, float]]) -> float:
    """0..1 from (kind, is done, fraction of the newest attempt) of each task of a run."""
    total = 0.0
    for kind, weight in _WEIGHT.items():
        same = [1.0 if is_done else fraction for k, is_done, fraction in tasks if k is kind]
        if same:
            total += weight * sum(same) / len(same)
    return min(1.0, total)
