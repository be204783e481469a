"""Whether a finished phase is out of date, and why. Pure.

Where digests are known they alone decide: a result is stale when the fingerprint recomputed from what is
current differs from the recorded one. A result of the older system has no digests; there the times decide:
the marker's `finished_at` first, the time of the output file second, and only a strictly later time counts.
What was made from something stale is stale itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.kit.messages import ModelRef
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.fingerprint import Ingredients


class StaleReason(StrEnum):
    INPUTS = "inputs"  # an earlier stage's output is another now
    PARAMETERS = "parameters"  # other parameters were asked for last
    MODELS = "models"  # another file stands in the catalog under the model's name
    ALGORITHM = "algorithm"  # the stage's hand-bumped version is another
    OLDER_THAN_INPUT = "older_than_input"  # by their times: an earlier phase finished later
    OTHER_RUN = "other_run"  # an earlier phase was made by another run of the older system
    INPUT_IS_STALE = "input_is_stale"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a run of ours has recorded about its ingredients; its inputs stand in the fingerprint alone."""

    fingerprint: str
    config: Mapping[str, Any]
    models: tuple[ModelRef, ...]
    algorithm_version: int


@dataclass(frozen=True, slots=True)
class Made:
    """A phase that has finished once. `recorded` and `current` are None for a result without digests.

    `finished_at` is the marker's; `modified_at` that of the main output, else of whatever else is left, such
    as `track_metrics.json`. `lineage` names the run of the older system it came from.
    """

    finished_at: datetime | None
    modified_at: datetime | None = None
    recorded: Recorded | None = None
    current: Ingredients | None = None
    lineage: str = ""

    @property
    def made_at(self) -> datetime | None:
        return self.finished_at or self.modified_at


def stale_phases(made: Mapping[Stage, Made]) -> dict[Stage, StaleReason]:
    """Why each stale phase is so; phases that are fresh, or were never made, do not appear."""
    reasons: dict[Stage, StaleReason] = {}
    for position, stage in enumerate(STAGE_ORDER):
        if stage not in made:
            continue
        earlier = STAGE_ORDER[:position]
        reason = _own_reason(made[stage], [made[s] for s in earlier if s in made])
        if reason is None and any(s in reasons for s in earlier):
            reason = StaleReason.INPUT_IS_STALE
        if reason is not None:
            reasons[stage] = reason
    return reasons


def _own_reason(made: Made, earlier: Sequence[Made]) -> StaleReason | None:
    if made.recorded is not None and made.current is not None:
        return _by_digest(made.recorded, made.current)
    if any(_is_later(one.made_at, made.made_at) for one in earlier):
        return StaleReason.OLDER_THAN_INPUT
    if any(one.lineage != made.lineage for one in earlier):
        return StaleReason.OTHER_RUN
    return None


def _by_digest(recorded: Recorded, current: Ingredients) -> StaleReason | None:
    if recorded.fingerprint == current.fingerprint():
        return None
    if recorded.algorithm_version != current.algorithm_version:
        return StaleReason.ALGORITHM
    if set(recorded.models) != set(current.models):
        return StaleReason.MODELS
    if recorded.config != current.config:
        return StaleReason.PARAMETERS
    return StaleReason.INPUTS


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    """Nothing is known to be later than a time that is not known."""
    return one is not None and other is not None and one > other
