"""Jobs and their stage runs as the API shows them, from rows of `job_with_runs`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.kit import bus
from services.kit.codec import from_dict
from services.kit.messages import MediaInfo
from services.orchestrator.database import Row, as_json
from services.orchestrator.preconditions import digest_tag
from services.orchestrator.run_progress import run_progress

_JOB_FIELDS = (
    "job_id", "ep_id", "episode_uid", "kind", "state", "profile", "requested_device", "allow_cpu_fallback",
    "force", "retry_of", "resume_of", "created_at", "started_at", "finished_at", "submitted_by",
    "cancel_requested_at", "execution_mode", "execution_place",
)  # fmt: skip
_RUN_FIELDS = (
    "run_id", "stage", "state", "provider", "resolved_device", "skip_reason", "counts", "warnings",
    "fingerprint", "reused_run_id", "queued_at", "started_at", "finished_at", "runtime_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobFilter:
    """`active` with a `stage`: where that stage is still to be done."""

    ep_id: str | None = None
    stage: str | None = None
    active: bool = False


def job_shown(job: Row) -> dict[str, Any]:
    """Its `etag` tells anything that is shown from anything else, progress included."""
    shown = _without_tag(job)
    return {**shown, "etag": digest_tag(shown)}


def _without_tag(job: Row) -> dict[str, Any]:
    info = None if job["media_info"] is None else from_dict(MediaInfo, job["media_info"])
    runs = [_run_shown(run, job, info) for run in job["runs"]]
    worked = [run for run in runs if run["state"] != "skipped"]
    return {
        **{name: as_json(job[name]) for name in _JOB_FIELDS},
        "reused": bool(worked) and all(run["reused"] for run in worked),
        "warnings": [*job["warnings"], *(w for run in runs for w in run["warnings"])],
        "error": _error_shown(job),
        "stages": runs,
    }


def _run_shown(run: Row, job: Row, info: MediaInfo | None) -> dict[str, Any]:
    silent_s = run["worker_silent_s"]
    unserved = run["state"] == "queued" and (silent_s is None or silent_s > bus.WORKER_EXPIRY_S)
    return {
        **{name: run[name] for name in _RUN_FIELDS},
        "requested_device": job["requested_device"],
        "reused": run["reused_run_id"] is not None,
        "zero_rows": bool(run["zero_rows"]),
        "waiting_for": f"a worker of {run['stage']} on {run['provider']}" if unserved else None,
        "error": _error_shown(run),
        "tasks_done": sum(task["state"] == "done" for task in run["tasks"]),
        "tasks_total": len(run["tasks"]),
        "progress": run_progress(run["tasks"], info),
    }


def _error_shown(row: Row) -> dict[str, str] | None:
    if row["error_code"] is None:
        return None
    return {"code": row["error_code"], "message": row["error_message"]}
