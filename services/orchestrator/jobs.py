"""Submitting and cancelling jobs: every check, then one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from ulid import ULID

from services.kit import tracing
from services.kit.codec import to_dict
from services.kit.errors import Conflict, NotFound
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.object_store import ObjectStore
from services.kit.stage_configs import StageConfig
from services.kit.stages import STAGES, Stage
from services.orchestrator.admission import check_acknowledgement, require_episode, require_inputs
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.disk_check import require_store_space
from services.orchestrator.earlier_runs import EarlierRuns
from services.orchestrator.idempotency import Origin, answered_before
from services.orchestrator.job_request import JobRequest
from services.orchestrator.job_view import job_shown
from services.orchestrator.lifecycle import ACTIVE, TERMINAL
from services.orchestrator.pipeline import Pipeline
from services.orchestrator.preconditions import IfMatch, require_match
from services.orchestrator.profiles import (
    PROFILES,
    check_override_names,
    effective_config,
    fallback_warning,
    heavy_choices,
)
from services.orchestrator.routes import Routes
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.transitions import cancel_job

_NEW = Origin()


@dataclass(frozen=True, slots=True)
class PlannedRun:
    stage: Stage
    route: Provider
    config: StageConfig
    models: list[dict[str, Any]]


class Jobs:
    def __init__(
        self, database: Database, catalog: Catalog, settings: OrchestratorSettings, store: ObjectStore
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._settings = settings
        self._routes = Routes(database, settings.routes)
        self._pipeline = Pipeline(settings.jobs, EarlierRuns(store))

    async def submit(self, request: JobRequest, *, submitted_by: str, origin: Origin = _NEW) -> str:
        """The job's id: a new one, or the one that the idempotency key has made.

        Raises `NotFound`, `InvalidRequest`, `Conflict`, `IdempotencyKeyReused`, `AcceleratorUnavailable`,
        `InsufficientDisk`.
        """
        if known := await self._answered(request, origin):
            return known
        check_override_names(request.overrides)
        check_acknowledgement(request)
        route = await self._routes.choose(request)
        planned = [self._plan(stage, route, request) for stage in request.stages]
        warnings = fallback_warning(route, request.device)
        warnings += [text for run in planned for text in heavy_choices(run.config, route)]
        try:
            async with self._database.transaction() as tx:
                return await self._insert(tx, request, planned, warnings, submitted_by, origin)
        except psycopg.errors.ForeignKeyViolation as error:
            raise NotFound(f"episode {request.ep_id} was erased meanwhile") from error
        except psycopg.errors.UniqueViolation as error:
            if known := await self._answered(request, origin):
                return known
            raise await self._conflict(request) from error

    async def _answered(self, request: JobRequest, origin: Origin) -> str | None:
        if origin.idempotency_key is None:
            return None
        async with self._database.transaction() as tx:
            return await answered_before(tx, asdict(request), origin)

    async def cancel(self, job_id: str, *, if_match: IfMatch = None) -> None:
        """Cancelling an ended job changes nothing. Raises `NotFound`, `PreconditionFailed`."""
        async with self._database.transaction() as tx:
            job = await tx.one("lock_job", job_id=job_id)
            if job is None:
                raise NotFound(f"no job {job_id!r}")
            if if_match is not None:
                shown = job_shown((await tx.all("job_with_runs", job_id=job_id))[0])
                require_match(shown["etag"], if_match, f"job {job_id}")
            if job["state"] not in TERMINAL:
                await cancel_job(tx, job)

    def _plan(self, stage: Stage, route: Provider, request: JobRequest) -> PlannedRun:
        config = effective_config(stage, request.profile, request.overrides, self._catalog)
        names = {"similarity": self._catalog.default("similarity"), **config.model_dump()}
        refs = [self._catalog.ref(names[role]) for role in STAGES[stage].model_roles]
        return PlannedRun(stage, route, config, [to_dict(ref) for ref in refs])

    async def _insert(
        self,
        tx: Transaction,
        request: JobRequest,
        planned: list[PlannedRun],
        warnings: list[str],
        submitted_by: str,
        origin: Origin,
    ) -> str:
        episode = await require_episode(tx, request)
        await require_inputs(tx, request, episode)
        job_id = str(ULID())
        tracing.note(job_id=job_id)
        new_job = {
            "job_id": job_id,
            "episode_uid": episode["episode_uid"],
            "kind": request.kind,
            "profile": request.profile,
            "requested_device": request.device,
            "allow_cpu_fallback": request.allow_cpu_fallback,
            "submitted_by": submitted_by,
            "warnings": tuple(warnings),
            "request": asdict(request),
            "force": request.force,
            "execution_mode": request.execution_mode,
            "execution_place": request.execution_place,
            **asdict(origin),
        }
        new_runs = [_new_run(new_job, position, run) for position, run in enumerate(planned)]
        (job,), *runs = await tx.together(
            ("insert_job", new_job), *(("insert_stage_run", run) for run in new_runs)
        )
        await self._pipeline.start(tx, job, runs[0][0], episode)
        await self._check_space(tx, request, episode, job, planned)
        return job_id

    async def _check_space(
        self, tx: Transaction, request: JobRequest, episode: Row, job: Row, planned: list[PlannedRun]
    ) -> None:
        """What is reused takes no room; of a video that was never planned nothing is known yet."""
        if episode["media_info"] is None:
            return
        runs = await tx.all("runs_of_job", job_id=job["job_id"])
        ahead = {run["stage"] for run in runs if run["state"] in ACTIVE}
        configs = [run.config for run in planned if run.stage in ahead]
        chips = int(PROFILES[request.profile]["chips_per_track"])
        await require_store_space(self._settings, episode, configs, chips)

    async def _conflict(self, request: JobRequest) -> Conflict:
        async with self._database.transaction() as tx:
            episode = await tx.one("current_episode", ep_id=request.ep_id)
            running = episode and await tx.one(
                "active_run", episode_uid=episode["episode_uid"], stages=[str(s) for s in request.stages]
            )
        if not running:
            return Conflict(f"another job of episode {request.ep_id} has just ended", hint="submit again")
        error = Conflict(f"job {running['job_id']} is already working on episode {request.ep_id}")
        error.extras["job_id"] = running["job_id"]
        return error


def _new_run(job: Mapping[str, Any], position: int, planned: PlannedRun) -> dict[str, Any]:
    return {
        "run_id": str(ULID()),
        "job_id": job["job_id"],
        "episode_uid": job["episode_uid"],
        "stage": planned.stage,
        "position": position,
        "provider": planned.route,
        "config": planned.config.model_dump(mode="json"),
        "models": tuple(planned.models),
        "algorithm_version": STAGES[planned.stage].algorithm_version,
    }
