"""Truth against the product's table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.cli.sample import SampleTruth, compare
from services.cli.sample.truth import CastMember, Shot

TOLERANCE_S = 0.3
SHOTS = (
    Shot(0, 0, 99, ("P01",), "start"),
    Shot(1, 100, 199, ("P02",), "cut"),
    Shot(2, 200, 249, (), "cut"),
    Shot(3, 250, 349, ("P01", "P02"), "cut"),
)
TRUTH = SampleTruth(
    video_sha256="0" * 64,
    seed=1,
    width=960,
    height=540,
    fps=25,
    frames=350,
    duration_s=14.0,
    cast=(CastMember("P01", "red curls"), CastMember("P02", "white fringe")),
    shots=SHOTS,
    cuts=(100, 200, 250),
    boxes=(),
    screen_time_s={"P01": 8.0, "P02": 8.0},
    track_threshold={},
)


@dataclass(frozen=True)
class Row:
    identity_id: str
    first_ts: float
    last_ts: float
    screen_time_s: float
    track_ids: tuple[str, ...] = ()


FIRST = Row("id-7", 0.0, 13.8, 8.0)
SECOND = Row("id-3", 4.0, 13.8, 7.9)


def test_the_true_table_has_no_differences_in_any_order() -> None:
    assert compare(TRUTH, [FIRST, SECOND], tolerance_s=TOLERANCE_S) == []
    assert compare(TRUTH, [SECOND, FIRST], tolerance_s=TOLERANCE_S) == []


def test_a_person_without_an_identity_is_missing() -> None:
    assert compare(TRUTH, [FIRST], tolerance_s=TOLERANCE_S) == [
        "P02 is missing: 4.00 s to 13.96 s, 8.00 s on screen"
    ]


def test_without_identities_everybody_is_missing() -> None:
    differences = compare(TRUTH, [], tolerance_s=TOLERANCE_S)
    assert [line.split(":")[0] for line in differences] == ["P01 is missing", "P02 is missing"]


def test_an_identity_too_many_is_nobody() -> None:
    stray = Row("id-9", 10.0, 11.0, 1.0)
    assert compare(TRUTH, [FIRST, stray, SECOND], tolerance_s=TOLERANCE_S) == [
        "identity id-9 is nobody of the cast: 10.00 s to 11.00 s, 1.00 s on screen"
    ]


def test_a_late_first_and_an_early_last_sight_are_told() -> None:
    late = replace(SECOND, first_ts=4.5, last_ts=13.0)
    assert compare(TRUTH, [FIRST, late], tolerance_s=TOLERANCE_S) == [
        "P02 (id-3): first seen 4.50 s, should be 4.00 s",
        "P02 (id-3): last seen 13.00 s, should be 13.96 s",
    ]


def test_screen_time_may_be_off_by_a_tenth_and_no_more() -> None:
    assert compare(TRUTH, [FIRST, replace(SECOND, screen_time_s=7.25)], tolerance_s=TOLERANCE_S) == []
    assert compare(TRUTH, [FIRST, replace(SECOND, screen_time_s=7.1)], tolerance_s=TOLERANCE_S) == [
        "P02 (id-3): screen time 7.10 s, should be 8.00 s"
    ]


def test_one_person_split_in_two_identities_is_told_once_for_each_fault() -> None:
    halves = [Row("id-1", 0.0, 3.8, 4.0), Row("id-2", 10.0, 13.8, 4.0)]
    differences = compare(TRUTH, [*halves, SECOND], tolerance_s=TOLERANCE_S)
    assert len([line for line in differences if "nobody" in line]) == 1
    assert len([line for line in differences if line.startswith("P01")]) == 2
