"""The plan of a sample episode."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.cli.sample.cast import CAST
from services.cli.sample.schedule import is_sound, largest_cast, plan_shots
from services.cli.sample.truth import InvalidSample, Shot

FPS = 25
PLANS = [(seed, duration_s) for duration_s in (4.0, 8.0, 15.0, 40.0, 120.0) for seed in (0, 1, 2)]


def plan(seed: int, duration_s: float, cast_size: int | None = None) -> tuple[Shot, ...]:
    cast_size = cast_size or min(len(CAST), largest_cast(duration_s))
    return plan_shots(seed=seed, duration_s=duration_s, fps=FPS, cast_size=cast_size)


@pytest.mark.parametrize(("seed", "duration_s"), PLANS)
def test_shots_fill_the_episode_without_gap_or_overlap(seed: int, duration_s: float) -> None:
    shots = plan(seed, duration_s)
    assert shots[0].start_frame == 0
    assert shots[-1].end_frame == round(duration_s * FPS) - 1
    assert all(after.start_frame == before.end_frame + 1 for before, after in pairwise(shots))


@pytest.mark.parametrize(("seed", "duration_s"), PLANS)
def test_every_member_of_the_cast_returns(seed: int, duration_s: float) -> None:
    shots = plan(seed, duration_s)
    shown = [person for shot in shots for person in shot.persons]
    assert len(set(shown)) == min(len(CAST), largest_cast(duration_s))
    assert all(shown.count(person) >= 2 for person in shown)


@pytest.mark.parametrize(("seed", "duration_s"), PLANS)
def test_there_is_an_empty_shot_and_two_shots_of_two_people(seed: int, duration_s: float) -> None:
    sizes = [len(shot.persons) for shot in plan(seed, duration_s)]
    assert sizes.count(0) >= 1
    assert sizes.count(2) >= 2
    assert max(sizes) == 2


@pytest.mark.parametrize(("seed", "duration_s"), [(seed, d) for seed, d in PLANS if d >= 15])
def test_shots_last_two_to_five_seconds(seed: int, duration_s: float) -> None:
    assert all(2 * FPS - 1 <= shot.frames <= 5 * FPS + 1 for shot in plan(seed, duration_s))


def test_two_people_with_the_same_times_make_a_plan_unsound() -> None:
    together = ("P01", "P02")
    shots = (Shot(0, 0, 49, together, "start"), Shot(1, 50, 99, (), "cut"), Shot(2, 100, 149, together, "cut"))
    assert not is_sound(shots, FPS, cast_size=2)


def test_somebody_seen_once_makes_a_plan_unsound() -> None:
    shots = (
        Shot(0, 0, 49, ("P01",), "start"),
        Shot(1, 50, 99, ("P02",), "cut"),
        Shot(2, 100, 149, ("P01",), "cut"),
    )
    assert not is_sound(shots, FPS, cast_size=2)


def test_the_same_seed_gives_the_same_plan_and_another_a_different_one() -> None:
    assert plan(1, 40.0) == plan(1, 40.0)
    assert plan(1, 40.0) != plan(2, 40.0)


def test_a_forty_second_episode_holds_the_whole_cast() -> None:
    assert largest_cast(40.0) >= len(CAST)


@pytest.mark.parametrize("cast_size", [1, 3])
def test_a_cast_that_does_not_fit_is_refused_with_the_sizes_that_do(cast_size: int) -> None:
    with pytest.raises(InvalidSample, match="2 to 2 people"):
        plan(1, 8.0, cast_size)
