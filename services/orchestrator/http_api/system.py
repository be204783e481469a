"""Health, metrics, workers and profiles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from services.kit.errors import SystemUnavailable
from services.kit.inference.catalog import Catalog
from services.orchestrator import answers
from services.orchestrator.http_api.description import bytes_of
from services.orchestrator.profiles import profile_table
from services.orchestrator.readiness import Readiness
from services.orchestrator.registry import WorkerRegistry


def routes(readiness: Readiness, registry: WorkerRegistry, catalog: Catalog) -> APIRouter:
    router = APIRouter(tags=["system"])

    text = bytes_of("text/plain", "As asked by Kubernetes and Prometheus.")

    @router.get("/livez", response_class=Response, responses=text)
    async def livez() -> Response:
        return Response("ok", media_type="text/plain")

    @router.get("/readyz", response_class=Response, responses=text)
    async def readyz() -> Response:
        fault = await readiness.fault()
        if fault is not None:
            raise SystemUnavailable(fault)
        return Response("ok", media_type="text/plain")

    @router.get("/metrics", response_class=Response, responses=text)
    async def metrics(accept: Annotated[str, Header()] = "") -> Response:
        """As OpenMetrics, which has exemplars, for whoever accepts it."""
        encode, content_type = choose_encoder(accept)
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})

    @router.get("/v1/workers", response_model=answers.WorkerList)
    async def list_workers() -> dict[str, Any]:
        return {"workers": await registry.list()}

    @router.get("/v1/profiles", response_model=answers.ProfileList)
    async def list_profiles() -> dict[str, Any]:
        return profile_table(catalog)

    return router
