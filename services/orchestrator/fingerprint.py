"""What a stage run's output depends on, and its digest. Equal fingerprints mean equal results. Pure.

Whether an equal result is there to reuse, and whether a result is stale, is asked of the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.messages import ArtifactRef, ModelRef, canonical_json


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that a stage run's output depends on. No release number: an upgrade makes nothing stale."""

    media_sha256: str
    inputs: Sequence[ArtifactRef]
    config: Mapping[str, Any]  # only what affects the output
    models: Sequence[ModelRef]
    algorithm_version: int
    decisions_revision: int = 0

    def fingerprint(self) -> str:
        facts = {
            "media": self.media_sha256,
            "inputs": sorted((ref.kind, ref.sha256) for ref in self.inputs),
            "config": dict(self.config),
            "models": sorted((ref.role, ref.sha256) for ref in self.models),
            "algorithm_version": self.algorithm_version,
            "decisions_revision": self.decisions_revision,
        }
        return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
