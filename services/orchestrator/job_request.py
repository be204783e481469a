"""What a job is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.kit.inference.placement import Provider
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.profiles import DEFAULT_PROFILE, Profile


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
