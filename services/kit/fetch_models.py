"""`python -m services.SERVICE.fetch_models`: models from the object store, before a service starts."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence

from services.kit.inference.model_store import fetch
from services.kit.process import run_service
from services.kit.settings import ServiceSettings

log = logging.getLogger(__name__)


def fetch_models(settings_class: type[ServiceSettings], roles: Sequence[str]) -> int:
    """The exit status. Without roles the catalog alone is fetched."""
    parser = argparse.ArgumentParser(description="Fetch models from the object store into the models' folder.")
    parser.add_argument("--catalog-sha256", default="", help="refuse any other catalog")
    pinned = parser.parse_args().catalog_sha256

    async def serve(settings: ServiceSettings, stop: asyncio.Event) -> None:
        names = await asyncio.to_thread(fetch, settings, roles, catalog_sha256=pinned)
        log.info("models: %s", ", ".join(names) or "those of the image")

    return run_service(settings_class, serve)
