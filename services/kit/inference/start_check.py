"""What must be true before a model may run: the check of a worker's start, and of `screenalytics doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from services.kit.errors import ScreenalyticsError
from services.kit.inference.distributions import installed_runtimes, refuse_two_runtimes
from services.kit.inference.pool import ModelPool
from services.kit.messages import ModelPlacement


class Verdict(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `error` is what a worker that needs it ends with."""

    check: str
    verdict: Verdict
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: ScreenalyticsError | None = None

    @classmethod
    def failed(cls, check: str, error: ScreenalyticsError) -> Finding:
        return cls(check, Verdict.FAILED, error.message, error=error)


def start_check(pool: ModelPool, models: Iterable[str], *, threads: int) -> Iterator[Finding]:
    """The runtime, then each model: opened, verified to be where it was asked to, and run once."""
    yield _runtime()
    for name in models:
        yield _model(pool, name, threads)


def _runtime() -> Finding:
    check = "onnx runtime distributions"
    try:
        refuse_two_runtimes()
    except ScreenalyticsError as error:
        return Finding.failed(check, error)
    return Finding(check, Verdict.OK, ", ".join(sorted(installed_runtimes())) or "none")


def _model(pool: ModelPool, name: str, threads: int) -> Finding:
    check = f"model {name}"
    try:
        placement = pool.open_by_name(name, threads=threads)
    except ScreenalyticsError as error:
        return Finding.failed(check, error)
    return Finding(check, Verdict.OK, in_words(placement), asdict(placement))


def in_words(placement: ModelPlacement) -> str:
    """Such as `cuda on cuda:0 (onnxruntime 1.31.1), nodes: CUDAExecutionProvider 120`."""
    nodes = ", ".join(f"{provider} {count}" for provider, count in sorted(placement.nodes.items()))
    words = f"{placement.effective} on {placement.device} ({placement.runtime})"
    words += f", nodes: {nodes}" if nodes else ""
    return f"{words}; {placement.requested} was requested: {placement.reason}" if placement.reason else words
