"""Which tasks follow which, whatever the order their results come in."""

from __future__ import annotations

import itertools

import pytest

from services.kit.messages import ArtifactRef, Segment, TaskOutcome, TaskResult
from services.kit.stages import Stage, TaskKind
from services.orchestrator.taskgraph import (
    NewTask,
    TaskState,
    first_task,
    is_complete,
    next_tasks,
    run_fraction,
)

SEGMENTS = (Segment(0, None, 100), Segment(1, 100, 200), Segment(2, 200, None))
OUTPUTS = tuple(ArtifactRef("segment_detections", f"s{i}", "0") for i in range(3))


def result(segments: tuple[Segment, ...] = ()) -> TaskResult:
    return TaskResult("j", "r", "t", "a", "w", TaskOutcome.SUCCEEDED, segments=segments)


def states(done: set[int]) -> list[TaskState]:
    plan = TaskState(TaskKind.PLAN, 0, is_done=True)
    return [plan, *(TaskState(TaskKind.SEGMENT, i, is_done=i in done) for i in range(3))]


def test_a_stage_begins_with_its_first_kind_and_its_inputs() -> None:
    assert first_task(Stage.DETECT_TRACK, []) == NewTask(TaskKind.PLAN, 0)
    assert first_task(Stage.CLUSTER, OUTPUTS) == NewTask(TaskKind.WHOLE, 0, OUTPUTS)
    assert first_task(Stage.FACES_EMBED, []).kind is TaskKind.WHOLE


def test_a_plan_is_followed_by_one_task_per_segment() -> None:
    after_plan = next_tasks(TaskKind.PLAN, result(SEGMENTS), states(set())[:1], [])
    assert [(t.kind, t.ordinal, t.segment) for t in after_plan] == [
        (TaskKind.SEGMENT, s.ordinal, s) for s in SEGMENTS
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_segments_may_end_in_any_order_and_only_the_last_is_followed_by_the_stitch(
    order: tuple[int, ...],
) -> None:
    done: set[int] = set()
    followers = []
    for ordinal in order:
        done.add(ordinal)
        followers.append(next_tasks(TaskKind.SEGMENT, result(), states(done), OUTPUTS))
    assert followers == [[], [], [NewTask(TaskKind.STITCH, 0, OUTPUTS)]]


@pytest.mark.parametrize("kind", [TaskKind.STITCH, TaskKind.WHOLE])
def test_nothing_follows_the_last_task_of_a_stage(kind: TaskKind) -> None:
    assert next_tasks(kind, result(), [TaskState(kind, 0, is_done=True)], OUTPUTS) == []


def test_a_run_is_complete_once_its_last_task_is_done_and_not_before() -> None:
    assert not is_complete(states({0, 1, 2}))
    assert not is_complete([*states({0, 1, 2}), TaskState(TaskKind.STITCH, 0, is_done=False)])
    assert is_complete([*states({0, 1, 2}), TaskState(TaskKind.STITCH, 0, is_done=True)])
    assert is_complete([TaskState(TaskKind.WHOLE, 0, is_done=True)])


def test_the_fraction_of_a_run_never_falls_while_it_moves_forward() -> None:
    plan = (TaskKind.PLAN, True, 1.0)

    def segments(*fractions: float) -> list[tuple[TaskKind, bool, float]]:
        return [(TaskKind.SEGMENT, f == 1.0, f) for f in fractions]

    story = [
        [(TaskKind.PLAN, False, 0.0)],
        [(TaskKind.PLAN, False, 0.7)],
        [plan],
        [plan, *segments(0, 0, 0)],
        [plan, *segments(0.5, 0, 0)],
        [plan, *segments(0.5, 0, 1.0)],
        [plan, *segments(1.0, 0.9, 1.0)],
        [plan, *segments(1.0, 1.0, 1.0)],
        [plan, *segments(1.0, 1.0, 1.0), (TaskKind.STITCH, False, 0.5)],
        [plan, *segments(1.0, 1.0, 1.0), (TaskKind.STITCH, True, 0.5)],
    ]
    fractions = [run_fraction(tasks) for tasks in story]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == pytest.approx(1.0)


def test_a_whole_task_is_its_runs_progress() -> None:
    assert run_fraction([(TaskKind.WHOLE, False, 0.25)]) == 0.25
    assert run_fraction([(TaskKind.WHOLE, True, 0.25)]) == 1.0
    assert run_fraction([]) == 0.0
