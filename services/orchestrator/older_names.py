"""The older system's words, which exports, markers, imports and the episode status keep. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

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


class MarkerStatus(StrEnum):
    """`status` of a marker, with the words that other releases of the older system used for the same."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # its process cannot be asked any more


_MARKER_STATUS: Mapping[str, MarkerStatus] = {
    "success": MarkerStatus.SUCCESS,
    "succeeded": MarkerStatus.SUCCESS,
    "completed": MarkerStatus.SUCCESS,
    "partial": MarkerStatus.SUCCESS,
    "stale": MarkerStatus.SUCCESS,
    "failed": MarkerStatus.FAILED,
    "error": MarkerStatus.FAILED,
    "canceled": MarkerStatus.CANCELLED,
    "cancelled": MarkerStatus.CANCELLED,
}


def marker_status(word: str | None) -> MarkerStatus:
    return _MARKER_STATUS.get((word or "").lower(), MarkerStatus.UNKNOWN)
