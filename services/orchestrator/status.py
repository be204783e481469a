"""The status of an episode, phase by phase, in the words its users know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.database import Row, as_json
from services.orchestrator.older_names import phase_status


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """`latest`: the newest run; `current`: the newest successful one, with its fingerprint recomputed."""

    latest: Row | None
    current: Row | None
    expected_fingerprint: str | None


def phase_record(stage: Stage, facts: PhaseFacts, requested_device: str | None) -> dict[str, Any]:
    run = facts.latest
    status = _status(facts)
    return {
        "phase": stage,
        "status": status,
        "source": "marker" if run is not None else "absent",
        "zero_rows": bool(run and run["zero_rows"]),
        "manifest_exists": facts.current is not None,
        "last_run_at": as_json(run["queued_at"]) if run else None,
        "started_at": as_json(run["started_at"]) if run else None,
        "finished_at": as_json(run["finished_at"]) if run else None,
        "runtime_s": runtime_s(run) if run else None,
        "requested_device": requested_device,
        "resolved_device": run["resolved_device"] if run else None,
    }


def _status(facts: PhaseFacts) -> str:
    if facts.latest is None:
        return "missing"
    if facts.latest["state"] == "succeeded" and is_stale(facts):
        return "stale"
    return phase_status(facts.latest["state"])


def is_stale(facts: PhaseFacts) -> bool:
    """Stale by digest: the fingerprint recomputed from what is current differs from the recorded one."""
    current = facts.current
    return current is not None and facts.expected_fingerprint != current["fingerprint"]


def episode_status(
    episode: Row, phases: Mapping[Stage, PhaseFacts], devices: Mapping[str, str]
) -> dict[str, Any]:
    """`devices`: requested device by job id."""
    records = {
        stage: phase_record(stage, facts, devices.get(facts.latest["job_id"]) if facts.latest else None)
        for stage, facts in phases.items()
    }
    have_identities = phases[Stage.CLUSTER].current is not None
    return {
        "ep_id": episode["ep_id"],
        "episode_uid": episode["episode_uid"],
        "phases": {str(stage): records[stage] for stage in STAGE_ORDER},
        "faces_stale": is_stale(phases[Stage.FACES_EMBED]),
        "cluster_stale": is_stale(phases[Stage.CLUSTER]),
        "tracks_only_fallback": phases[Stage.DETECT_TRACK].current is not None and not have_identities,
    }


def runtime_s(run: Row) -> float | None:
    if run["started_at"] is None or run["finished_at"] is None:
        return None
    return round(float((run["finished_at"] - run["started_at"]).total_seconds()), 3)
