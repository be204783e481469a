"""A whole pipeline whose three stages run their models on a real Triton server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.triton_server import running_triton, what_is_missing
from tests.conftest import skip_or_fail

MODELS = {
    "detect_track": "face-detector",
    "faces_embed": "face-embedder",
    "cluster": "similarity",
}


@pytest.fixture(autouse=True)
def _needs_triton() -> None:
    if missing := what_is_missing():
        skip_or_fail(missing)


def runs_of(screenalytics: Any, clip: Path, data_dir: Path, **env: str) -> dict[str, Any]:
    options = ("--json", "--device", "cpu", "--profile", "low_power", "--ep-id", "clip", "--data-dir", data_dir)
    ended = screenalytics("run", clip, *options, **env)
    assert ended.status == 0, ended.err
    return dict(ended.record)


def test_a_job_on_triton_finds_what_the_job_in_process_finds(
    screenalytics: Any, media_dir: Path, tmp_path: Path
) -> None:
    clip = media_dir / "short_hamilton_clip.mp4"
    repository, options = tmp_path / "repository", ("--kind", "cpu", "--backend", "python")
    written = screenalytics("models", "triton-repository", repository, *options, "--json")
    assert written.status == 0, written.err
    assert sorted(written.record["models"]) == sorted(MODELS.values())
    with running_triton(repository, tmp_path / "triton") as server:
        # The models are the server's: none lies where the workers look.
        (tmp_path / "no-models").mkdir()
        there = runs_of(
            screenalytics,
            clip,
            tmp_path / "there",
            SCREENALYTICS_TRITON__URL=server.grpc_url,
            SCREENALYTICS_MODELS__DIR=str(tmp_path / "no-models"),
        )
    here = runs_of(screenalytics, clip, tmp_path / "here")
    for stage, model in MODELS.items():
        (marker_path,) = (tmp_path / "there").glob(f"store/*/runs/{stage}.json")
        marker = json.loads(marker_path.read_text())
        placed = [one for one in marker["placement"] if one["model"] == model]
        assert placed, stage
        assert {one["runtime"].partition(" ")[0] for one in placed} == {"triton"}
        assert {(one["requested"], one["effective"], one["device"]) for one in placed} == {
            ("cpu", "cpu", "KIND_CPU x1")
        }
    found, expected = (
        [
            (one["track_ids"], round(one["screen_time_s"], 2), round(one["first_ts"], 2))
            for one in record["identities"]
        ]
        for record in (there, here)
    )
    assert found == expected
    assert found
