"""Health, metrics, workers and profiles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from services.kit.inference.catalog import Catalog
from services.kit.stages import STAGE_ORDER
from services.orchestrator.profiles import DEFAULT_PROFILE, Profile, effective_config
from services.orchestrator.readiness import Readiness
from services.orchestrator.registry import WorkerRegistry


def routes(readiness: Readiness, registry: WorkerRegistry, catalog: Catalog) -> APIRouter:
    router = APIRouter(tags=["system"])

    @router.get("/livez")
    async def livez() -> Response:
        return Response("ok", media_type="text/plain")

    @router.get("/readyz")
    async def readyz() -> Response:
        fault = await readiness.fault()
        return Response(fault or "ok", 200 if fault is None else 503, media_type="text/plain")

    @router.get("/metrics")
    async def metrics(accept: Annotated[str, Header()] = "") -> Response:
        """As OpenMetrics, which has exemplars, for whoever accepts it."""
        encode, content_type = choose_encoder(accept)
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})

    @router.get("/v1/workers")
    async def list_workers() -> dict[str, Any]:
        return {"workers": await registry.list()}

    @router.get("/v1/profiles")
    async def list_profiles() -> dict[str, Any]:
        shown = {
            profile: {
                stage: effective_config(stage, profile, {}, catalog).model_dump(mode="json")
                for stage in STAGE_ORDER
            }
            for profile in Profile
        }
        return {"default": DEFAULT_PROFILE, "profiles": shown}

    return router
