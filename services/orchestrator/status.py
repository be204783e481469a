"""The status of an episode, phase by phase, in the words its users know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.database import Row, as_json
from services.orchestrator.staleness import Made, StaleReason, stale_phases


class Source(StrEnum):
    """What speaks for the result that a phase has."""

    MARKER = "marker"  # our marker is written beside it
    OUTPUT = "output"  # its output alone; the marker is still to come, or is lost
    IMPORTED = "imported"  # files of the older system
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """The newest run of a phase; its `status` is success, failed, cancelled, queued or running."""

    status: str
    zero_rows: bool = False
    last_run_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    requested_device: str | None = None
    resolved_device: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """The newest result of a phase. `has_output`: its manifest, the stage's main output file, is there."""

    made: Made
    source: Source
    has_output: bool
    zero_rows: bool = False
    is_partial: bool = False  # detections, and no tracks


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """Both are None for a phase that never ran; `result` is, while no run has succeeded."""

    run: PhaseRun | None = None
    result: PhaseResult | None = None


NEVER_RAN = PhaseFacts()


def phase_record(stage: Stage, facts: PhaseFacts, stale: StaleReason | None) -> dict[str, Any]:
    run, result = facts.run or PhaseRun("missing"), facts.result
    return {
        "phase": stage,
        "status": _status(facts, stale),
        "source": result.source if result else Source.ABSENT,
        "zero_rows": run.zero_rows if run.status == "success" or result is None else result.zero_rows,
        "manifest_exists": result is not None and result.has_output,
        "last_run_at": as_json(run.last_run_at),
        "started_at": as_json(run.started_at),
        "finished_at": as_json(run.finished_at),
        "runtime_s": seconds_between(run.started_at, run.finished_at),
        "requested_device": run.requested_device,
        "resolved_device": run.resolved_device,
        "stale_reason": stale,
    }


def _status(facts: PhaseFacts, stale: StaleReason | None) -> str:
    """A run that is under way, or did not succeed, is what is shown; else what its result is worth."""
    if facts.run is None:
        return "missing"
    if facts.run.status != "success":
        return facts.run.status
    if stale is not None:
        return "stale"
    result = facts.result
    if result is None or not (result.has_output or result.is_partial or result.zero_rows):
        return "missing"
    return "partial" if result.is_partial else "success"


def episode_status(episode: Row, phases: Mapping[Stage, PhaseFacts]) -> dict[str, Any]:
    results = {stage: facts.result for stage, facts in phases.items() if facts.result is not None}
    stale = stale_phases({stage: result.made for stage, result in results.items()})
    return {
        "ep_id": episode["ep_id"],
        "episode_uid": episode["episode_uid"],
        "phases": {
            str(stage): phase_record(stage, phases.get(stage, NEVER_RAN), stale.get(stage))
            for stage in STAGE_ORDER
        },
        "faces_stale": Stage.FACES_EMBED in stale,
        "cluster_stale": Stage.CLUSTER in stale,
        "tracks_only_fallback": _has_output(results, Stage.DETECT_TRACK)
        and not _has_output(results, Stage.CLUSTER),
    }


def _has_output(results: Mapping[Stage, PhaseResult], stage: Stage) -> bool:
    return stage in results and results[stage].has_output


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """None for times that are not known, or that make no sense together."""
    if start is None or end is None or end < start:
        return None
    return round((end - start).total_seconds(), 3)
