"""The status of an episode, in the words its users know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.lifecycle import State
from services.orchestrator.older_names import phase_status
from services.orchestrator.status import PhaseFacts, episode_status, phase_record

AT = datetime(2026, 1, 1, tzinfo=UTC)
ABSENT = PhaseFacts(None, None, None)
EPISODE = {"ep_id": "show", "episode_uid": "u1"}


def run(state: str = "succeeded", fingerprint: str = "f1", **changes: Any) -> dict[str, Any]:
    plain = {
        "run_id": "r", "job_id": "j", "state": state, "fingerprint": fingerprint, "zero_rows": False,
        "queued_at": AT, "started_at": AT + timedelta(seconds=1), "finished_at": AT + timedelta(seconds=3),
        "resolved_device": "cpu",
    }  # fmt: skip
    return plain | changes


def facts(expected: str = "f1", **changes: Any) -> PhaseFacts:
    one = run(**changes)
    return PhaseFacts(one, one, expected)


FIELDS = {
    "phase", "status", "source", "zero_rows", "manifest_exists", "last_run_at", "started_at", "finished_at",
    "runtime_s", "requested_device", "resolved_device",
}  # fmt: skip


@pytest.mark.parametrize("given", [ABSENT, facts()])
def test_a_phase_has_exactly_the_fields_its_users_know(given: PhaseFacts) -> None:
    assert set(phase_record(Stage.CLUSTER, given, "cuda")) == FIELDS


def test_a_stage_that_never_ran_is_missing() -> None:
    record = phase_record(Stage.CLUSTER, ABSENT, None)
    assert (record["status"], record["source"], record["manifest_exists"]) == ("missing", "absent", False)


def test_a_success_is_told_with_its_times_and_both_devices() -> None:
    record = phase_record(Stage.CLUSTER, facts(), "cuda")
    assert (record["status"], record["runtime_s"]) == ("success", 2.0)
    assert (record["requested_device"], record["resolved_device"]) == ("cuda", "cpu")


def test_a_success_whose_inputs_have_changed_is_stale() -> None:
    assert phase_record(Stage.FACES_EMBED, facts(expected="f2"), "cpu")["status"] == "stale"


@pytest.mark.parametrize("state", ["failed", "cancelled", "running", "queued"])
def test_a_newer_run_is_what_is_shown_and_the_older_success_still_exists(state: str) -> None:
    record = phase_record(Stage.CLUSTER, PhaseFacts(run(state), run(), "f1"), "cpu")
    assert record["status"] == state
    assert record["manifest_exists"]


def test_zero_rows_is_said() -> None:
    assert phase_record(Stage.DETECT_TRACK, facts(zero_rows=True), "cpu")["zero_rows"] is True


def status(**phases: PhaseFacts) -> dict[str, Any]:
    return episode_status(EPISODE, {s: phases.get(s.value, ABSENT) for s in STAGE_ORDER}, {"j": "cuda"})


def test_an_episode_has_its_three_phases_in_order() -> None:
    shown = status()
    assert list(shown["phases"]) == ["detect_track", "faces_embed", "cluster"]
    assert (shown["ep_id"], shown["episode_uid"]) == ("show", "u1")
    assert not shown["faces_stale"]
    assert not shown["cluster_stale"]
    assert not shown["tracks_only_fallback"]


def test_an_input_that_was_made_again_makes_the_later_stages_stale() -> None:
    shown = status(detect_track=facts(), faces_embed=facts(expected="f2"), cluster=facts(expected="f3"))
    assert shown["faces_stale"]
    assert shown["cluster_stale"]
    assert shown["phases"]["detect_track"]["status"] == "success"


def test_staleness_is_known_even_while_the_stage_runs_again() -> None:
    assert status(faces_embed=PhaseFacts(run("running"), run(), "f2"))["faces_stale"]


def test_tracks_without_identities_are_a_fallback() -> None:
    assert status(detect_track=facts())["tracks_only_fallback"]
    assert not status(detect_track=facts(), cluster=facts())["tracks_only_fallback"]


def test_a_phase_shows_the_device_its_own_job_asked_for() -> None:
    shown = status(detect_track=facts(), cluster=facts(job_id="another"))
    assert shown["phases"]["detect_track"]["requested_device"] == "cuda"
    assert shown["phases"]["cluster"]["requested_device"] is None


def test_every_state_has_a_word_of_the_older_system() -> None:
    known = {"missing", "queued", "running", "success", "partial", "stale", "failed", "cancelled"}
    assert {phase_status(state) for state in State} <= known
    assert phase_status("succeeded") == "success"
