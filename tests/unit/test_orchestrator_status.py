"""The status of an episode, in the words its users know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.lifecycle import State
from services.orchestrator.older_names import phase_status
from services.orchestrator.staleness import Made, StaleReason
from services.orchestrator.status import (
    NEVER_RAN,
    PhaseFacts,
    PhaseResult,
    PhaseRun,
    Source,
    episode_status,
    phase_record,
    seconds_between,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPISODE = {"ep_id": "show", "episode_uid": "u1"}
RUN = PhaseRun(
    "success",
    last_run_at=AT,
    started_at=AT + timedelta(seconds=1),
    finished_at=AT + timedelta(seconds=3),
    requested_device="cuda",
    resolved_device="cpu",
)
RESULT = PhaseResult(Made(AT), Source.MARKER, has_output=True)
DONE = PhaseFacts(RUN, RESULT)

FIELDS = {
    "phase", "status", "source", "zero_rows", "manifest_exists", "last_run_at", "started_at", "finished_at",
    "runtime_s", "requested_device", "resolved_device", "stale_reason",
}  # fmt: skip


@pytest.mark.parametrize("given", [NEVER_RAN, DONE])
def test_a_phase_has_exactly_the_fields_its_users_know(given: PhaseFacts) -> None:
    assert set(phase_record(Stage.CLUSTER, given, None)) == FIELDS


def test_a_stage_that_never_ran_is_missing() -> None:
    record = phase_record(Stage.CLUSTER, NEVER_RAN, None)
    assert (record["status"], record["source"], record["manifest_exists"]) == ("missing", "absent", False)


def test_a_success_is_told_with_its_times_and_both_devices() -> None:
    record = phase_record(Stage.CLUSTER, DONE, None)
    assert (record["status"], record["source"], record["runtime_s"]) == ("success", "marker", 2.0)
    assert (record["requested_device"], record["resolved_device"]) == ("cuda", "cpu")


def test_a_stale_success_says_why() -> None:
    record = phase_record(Stage.FACES_EMBED, DONE, StaleReason.INPUTS)
    assert (record["status"], record["stale_reason"]) == ("stale", "inputs")


@pytest.mark.parametrize("status", ["failed", "cancelled", "running", "queued"])
def test_a_newer_run_is_what_is_shown_and_the_older_success_still_exists(status: str) -> None:
    record = phase_record(Stage.CLUSTER, PhaseFacts(PhaseRun(status), RESULT), None)
    assert (record["status"], record["source"]) == (status, "marker")
    assert record["manifest_exists"]


def test_a_first_run_that_failed_has_no_result_to_speak_of() -> None:
    record = phase_record(Stage.CLUSTER, PhaseFacts(PhaseRun("failed")), None)
    assert (record["status"], record["source"], record["manifest_exists"]) == ("failed", "absent", False)


def test_zero_rows_is_said_and_still_said_while_the_stage_runs_again() -> None:
    empty = PhaseResult(Made(AT), Source.MARKER, has_output=True, zero_rows=True)
    succeeded = PhaseRun("success", zero_rows=True)
    assert phase_record(Stage.DETECT_TRACK, PhaseFacts(succeeded, empty), None)["zero_rows"] is True
    assert phase_record(Stage.DETECT_TRACK, PhaseFacts(PhaseRun("running"), empty), None)["zero_rows"] is True


def test_detections_without_tracks_are_partial() -> None:
    partial = PhaseResult(Made(AT), Source.MARKER, has_output=True, is_partial=True)
    assert phase_record(Stage.DETECT_TRACK, PhaseFacts(RUN, partial), None)["status"] == "partial"


def status(**phases: PhaseFacts) -> dict[str, Any]:
    return episode_status(EPISODE, {s: phases.get(s.value, NEVER_RAN) for s in STAGE_ORDER})


def test_an_episode_has_its_three_phases_in_order() -> None:
    shown = status()
    assert list(shown["phases"]) == ["detect_track", "faces_embed", "cluster"]
    assert (shown["ep_id"], shown["episode_uid"]) == ("show", "u1")
    assert not shown["faces_stale"]
    assert not shown["cluster_stale"]
    assert not shown["tracks_only_fallback"]


def test_tracks_without_identities_are_a_fallback() -> None:
    assert status(detect_track=DONE)["tracks_only_fallback"]
    assert not status(detect_track=DONE, cluster=DONE)["tracks_only_fallback"]


def test_times_that_make_no_sense_together_give_no_runtime() -> None:
    assert seconds_between(AT, AT) == 0.0
    assert seconds_between(AT, AT - timedelta(seconds=1)) is None
    assert seconds_between(None, AT) is None


def test_every_state_has_a_word_of_the_older_system() -> None:
    known = {"missing", "queued", "running", "success", "partial", "stale", "failed", "cancelled"}
    assert {phase_status(state) for state in State} <= known
    assert phase_status("succeeded") == "success"
