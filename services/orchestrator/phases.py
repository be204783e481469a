"""Reads from Postgres what is known of each phase of an episode: runs of ours, and imported files."""

from __future__ import annotations

from services.kit.codec import from_dict
from services.kit.inference.catalog import Catalog
from services.kit.messages import ModelRef
from services.kit.stages import STAGE_ORDER, STAGES, Stage
from services.orchestrator.database import Row, Transaction
from services.orchestrator.fingerprint import Ingredients
from services.orchestrator.imported_phases import imported_phases
from services.orchestrator.older_names import phase_status
from services.orchestrator.profiles import affecting_output
from services.orchestrator.staleness import Made, Recorded
from services.orchestrator.status import NEVER_RAN, PhaseFacts, PhaseResult, PhaseRun, Source
from services.orchestrator.transitions import inputs_for


async def read_phases(tx: Transaction, episode: Row, catalog: Catalog) -> dict[Stage, PhaseFacts]:
    """A result of ours comes before an imported one."""
    uid = episode["episode_uid"]
    imported = imported_phases(await tx.all("imported_files", episode_uid=uid))
    latest = _by_stage(await tx.all("latest_runs", episode_uid=uid))
    current = _by_stage(await tx.all("current_runs", episode_uid=uid))
    asked = _by_stage(await tx.all("last_asked_runs", episode_uid=uid))
    jobs = await tx.all("devices_of_jobs", job_ids=[run["job_id"] for run in latest.values()])
    devices = {job["job_id"]: job["requested_device"] for job in jobs}
    phases = {}
    for stage in STAGE_ORDER:
        foreign, run, made = imported.get(stage, NEVER_RAN), latest.get(stage), current.get(stage)
        ours = None
        if made is not None:
            ours = _result(stage, made, await _ingredients(tx, episode, stage, made, asked[stage], catalog))
        phases[stage] = PhaseFacts(
            run=foreign.run if run is None else _run(run, devices[run["job_id"]]),
            result=ours or foreign.result,
        )
    return phases


def _by_stage(runs: list[Row]) -> dict[Stage, Row]:
    return {Stage(run["stage"]): run for run in runs}


def _run(run: Row, requested_device: str) -> PhaseRun:
    return PhaseRun(
        status=phase_status(run["state"]),
        zero_rows=bool(run["zero_rows"]),
        last_run_at=run["queued_at"],
        started_at=run["made_from"],
        finished_at=run["made_until"],
        requested_device=requested_device,
        resolved_device=run["resolved_device"],
    )


def _result(stage: Stage, run: Row, current: Ingredients) -> PhaseResult:
    recorded = Recorded(
        fingerprint=run["fingerprint"],
        config=affecting_output(stage, run["config"]),
        models=_models(run),
        algorithm_version=run["algorithm_version"],
    )
    counts = run["counts"]
    return PhaseResult(
        made=Made(run["finished_at"], recorded=recorded, current=current),
        source=Source.OUTPUT if run["marker_written_at"] is None else Source.MARKER,
        has_output=True,
        zero_rows=bool(run["zero_rows"]),
        is_partial=stage is Stage.DETECT_TRACK and counts.get("detections", 0) > 0 == counts.get("tracks", 1),
    )


async def _ingredients(
    tx: Transaction, episode: Row, stage: Stage, run: Row, asked: Row, catalog: Catalog
) -> Ingredients:
    """What `run` would be made of now, with the parameters that were asked for last."""
    inputs, _ = await inputs_for(tx, episode["episode_uid"], stage)
    wanted = affecting_output(stage, asked["config"])
    # A parameter that the run's release did not know yet cannot have changed.
    config = {name: wanted.get(name, value) for name, value in affecting_output(stage, run["config"]).items()}
    return Ingredients(
        media_sha256=episode["sha256"],
        inputs=tuple(inputs),
        config=config,
        models=tuple(catalog.current(model) for model in _models(asked)),
        algorithm_version=STAGES[stage].algorithm_version,
    )


def _models(run: Row) -> tuple[ModelRef, ...]:
    return tuple(from_dict(ModelRef, model) for model in run["models"])
