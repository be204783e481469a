"""Records as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from services.cli.screen import harmless
from services.client import ApiKey, EpisodeStatus, Identity, Job, JobState, PhaseStatus, Worker, WorkerModel
from services.local import PartStatus

_TRACKS_SHOWN = 6


def identities_table(identities: Sequence[Identity]) -> Table:
    table = _table("identity", "label", "tracks", "first seen", "last seen", "screen time")
    for one in identities:
        tracks = _tracks(one.track_ids)
        times = (clock_words(one.first_ts), clock_words(one.last_ts), f"{one.screen_time_s:.1f} s")
        _add(table, one.identity_id, one.label or "", tracks, *times)
    return table


def processes_table(parts: Sequence[PartStatus]) -> Table:
    table = _table("process", "pid", "port", "state", "restarts", "remark")
    for part in parts:
        last_exit = "" if part.last_exit is None else f"last exit {part.last_exit}"
        remark = part.reason or last_exit
        _add(table, part.name, _or_dash(part.pid), _or_dash(part.port), part.state, str(part.restarts), remark)
    return table


def models_table(workers: Sequence[Worker]) -> Table:
    table = _table("stage", "worker", "model", "requested", "effective", "device", "nodes", "threads", "remark")
    for worker in workers:
        threads = f"{_or_dash(worker.threads)} of cap {_or_dash(worker.thread_cap)}"
        for model in worker.models:
            places = (model.requested, model.effective, f"{model.device} ({model.runtime})", _nodes(model))
            _add(table, worker.stage, worker.state, model.model, *places, threads, model.reason)
        if not worker.models:
            places = (worker.requested_provider or "", worker.effective_provider or "", "", "")
            _add(table, worker.stage, worker.state, "-", *places, threads, worker.reason or "")
    return table


def _nodes(model: WorkerModel) -> str:
    """Such as `CUDA 120, CPU 3`."""
    short = {provider.removesuffix("ExecutionProvider"): count for provider, count in model.nodes.items()}
    return ", ".join(f"{provider} {count}" for provider, count in sorted(short.items()))


def keys_table(keys: Sequence[ApiKey]) -> Table:
    table = _table("key", "name", "may", "made", "last used", "ends", "remark")
    for key in keys:
        remark = "revoked" if key.revoked_at else ""
        times = [_day(at) for at in (key.created_at, key.last_used_at, key.expires_at)]
        _add(table, key.key_id, key.name, ", ".join(key.scopes), *times, remark)
    return table


def _day(at: datetime | None) -> str:
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def jobs_table(jobs: Sequence[Job]) -> Table:
    table = _table("job", "episode", "kind", "state", "done", "submitted", "remark")
    for job in jobs:
        submitted = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M") if job.created_at else "-"
        _add(table, job.job_id, job.ep_id, job.kind, job.state, _how_far(job), submitted, _job_remark(job))
    return table


def phases_table(status: EpisodeStatus) -> Table:
    table = _table("phase", "status", "finished", "runtime", "device", "remark")
    for phase in status.phases.values():
        runtime = "-" if phase.runtime_s is None else f"{phase.runtime_s:.1f} s"
        device = phase.resolved_device or phase.requested_device or "-"
        finished = phase.finished_at or (phase.last_run_at if phase.source == "imported" else None)
        when = "-" if finished is None else f"{finished:%Y-%m-%d %H:%M:%S} UTC"
        _add(table, phase.phase, phase.status, when, runtime, device, _phase_remark(phase))
    return table


def _phase_remark(phase: PhaseStatus) -> str:
    reason = (phase.stale_reason or "").replace("_", " ")
    remarks = {
        "zero rows": phase.zero_rows,
        f"stale: {reason}": phase.stale_reason,
        "imported": phase.source == "imported",
        "its output is missing": phase.source != "absent" and not phase.manifest_exists and not phase.zero_rows,
    }
    return ", ".join(remark for remark, holds in remarks.items() if holds)


def clock_words(seconds: float | None) -> str:
    """Minutes and seconds of the video, to a tenth."""
    if seconds is None:
        return "-"
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 // 10:02}.{tenths % 10}"


def _how_far(job: Job) -> str:
    """The stage at work and how far it is; nothing for a job that is not at work."""
    for stage in job.stages:
        if stage.state == JobState.RUNNING:
            return f"{stage.stage} {stage.progress.fraction:.0%}" if stage.progress else stage.stage
    return ""


def _job_remark(job: Job) -> str:
    if job.error is not None:
        return job.error.message
    waiting_for = [f"waits for {stage.waiting_for}" for stage in job.stages if stage.waiting_for]
    return waiting_for[0] if waiting_for else "reused" if job.reused else ""


def _tracks(track_ids: Sequence[int | str]) -> str:
    shown = ", ".join(str(track_id) for track_id in track_ids[:_TRACKS_SHOWN])
    more = len(track_ids) - _TRACKS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    """Cells are plain text: names of people and reasons may hold what would be markup."""
    table.add_row(*(Text(harmless(cell)) for cell in cells))


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)
