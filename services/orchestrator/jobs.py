"""Submitting and cancelling jobs: every check, then one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Any

import psycopg
from ulid import ULID

from services.kit import bus, tracing
from services.kit.codec import to_dict
from services.kit.errors import AcceleratorUnavailable, Conflict, InvalidRequest, NotFound, ZeroRows
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.object_store import ObjectStore
from services.kit.stage_configs import StageConfig
from services.kit.stages import STAGE_ORDER, STAGES, Stage
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.disk_check import require_store_space
from services.orchestrator.earlier_runs import EarlierRuns
from services.orchestrator.idempotency import Origin, answered_before
from services.orchestrator.job_view import job_shown
from services.orchestrator.lifecycle import ACTIVE, TERMINAL
from services.orchestrator.pipeline import Pipeline
from services.orchestrator.preconditions import IfMatch, require_match
from services.orchestrator.profiles import (
    DEFAULT_PROFILE,
    PROFILES,
    Profile,
    check_override_names,
    effective_config,
    fallback_warning,
    heavy_choices,
)
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.transitions import cancel_job, inputs_for

_ROUTE_POLL_S = 0.2
_NEW = Origin()


class JobKind(StrEnum):
    PIPELINE = "pipeline"
    DETECT_TRACK = "detect_track"
    FACES_EMBED = "faces_embed"
    CLUSTER = "cluster"


class ExecutionMode(StrEnum):
    AUTO = "auto"
    REMOTE = "remote"
    LOCAL = "local"


class ExecutionPlace(StrEnum):
    REMOTE = "remote"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """`force` works again where an equal result is there.

    `execution_mode` and `execution_place`: what the submitter chose, and what came of it; for the record.
    """

    ep_id: str
    kind: JobKind = JobKind.PIPELINE
    profile: Profile = DEFAULT_PROFILE
    device: Provider = Provider.CUDA
    allow_cpu_fallback: bool = False
    acknowledge_zero_rows: bool = False
    force: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    execution_mode: ExecutionMode | None = None
    execution_place: ExecutionPlace | None = None

    @property
    def stages(self) -> list[Stage]:
        return list(STAGE_ORDER) if self.kind is JobKind.PIPELINE else [Stage(self.kind)]


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
        self._pipeline = Pipeline(settings.jobs, EarlierRuns(store))

    async def submit(self, request: JobRequest, *, submitted_by: str, origin: Origin = _NEW) -> str:
        """The job's id: a new one, or the one that the idempotency key has made.

        Raises `NotFound`, `InvalidRequest`, `Conflict`, `IdempotencyKeyReused`, `AcceleratorUnavailable`,
        `InsufficientDisk`.
        """
        if known := await self._answered(request, origin):
            return known
        check_override_names(request.overrides)
        _check_acknowledgement(request)
        route = await self._route(request)
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
        episode = await self._episode(tx, request)
        await self._check_inputs(tx, request, episode)
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

    async def _episode(self, tx: Transaction, request: JobRequest) -> Row:
        episode = await tx.one("current_episode", ep_id=request.ep_id)
        if episode is None:
            raise NotFound(f"no episode {request.ep_id!r}")
        if episode["media_uri"] is None:
            raise Conflict(
                f"episode {request.ep_id} was imported and has no video",
                hint=f"upload its video under the same name: screenalytics run VIDEO --ep-id {request.ep_id}",
            )
        if episode["media_removed_at"] is not None and Stage.DETECT_TRACK in request.stages:
            raise Conflict(
                f"the video of episode {request.ep_id} is no longer kept",
                hint="upload the same video once more, or submit a later stage alone",
            )
        return episode

    async def _check_inputs(self, tx: Transaction, request: JobRequest, episode: Row) -> None:
        stage = request.stages[0]
        before = STAGE_ORDER[: STAGE_ORDER.index(stage)]
        if not before:
            return
        _, missing = await inputs_for(tx, episode["episode_uid"], stage)
        if missing:
            raise Conflict(
                f"{stage} needs the output of {', '.join(sorted(missing))}, "
                f"which episode {request.ep_id} lacks",
                hint="submit that stage first, or a pipeline job",
            )
        current = {r["stage"]: r for r in await tx.all("current_runs", episode_uid=episode["episode_uid"])}
        empty = [s for s in before if current.get(s, {}).get("zero_rows")]
        if empty and not request.acknowledge_zero_rows:
            raise ZeroRows(
                f"{empty[-1]} found nothing in episode {request.ep_id}, so {stage} has nothing to work on",
                hint=f"run {empty[0]} with other parameters, or run {stage} all the same with "
                "acknowledge_zero_rows (--acknowledge-zero-rows)",
            )

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

    async def _route(self, request: JobRequest) -> Provider:
        """Where the job will run. A worker that is only just starting gets a moment to be heard."""
        give_up_at = monotonic() + self._settings.routes.grace_s
        while True:
            routes = await self._available_routes()
            for provider in _acceptable(request):
                if all((stage, provider) in routes for stage in request.stages):
                    return provider
            if monotonic() >= give_up_at:
                raise _no_route(request, routes)
            await asyncio.sleep(_ROUTE_POLL_S)

    async def _available_routes(self) -> set[tuple[str, str]]:
        declared = {tuple(route.split("/")) for route in self._settings.routes.declared}
        rows = await self._database.read("live_routes", expiry_s=bus.WORKER_EXPIRY_S)
        return {(a, b) for a, b in declared} | {(row["stage"], row["effective_provider"]) for row in rows}

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


def _acceptable(request: JobRequest) -> list[Provider]:
    if request.device is Provider.CUDA and request.allow_cpu_fallback:
        return [Provider.CUDA, Provider.CPU]
    return [request.device]


def _no_route(request: JobRequest, routes: set[tuple[str, str]]) -> AcceleratorUnavailable:
    missing = [s for s in request.stages if (s, request.device) not in routes]
    served = ", ".join(sorted(f"{stage}/{provider}" for stage, provider in routes)) or "none"
    return AcceleratorUnavailable(
        f"no worker serves {', '.join(missing)} on {request.device}; routes there are: {served}",
        hint="start workers with a GPU, or ask for the CPU with --device cpu, "
        "or permit it with --allow-cpu-fallback",
    )


def _check_acknowledgement(request: JobRequest) -> None:
    if request.acknowledge_zero_rows and len(request.stages) > 1:
        raise InvalidRequest(
            "acknowledge_zero_rows goes with one stage; a pipeline skips what follows one that found nothing",
            hint="submit the stage after it by itself",
        )
