"""What makes a result stale, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from services.kit.inference.catalog import Catalog
from services.kit.messages import ArtifactRef, ModelRef
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.fingerprint import Ingredients
from services.orchestrator.profiles import Profile, affecting_output, effective_config

FACTS: dict[str, Any] = {
    "media_sha256": "m",
    "inputs": [ArtifactRef("chips", "uri", "c0", 10, 2), ArtifactRef("tracks", "uri", "t0")],
    "config": {"stride": 5, "embedder": "e"},
    "models": [ModelRef("similarity", "s", "s0"), ModelRef("embedder", "e", "e0")],
    "algorithm_version": 1,
}
BEFORE = Ingredients(**FACTS).fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"media_sha256": "other"},
        {"inputs": [ArtifactRef("chips", "uri", "c1", 10, 2), ArtifactRef("tracks", "uri", "t0")]},
        {"inputs": FACTS["inputs"][:1]},
        {"config": {"stride": 6, "embedder": "e"}},
        {"config": {"stride": 5}},
        {"models": [ModelRef("similarity", "s", "s0"), ModelRef("embedder", "e", "e1")]},
        {"algorithm_version": 2},
        {"decisions_revision": 1},
    ],
    ids=str,
)
def test_what_changes_the_output_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert Ingredients(**(FACTS | change)).fingerprint() != BEFORE


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": FACTS["inputs"][::-1]},
        {"inputs": [ArtifactRef("chips", "elsewhere", "c0", 99, 9), ArtifactRef("tracks", "uri", "t0")]},
        {"models": FACTS["models"][::-1]},
        {"models": [ModelRef("similarity", "renamed", "s0"), ModelRef("embedder", "e", "e0")]},
        {"config": {"embedder": "e", "stride": 5}},
        {"decisions_revision": 0},
    ],
    ids=str,
)
def test_order_names_and_places_do_not(change: dict[str, Any]) -> None:
    assert Ingredients(**(FACTS | change)).fingerprint() == BEFORE


@pytest.mark.parametrize("stage", STAGE_ORDER)
@pytest.mark.parametrize("field", ["thread_cap", "batch_size"])
def test_how_fast_a_stage_works_is_no_part_of_its_fingerprint(stage: Stage, field: str) -> None:
    def digest(value: int) -> str:
        config = effective_config(stage, Profile.BALANCED, {field: value}, Catalog.load(None))
        plain = config.model_dump(mode="json")
        assert plain[field] == value
        return Ingredients(**(FACTS | {"config": affecting_output(stage, plain)})).fingerprint()

    assert digest(1) == digest(2)


def test_every_other_field_of_every_stage_is_part_of_it() -> None:
    for stage in STAGE_ORDER:
        config = effective_config(stage, Profile.BALANCED, {}, Catalog.load(None)).model_dump(mode="json")
        assert set(config) - set(affecting_output(stage, config)) == {"thread_cap", "batch_size"}


def test_a_stored_config_and_a_fresh_one_count_alike() -> None:
    for stage in STAGE_ORDER:
        config = effective_config(stage, Profile.PERFORMANCE, {}, Catalog.load(None))
        assert affecting_output(stage, config.model_dump(mode="json")) == config.affecting_output()
