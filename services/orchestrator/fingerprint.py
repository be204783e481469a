"""What a stage run's output depends on, as one digest. Equal fingerprints mean equal results. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from services.kit.messages import ArtifactRef, ModelRef, canonical_json


def fingerprint(
    *,
    media_sha256: str,
    inputs: Sequence[ArtifactRef],
    config: dict[str, Any],
    models: Sequence[ModelRef],
    algorithm_version: int,
    decisions_revision: int = 0,
) -> str:
    """`config` holds only what affects the output; no release number: an upgrade makes nothing stale."""
    facts = {
        "media": media_sha256,
        "inputs": sorted((ref.kind, ref.sha256) for ref in inputs),
        "config": config,
        "models": sorted((ref.role, ref.sha256) for ref in models),
        "algorithm_version": algorithm_version,
        "decisions_revision": decisions_revision,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
