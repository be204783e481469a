"""`screenalytics stage`: one stage of an episode again, and the gate in front of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.client import ApiError, Client
from services.local import SystemHandle
from tests.made_media import square_frames, write_video


@pytest.fixture(scope="session")
def stage(screenalytics: Any, system: SystemHandle) -> Any:
    data_dir = ("--data-dir", system.settings.data_dir)
    return lambda *args: screenalytics("stage", *args, "--json", "--device", "cpu", *data_dir)


@pytest.fixture(scope="session")
def empty_run(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A video in which nobody is."""
    video = write_video(tmp_path_factory.mktemp("media") / "nobody.mp4", square_frames(20))
    return run(video, "--ep-id", "nobody-there", "--profile", "low_power")


def test_a_video_without_faces_succeeds_and_says_so_everywhere(
    empty_run: Any, screenalytics: Any, system: SystemHandle, client: Client
) -> None:
    assert empty_run.status == 0, empty_run.err
    stages = empty_run.record["stages"]
    assert (stages["detect_track"]["state"], stages["detect_track"]["zero_rows"]) == ("succeeded", True)
    assert stages["faces_embed"]["state"] == stages["cluster"]["state"] == "skipped"
    assert "no faces were found" in empty_run.err
    assert client.episode_status("nobody-there").phases["detect_track"].zero_rows is True
    shown = screenalytics("status", "nobody-there", "--data-dir", system.settings.data_dir)
    assert "zero rows" in shown.out
    assert "no faces were found" in shown.out


def test_a_stage_on_nothing_is_refused_until_that_is_acknowledged(
    empty_run: Any, stage: Any, client: Client
) -> None:
    refused = stage("nobody-there", "faces_embed")
    assert refused.status == 2
    assert refused.record["error"]["code"] == "zero-rows"
    assert "--acknowledge-zero-rows" in refused.record["error"]["hint"]
    with pytest.raises(ApiError) as caught:
        client.submit("nobody-there", kind="faces_embed", device="cpu")
    assert (caught.value.code, caught.value.status) == ("zero-rows", 409)
    for name in ("faces_embed", "cluster"):
        ended = stage("nobody-there", name, "--acknowledge-zero-rows")
        assert ended.status == 0, ended.err
        assert ended.record["stages"][name] | {"runtime_s": 0} == {
            "state": "succeeded", "reused": False, "requested_device": "cpu", "resolved_device": "cpu",
            "zero_rows": True, "runtime_s": 0,
        }  # fmt: skip
    status = client.episode_status("nobody-there")
    assert [(phase.status, phase.zero_rows) for phase in status.phases.values()] == [("success", True)] * 3


def test_one_stage_again_gives_a_new_result_with_its_own_parameters(
    run: Any, stage: Any, client: Client, media_dir: Path
) -> None:
    first = run(media_dir / "short_hamilton_clip.mp4", "--profile", "low_power", "--ep-id", "again")
    ended = stage("again", "cluster", "--track-threshold", "0.95")
    assert ended.status == 0, ended.err
    assert list(ended.record["stages"]) == ["cluster"]
    assert len(ended.record["identities"]) > len(first.record["identities"])
    assert client.episode_status("again").phases["cluster"].status == "success"


@pytest.mark.parametrize("ep_id", ["nobody", "../x"])
def test_a_stage_of_an_episode_that_is_not_there_is_bad_input(stage: Any, ep_id: str) -> None:
    assert stage(ep_id, "cluster").status == 2
