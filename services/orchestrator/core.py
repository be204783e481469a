"""The verbs of the system, free of any transport: REST and gRPC are thin layers over this."""

from __future__ import annotations

from dataclasses import dataclass

from services.kit.inference.catalog import Catalog
from services.orchestrator.access.audit import AuditLog
from services.orchestrator.access.gate import Gate
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.downloads import Downloads
from services.orchestrator.episodes import Episodes
from services.orchestrator.erasures import Erasures
from services.orchestrator.imports import Imports
from services.orchestrator.inquiry import Inquiry
from services.orchestrator.jobs import Jobs
from services.orchestrator.readiness import Readiness
from services.orchestrator.records import Records
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.sources import Sources
from services.orchestrator.successors import Successors
from services.orchestrator.uploads import Uploads
from services.orchestrator.watch import JobWatch
from services.orchestrator.webhooks import Webhooks


@dataclass(frozen=True)
class Core:
    episodes: Episodes
    sources: Sources
    uploads: Uploads
    webhooks: Webhooks
    imports: Imports
    erasures: Erasures
    jobs: Jobs
    successors: Successors
    records: Records
    downloads: Downloads
    inquiry: Inquiry
    watch: JobWatch
    registry: WorkerRegistry
    readiness: Readiness
    catalog: Catalog
    gate: Gate
    keys: ApiKeys
    audit: AuditLog
