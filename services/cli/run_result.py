"""What a run found, as a record for programs and as words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.cli.outcome import Failure
from services.client import Artifact, Identity, Job, JobState, StageRun

FOUND_BY = {"detect_track": "faces", "faces_embed": "usable faces", "cluster": "identities"}


@dataclass(frozen=True)
class SeenIdentity:
    """An identity whose times are known."""

    identity_id: str
    track_ids: tuple[int | str, ...]
    first_ts: float
    last_ts: float
    screen_time_s: float


@dataclass(frozen=True)
class RunResult:
    job: Job
    identities: tuple[Identity, ...]
    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...]

    def to_record(self, fault: Failure | None) -> dict[str, Any]:
        """The record of `--json`; with `error` when the job did not succeed."""
        record = {
            "job_id": self.job.job_id,
            "ep_id": self.job.ep_id,
            "state": self.job.state,
            "reused": self.job.reused,
            "execution_mode": self.job.execution_mode,
            "execution_place": self.job.execution_place,
            "stages": {stage.stage: _stage_record(stage) for stage in self.job.stages},
            "identities": [_identity_record(identity) for identity in self.identities],
            "artifacts": self.locations(),
            "warnings": list(self.warnings),
        }
        if fault is None:
            return record
        return record | {"error": {"code": fault.code, "message": fault.message, "hint": fault.hint}}

    def locations(self) -> dict[str, str]:
        return {artifact.kind: artifact.location or artifact.uri for artifact in self.artifacts}

    def emptiness(self) -> list[str]:
        """A sentence for each stage that found nothing or was left out; empty for most videos."""
        sentences = []
        for stage in self.job.stages:
            if stage.zero_rows:
                sentences.append(f"no {FOUND_BY.get(stage.stage, 'rows')} were found")
            elif stage.state == JobState.SKIPPED:
                sentences.append(f"{stage.stage} was skipped ({stage.skip_reason or 'no reason given'})")
        return sentences

    def reuse(self) -> list[str]:
        """A sentence when nothing was worked on, since equal results were there."""
        if not self.job.reused:
            return []
        return ["the results of an equal run were used again; --force works anew"]

    def rows(self) -> list[SeenIdentity]:
        return [
            SeenIdentity(one.identity_id, one.track_ids, one.first_ts, one.last_ts, one.screen_time_s)
            for one in self.identities
            if one.first_ts is not None and one.last_ts is not None
        ]


def _stage_record(stage: StageRun) -> dict[str, Any]:
    return {
        "state": stage.state,
        "requested_device": stage.requested_device,
        "resolved_device": stage.resolved_device,
        "zero_rows": stage.zero_rows,
        "reused": stage.reused,
        "runtime_s": stage.runtime_s,
    }


def _identity_record(identity: Identity) -> dict[str, Any]:
    return {
        "identity_id": identity.identity_id,
        "label": identity.label,
        "track_ids": list(identity.track_ids),
        "first_ts": identity.first_ts,
        "last_ts": identity.last_ts,
        "screen_time_s": identity.screen_time_s,
    }
