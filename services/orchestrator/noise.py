"""Which log lines are noise: what libraries say about themselves, of no help to whoever reads a job's log.

The one table of rules, shown in docs/api.md. A noisy line is kept, tagged with its rule's name, and hidden
unless asked for. An error is never noise. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NEVER = frozenset({"error", "critical"})


@dataclass(frozen=True, slots=True)
class NoiseRule:
    """Holds for a line whose message has the pattern, at one of `levels` where some are given."""

    name: str
    pattern: re.Pattern[str]
    why: str
    levels: frozenset[str] | None = None


RULES: Sequence[NoiseRule] = (
    NoiseRule("debug", re.compile(""), "said for developers", frozenset({"debug"})),
    NoiseRule("blank", re.compile(r"^\s*$"), "an empty line"),
    NoiseRule(
        "decoder",
        re.compile(r"^decoder: "),
        "FFmpeg on single packets; damaged ones are counted in the run's warnings, a death stands in the error",
    ),
    NoiseRule(
        "onnxruntime",
        re.compile(r"\[[VIW]:onnxruntime:"),
        "ONNX Runtime on graph optimisation; where a model executes is checked and shown elsewhere",
    ),
    NoiseRule("opencv", re.compile(r"\[\s?(?:DEBUG|INFO|WARN):\d+@"), "OpenCV on its own plugins"),
    NoiseRule(
        "python-warning",
        re.compile(r"\b(?:Deprecation|PendingDeprecation|Future|User|Resource)Warning:"),
        "for the authors of a library",
    ),
)


def noise_rule(level: str, message: str) -> str | None:
    """The name of the first rule that the line falls under; None for a line that people should see."""
    if level.lower() in _NEVER:
        return None
    for rule in RULES:
        is_level = rule.levels is None or level.lower() in rule.levels
        if is_level and rule.pattern.search(message):
            return rule.name
    return None
