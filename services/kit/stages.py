"""The three stages: their order, what they read and write, and what a worker's handler answers.

`algorithm_version` is raised by hand when a stage's output changes for equal inputs and config; it is part
of the fingerprint, so raising it makes older results stale. A release number is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from services.kit.artifacts import ArtifactKind
from services.kit.inference.session import Session
from services.kit.messages import ArtifactRef, MediaInfo, ModelRef, Segment, Task
from services.kit.object_store import ObjectStore


class Stage(StrEnum):
    DETECT_TRACK = "detect_track"
    FACES_EMBED = "faces_embed"
    CLUSTER = "cluster"


class TaskKind(StrEnum):
    PLAN = "plan"
    SEGMENT = "segment"
    STITCH = "stitch"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class StageSpec:
    stage: Stage
    algorithm_version: int
    first_kind: TaskKind
    inputs: tuple[ArtifactKind, ...]
    outputs: tuple[ArtifactKind, ...]
    main_output: ArtifactKind
    zero_rows_count: str  # the count that is 0 when the stage found nothing
    model_roles: tuple[str, ...]


STAGES: Mapping[Stage, StageSpec] = {
    Stage.DETECT_TRACK: StageSpec(
        stage=Stage.DETECT_TRACK,
        algorithm_version=1,
        first_kind=TaskKind.PLAN,
        inputs=(),
        outputs=(ArtifactKind.DETECTIONS, ArtifactKind.TRACKS, ArtifactKind.CHIPS, ArtifactKind.SCENES),
        main_output=ArtifactKind.TRACKS,
        zero_rows_count="detections",
        model_roles=("detector",),
    ),
    Stage.FACES_EMBED: StageSpec(
        stage=Stage.FACES_EMBED,
        algorithm_version=1,
        first_kind=TaskKind.WHOLE,
        inputs=(ArtifactKind.CHIPS,),
        outputs=(ArtifactKind.FACES, ArtifactKind.EMBEDDINGS),
        main_output=ArtifactKind.FACES,
        zero_rows_count="faces",
        model_roles=("embedder",),
    ),
    Stage.CLUSTER: StageSpec(
        stage=Stage.CLUSTER,
        algorithm_version=1,
        first_kind=TaskKind.WHOLE,
        inputs=(
            ArtifactKind.DETECTIONS,
            ArtifactKind.TRACKS,
            ArtifactKind.SCENES,
            ArtifactKind.FACES,
            ArtifactKind.EMBEDDINGS,
        ),
        outputs=(ArtifactKind.IDENTITIES, ArtifactKind.TRACK_METRICS, ArtifactKind.SCREEN_TIME),
        main_output=ArtifactKind.IDENTITIES,
        zero_rows_count="identities",
        model_roles=("similarity", "embedder"),
    ),
}
STAGE_ORDER: Sequence[Stage] = tuple(STAGES)


@dataclass(frozen=True, slots=True)
class Done:
    """The task's work is complete. `counts` are summed into the stage run's counts."""

    outputs: tuple[ArtifactRef, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    media_info: MediaInfo | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """This attempt failed for a reason that may pass."""

    reason: str
    after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Reject:
    """No attempt can succeed; `code` is one of `services.kit.errors`."""

    reason: str
    code: str = "stage-failed"


Outcome = Done | Retry | Reject


class Cancelled(Exception):
    """Raised inside a handler, by `TaskContext.tick` and its kin, once its task no longer counts."""


class TaskContext(Protocol):
    """What a handler may use. Every method may be called from the handler's thread."""

    @property
    def task(self) -> Task: ...

    @property
    def store(self) -> ObjectStore: ...

    @property
    def scratch_dir(self) -> Path:
        """An empty folder of this attempt, removed after it."""

    @property
    def thread_cap(self) -> int:
        """Upper bound of compute threads for this task."""

    def session(self, model: ModelRef) -> Session:
        """A warm session on the route's provider. Raises `ModelUnusable`, `AcceleratorUnavailable`."""

    def output_key(self, name: str) -> str:
        """The store key for an output file of this attempt."""

    def tick(self) -> None:
        """Says that work is moving. Raises `Cancelled` when it no longer counts."""

    def progress(self, phase: str, done: float, total: float, unit: str) -> None:
        """Ticks, and publishes a snapshot (rate-limited)."""

    def log(self, message: str, *, level: str = "info", is_noisy: bool = False) -> None:
        """One line into the job's log, which outlives the run."""


class StageHandler(Protocol):
    """One per worker service; called in a thread, one task at a time."""

    stage: Stage

    def roles(self) -> tuple[str, ...]:
        """Roles of the models that are loaded and warmed before the worker is ready."""

    def run(self, context: TaskContext) -> Outcome: ...
