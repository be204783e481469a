"""The older system's words, which exports, markers and the episode status keep. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.orchestrator.lifecycle import State

# State of a stage run -> `status` of a phase.
_STATUS: Mapping[State, str] = {
    State.WAITING: "queued",
    State.QUEUED: "queued",
    State.RUNNING: "running",
    State.SUCCEEDED: "success",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.SKIPPED: "missing",
}


def phase_status(state: str) -> str:
    return _STATUS[State(state)]
