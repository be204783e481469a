"""What comes of the work, counted once: by the replica whose transaction applied it."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Histogram

from services.kit.errors import InvalidInput, InvalidSettings, ModelUnusable, error_class
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.database import Row, Transaction
from services.orchestrator.lifecycle import State

JOBS_ENDED = Counter(
    "screenalytics_jobs_ended",
    "Jobs that ended; `refused` ones failed by what they were given, such as a damaged video.",
    ["outcome"],
)
JOB_START = Histogram(
    "screenalytics_job_start_seconds",
    "Time from a job's submit to the first claim of one of its tasks.",
    buckets=(0.5, 1, 5, 15, 60, 300, 900, 3600, 14400),
)
VIDEO = Counter(
    "screenalytics_video_seconds",
    "Length of the videos that stages have worked through; results that were reused do not count.",
    ["stage"],
)
SCREEN_TIME = Counter(
    "screenalytics_screen_time_seconds", "Screen time of the identities that clustering has found."
)
# A series that only appears with its first event would hide that event from Prometheus.
for _outcome in ("succeeded", "failed", "refused", "cancelled"):
    JOBS_ENDED.labels(_outcome)
for _stage in STAGE_ORDER:
    VIDEO.labels(_stage)


def count_end(tx: Transaction, state: State, error_code: str | None) -> None:
    tx.after_commit(JOBS_ENDED.labels(_outcome_of(state, error_code)).inc)


def count_start(tx: Transaction, waited_s: float) -> None:
    tx.after_commit(lambda: JOB_START.observe(waited_s))


def count_work(tx: Transaction, stage: Stage, episode: Row, counts: Mapping[str, int]) -> None:
    duration_s = float((episode["media_info"] or {}).get("duration_s", 0.0))
    tx.after_commit(lambda: VIDEO.labels(stage).inc(duration_s))
    tx.after_commit(lambda: SCREEN_TIME.inc(counts.get("screen_time_s", 0)))


def _outcome_of(state: State, error_code: str | None) -> str:
    kind = error_class(error_code or "")
    is_by_input = issubclass(kind, InvalidInput) and not issubclass(kind, ModelUnusable | InvalidSettings)
    return "refused" if state is State.FAILED and is_by_input else str(state)
