"""The REST application over the core."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from services.orchestrator.core import Core
from services.orchestrator.http_api import (
    description,
    episodes,
    erasures,
    imports,
    jobs,
    keys,
    problems,
    system,
    uploads,
    webhooks,
)
from services.orchestrator.http_api.access import AccessControl, require_admitted
from services.orchestrator.http_api.requests import RequestCounter
from services.orchestrator.http_api.tracing import RequestTracer


def build(core: Core) -> FastAPI:
    """Every route's function name is its `operationId`, which `services.orchestrator.operations` knows."""
    api = FastAPI(
        title="Screenalytics",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,  # it would send callers to whatever host and scheme their request names
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(require_admitted)],
        # The framework's own spans hold paths and queries, which name episodes.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.add_middleware(AccessControl, gate=core.gate)
    api.add_middleware(RequestCounter)
    api.add_middleware(RequestTracer)  # outside of the counter, whose exemplars name its spans
    api.add_middleware(uploads.TusHeaders)
    problems.install(api)
    description.install(api)
    api.include_router(episodes.routes(core.episodes, core.sources, core.records, core.downloads))
    api.include_router(uploads.routes(core.uploads))
    api.include_router(erasures.routes(core.erasures))
    api.include_router(imports.routes(core.episodes, core.imports))
    api.include_router(jobs.routes(core.jobs, core.successors, core.records, core.inquiry, core.watch))
    api.include_router(webhooks.routes(core.webhooks))
    api.include_router(system.routes(core.readiness, core.registry, core.catalog))
    api.include_router(keys.routes(core.keys, core.audit))
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name
