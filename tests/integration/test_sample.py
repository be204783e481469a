"""A drawn sample: the video is what the truth says, and the models see what is drawn."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from services.cli.sample import SampleTruth, load_truth, write_sample
from services.cli.sample.cast import TRACK_THRESHOLD
from services.cli.sample.truth import FaceBox
from services.kit.inference.catalog import Catalog

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {"duration_s": 8.0, "width": 320, "height": 180}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path, seed=5, **SMALL)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def truth(video: Path) -> SampleTruth:
    return load_truth(video.with_suffix(".json"))


@pytest.fixture(scope="module")
def pictures(video: Path) -> list[npt.NDArray[np.int16]]:
    with av.open(video) as container:
        return [frame.to_ndarray(format="bgr24").astype(np.int16) for frame in container.decode(video=0)]


def test_the_truth_names_the_video_by_digest(video: Path, truth: SampleTruth) -> None:
    assert truth.video_sha256 == hashlib.sha256(video.read_bytes()).hexdigest()


def test_the_video_has_the_size_rate_and_frames_of_the_truth(video: Path, truth: SampleTruth) -> None:
    with av.open(video) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (320, 180)
        assert stream.average_rate == truth.fps
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == truth.frames == 200
    assert np.allclose(times, np.arange(truth.frames) / truth.fps)


def test_the_same_seed_gives_the_same_bytes(video: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    write_sample(again, seed=5, **SMALL)  # type: ignore[arg-type]
    assert again.read_bytes() == video.read_bytes()
    assert again.with_suffix(".json").read_text() == video.with_suffix(".json").read_text()


def test_pictures_change_at_cuts_and_nowhere_else(
    truth: SampleTruth, pictures: list[npt.NDArray[np.int16]]
) -> None:
    changes = np.array([np.abs(b - a).mean() for a, b in pairwise(pictures)])
    at_cuts = np.zeros(len(changes), dtype=bool)
    at_cuts[np.array(truth.cuts) - 1] = True
    assert changes[at_cuts].min() > 3 * changes[~at_cuts].max()


def test_every_person_of_a_shot_has_a_box_in_each_of_its_frames(truth: SampleTruth) -> None:
    boxed = {(box.frame, box.person) for box in truth.boxes}
    shown = {
        (frame, person)
        for shot in truth.shots
        for frame in range(shot.start_frame, shot.end_frame + 1)
        for person in shot.persons
    }
    assert boxed == shown


def test_faces_lie_within_the_picture_and_landmarks_within_faces(truth: SampleTruth) -> None:
    assert all(box.x >= 0 and box.y >= 0 for box in truth.boxes)
    assert all(box.x + box.w <= truth.width and box.y + box.h <= truth.height for box in truth.boxes)
    assert all(contains(box, x, y) for box in truth.boxes for x, y in box.landmarks)


def contains(box: FaceBox, x: float, y: float) -> bool:
    return box.x < x < box.x + box.w and box.y < y < box.y + box.h


def test_progress_counts_every_frame_up_to_the_last(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_sample(
        tmp_path / "short.mp4", duration_s=4.0, width=160, height=120, on_progress=lambda *at: seen.append(at)
    )
    assert seen == [(done, 100) for done in range(1, 101)]


def test_a_failure_while_drawing_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_sample(tmp_path / "sample.mp4", on_progress=stop, **SMALL)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_truth_that_cannot_be_put_in_place_takes_the_video_with_it(tmp_path: Path) -> None:
    in_the_way = tmp_path / "sample.json"
    in_the_way.mkdir()
    with pytest.raises(OSError, match=r"sample\.json"):
        write_sample(tmp_path / "sample.mp4", duration_s=4.0, width=160, height=120)
    assert list(tmp_path.iterdir()) == [in_the_way]


def sample_figures(*options: str) -> dict[str, Any]:
    command = [sys.executable, str(REPOSITORY / "bench" / "sample_cast.py"), "--json", *options]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def assert_cast_is_told_apart(figures: dict[str, Any], embedder: str) -> None:
    assert figures["cast"] == 8
    assert figures["recall"] == 1.0
    assert figures["false_positives"] == 0
    assert figures["landmark_error_mean"] <= 0.08
    threshold, cosines = TRACK_THRESHOLD[embedder], figures[embedder]
    assert cosines["between_max"] + 0.1 < threshold < cosines["within_min"] - 0.1


def test_the_models_that_ship_find_every_face_and_tell_the_cast_apart() -> None:
    assert_cast_is_told_apart(sample_figures(), Catalog.load(None).default("embedder"))


def test_their_teachers_find_every_face_and_tell_the_cast_apart(models_dir: Path) -> None:
    embedder = "face-reidentification-retail-0095"
    options = (f"--models={models_dir}", "--detector=yunet-n", f"--embedder={embedder}")
    assert_cast_is_told_apart(sample_figures(*options), embedder)
