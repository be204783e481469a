"""The REST application over the core."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from services.orchestrator.core import Core
from services.orchestrator.http_api import episodes, imports, jobs, keys, problems, security, system
from services.orchestrator.http_api.access import AccessControl, require_admitted
from services.orchestrator.http_api.requests import RequestCounter


def build(core: Core) -> FastAPI:
    """Every route's function name is its `operationId`, which `services.orchestrator.operations` knows."""
    api = FastAPI(
        title="Screenalytics",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(require_admitted)],
    )
    api.add_middleware(AccessControl, gate=core.gate)
    api.add_middleware(RequestCounter)
    problems.install(api)
    api.include_router(episodes.routes(core.episodes, core.records))
    api.include_router(imports.routes(core.episodes, core.imports))
    api.include_router(jobs.routes(core.jobs, core.successors, core.records, core.inquiry, core.feed))
    api.include_router(system.routes(core.readiness, core.registry, core.catalog))
    api.include_router(keys.routes(core.keys, core.audit))
    _describe_access(api)
    return api


def _describe_access(api: FastAPI) -> None:
    plain = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = security.describe(plain())
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]


def _operation_id(route: APIRoute) -> str:
    return route.name
