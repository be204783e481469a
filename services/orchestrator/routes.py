"""Where a job can run: the device that workers of all of its stages serve."""

from __future__ import annotations

import asyncio
from time import monotonic

from services.kit import bus
from services.kit.errors import AcceleratorUnavailable
from services.kit.inference.placement import Provider
from services.orchestrator.database import Database
from services.orchestrator.job_request import JobRequest
from services.orchestrator.settings import RoutesSettings

_POLL_S = 0.2


class Routes:
    def __init__(self, database: Database, settings: RoutesSettings) -> None:
        self._database = database
        self._settings = settings

    async def choose(self, request: JobRequest) -> Provider:
        """Raises `AcceleratorUnavailable`. A worker that is only just starting gets a moment to be heard."""
        give_up_at = monotonic() + self._settings.grace_s
        while True:
            routes = await self._available()
            for provider in _acceptable(request):
                if all((stage, provider) in routes for stage in request.stages):
                    return provider
            if monotonic() >= give_up_at:
                raise _no_route(request, routes)
            await asyncio.sleep(_POLL_S)

    async def _available(self) -> set[tuple[str, str]]:
        declared = {tuple(route.split("/")) for route in self._settings.declared}
        rows = await self._database.read("live_routes", expiry_s=bus.WORKER_EXPIRY_S)
        return {(a, b) for a, b in declared} | {(row["stage"], row["effective_provider"]) for row in rows}


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
