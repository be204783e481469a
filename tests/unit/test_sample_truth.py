"""The truth file of a sample, and what cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli.sample import InvalidSample, SampleTruth, load_truth, write_sample
from services.cli.sample.truth import CastMember, FaceBox, Shot

TRUTH = SampleTruth(
    video_sha256="ab" * 32,
    seed=3,
    width=960,
    height=540,
    fps=25,
    frames=100,
    duration_s=4.0,
    cast=(CastMember("P01", "red curls"),),
    shots=(Shot(0, 0, 49, ("P01",), "start"), Shot(1, 50, 99, (), "cut")),
    cuts=(50,),
    boxes=(
        FaceBox(
            0, "P01", 1.5, 2.25, 90.0, 120.0, ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))
        ),
    ),
    screen_time_s={"P01": 2.0},
    track_threshold={"face-reidentification-retail-0095": 0.64},
)


def test_truth_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(TRUTH.to_json())
    assert load_truth(path) == TRUTH


def test_boxes_stand_in_named_columns() -> None:
    boxes = json.loads(TRUTH.to_json())["boxes"]
    row = dict(zip(boxes["columns"], boxes["rows"][0], strict=True))
    assert (row["frame"], row["person"], row["x"], row["h"]) == (0, "P01", 1.5, 120.0)
    assert (row["right_eye_x"], row["left_mouth_corner_y"]) == (1.0, 10.0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cast": 3}', TRUTH.to_json().replace('"fps"', '"rate"')])
def test_a_file_that_is_no_truth_is_refused(text: str) -> None:
    with pytest.raises(InvalidSample, match="not the truth"):
        SampleTruth.from_json(text)


@pytest.mark.parametrize(
    ("asked", "need"),
    [
        ({"width": 64}, "sides of at least 120 px"),
        ({"width": 100_000}, "sides of at most 4096 px"),
        ({"width": 961}, "even width and height"),
        ({"width": 1920, "height": 200}, "no side more than 4 times the other"),
        ({"fps": 0}, "1 to 120 frames a second"),
        ({"duration_s": 1.0}, "4 s to 14400 s"),
        ({"duration_s": float("nan")}, "4 s to 14400 s"),
        ({"seed": -1}, "a seed of 0 or more"),
        ({"cast_size": 9, "duration_s": 120.0}, "8 people can be told apart"),
        ({"cast_size": 1}, "2 to 8 people"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, asked: dict[str, float], need: str
) -> None:
    with pytest.raises(InvalidSample, match=need):
        write_sample(tmp_path / "sample.mp4", **asked)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_video_may_not_take_the_name_of_its_truth(tmp_path: Path) -> None:
    with pytest.raises(InvalidSample, match="name the video"):
        write_sample(tmp_path / "sample.json")
