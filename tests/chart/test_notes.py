"""What the chart says after an install, and what its own test will ask for."""

from __future__ import annotations

import re
from typing import Any

from tests.chart.helm import env_of, rendered, texts, values_of


def _notes(values: dict[str, Any]) -> str:
    return next(text for path, text in texts(values).items() if path.endswith("NOTES.txt"))


def test_the_notes_say_what_each_worker_demands() -> None:
    notes = _notes(values_of("mixed"))
    assert re.search(
        r"detector +detect_track on cuda by onnxruntime, GPU profile gpu .*refuses to start", notes
    )
    assert re.search(r"detector-spare .*MAY RUN ON THE CPU", notes)
    assert re.search(r"embedder +faces_embed on cpu", notes)
    assert "0 to 4 replicas by lag of detect_track-cuda" in notes
    assert "FOR TRYING OUT ONLY" not in notes
    assert "FOR TRYING OUT ONLY" in _notes(values_of("cpu-only"))


def test_the_test_asks_for_the_gpu_only_where_every_stage_has_one() -> None:
    def device(values: str) -> Any:
        pod = next(pod for name, pod in rendered(values).pods() if name.startswith("Pod/"))
        return env_of(pod["spec"]["containers"][0])["TEST_DEVICE"]

    assert [device(v) for v in ("minimal", "triton", "mixed", "cpu-only")] == ["cuda", "cuda", "cpu", "cpu"]
