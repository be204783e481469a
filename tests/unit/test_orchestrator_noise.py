"""Which log lines are noise, by one documented table."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.orchestrator.noise import RULES, noise_rule

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"

CASES = [
    ("info", "3 faces embedded with sface", None),
    ("warning", "12 damaged packets were skipped in segment 1", None),
    ("debug", "anything", "debug"),
    ("info", "", "blank"),
    ("info", "  \n", "blank"),
    ("warning", "decoder: [h264 @ 0x55d0c8f1a2c0] error while decoding MB 42 7", "decoder"),
    ("warning", "decoder: Invalid NAL unit size (478606710 > 47).", "decoder"),
    ("warning", "the decoder sent a record beyond its bounds", None),
    (
        "warning",
        "2026-01-01 10:00:00.1 [W:onnxruntime:Default, graph.cc:4285] Removing initializer",
        "onnxruntime",
    ),
    ("warning", "2026-01-01 10:00:00.1 [E:onnxruntime:Default, cuda_call.cc:1] CUDA failure", None),
    ("warning", "[ WARN:0@0.012] global loadsave.cpp:268 findDecoder", "opencv"),
    ("warning", "x.py:1: DeprecationWarning: use y", "python-warning"),
    ("error", "decoder: [h264 @ 0x55d0c8f1a2c0] no frame!", None),
    ("ERROR", "", None),
]


@pytest.mark.parametrize(("level", "message", "rule"), CASES)
def test_a_line_falls_under_the_rule_that_is_made_for_it(level: str, message: str, rule: str | None) -> None:
    assert noise_rule(level, message) == rule


def test_every_rule_has_a_case_a_name_of_its_own_and_its_row_in_the_docs() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) <= {rule for _, _, rule in CASES}
    text = DOCS.read_text("utf-8")
    for rule in RULES:
        assert f"| `{rule.name}` | {rule.why} |" in text
