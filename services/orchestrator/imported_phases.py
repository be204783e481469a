"""What the imported files of an episode say about its phases. Pure.

Each run of the older system speaks for itself. The run that `active_run.json` names counts alone; without one,
each phase is that of the run that made it last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.kit.artifacts import ArtifactKind
from services.kit.stages import STAGE_ORDER, STAGES, Stage
from services.orchestrator.database import Row
from services.orchestrator.older_files import ACTIVE_RUN, OLDER_FILES
from services.orchestrator.older_names import MarkerStatus
from services.orchestrator.staleness import Made
from services.orchestrator.status import PhaseFacts, PhaseResult, PhaseRun, Source

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def imported_phases(files: Sequence[Row]) -> dict[Stage, PhaseFacts]:
    """Rows of `imported_files`; phases that left nothing do not appear."""
    return {
        stage: evidence.facts()
        for stage in STAGE_ORDER
        if (evidence := _newest(_counting(files), stage)) is not None
    }


def counting_files(files: Sequence[Row]) -> list[Row]:
    """Outputs and markers of the runs that count, in order of stages."""
    counting = _counting(files)
    chosen = [_newest(counting, stage) for stage in STAGE_ORDER]
    return [row for one in chosen if one is not None for row in one.files]


def _counting(files: Sequence[Row]) -> list[Row]:
    active = next((f["facts"]["run_id"] for f in files if f["name"] == ACTIVE_RUN), None)
    of_active = [f for f in files if f["run_key"] == active]
    return of_active or [f for f in files if f["name"] != ACTIVE_RUN]


def _newest(files: Sequence[Row], stage: Stage) -> _Evidence | None:
    keys = sorted({f["run_key"] for f in files if f["stage"] == stage})
    found = [_Evidence(stage, [f for f in files if (f["stage"], f["run_key"]) == (stage, key)]) for key in keys]
    return max(found, key=lambda one: one.made.made_at or _LONG_AGO, default=None)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The files that one run left of one stage; at least one."""

    stage: Stage
    files: Sequence[Row]

    @property
    def outputs(self) -> list[Row]:
        return [f for f in self.files if f["kind"] is not None]

    @property
    def manifest(self) -> Row | None:
        return next((f for f in self.files if OLDER_FILES[f["name"]].is_main), None)

    @property
    def marker(self) -> dict[str, Any]:
        return next((f["facts"] for f in self.files if OLDER_FILES[f["name"]].is_marker), {})

    @property
    def status(self) -> MarkerStatus:
        return MarkerStatus(self.marker.get("status", MarkerStatus.UNKNOWN))

    @property
    def made(self) -> Made:
        """A run that did not succeed made nothing: what is left is older than its marker."""
        is_failure = self.status in (MarkerStatus.FAILED, MarkerStatus.CANCELLED)
        left = [self.manifest] if self.manifest else (self.outputs or self.files)
        return Made(
            finished_at=None if is_failure else _time(self.marker.get("finished_at")),
            modified_at=max(f["modified_at"] for f in left),
            lineage=self.files[0]["run_key"],
        )

    def facts(self) -> PhaseFacts:
        made, marker, finished_at = self.made, self.marker, _time(self.marker.get("finished_at"))
        # Without a marker, or with that of a process that is gone, the output speaks.
        is_told = self.status is not MarkerStatus.UNKNOWN
        run = PhaseRun(
            status=str(self.status if is_told else MarkerStatus.SUCCESS),
            zero_rows=self._is_empty(),
            last_run_at=finished_at or made.made_at,
            started_at=_time(marker.get("started_at")),
            finished_at=finished_at,
            requested_device=marker.get("requested_device"),
            resolved_device=marker.get("resolved_device"),
        )
        result = PhaseResult(
            made=made,
            source=Source.IMPORTED,
            has_output=self.manifest is not None,
            zero_rows=self._is_empty(),
            is_partial=self._is_partial(),
        )
        return PhaseFacts(run, result)

    def _rows(self, kind: ArtifactKind) -> int | None:
        return next((f["rows"] for f in self.files if f["kind"] == kind), None)

    def _is_empty(self) -> bool:
        """By the file whose rows are counted; without it, as the marker says."""
        counted = ArtifactKind(STAGES[self.stage].zero_rows_count)
        rows = self._rows(counted)
        if rows is None and self.manifest is not None:
            rows = self.manifest["rows"]
        if rows is not None:
            return rows == 0
        return bool(self.marker.get("zero_rows")) or self.marker.get("counts", {}).get(counted) == 0

    def _is_partial(self) -> bool:
        has_detections = bool(self._rows(ArtifactKind.DETECTIONS))
        return self.stage is Stage.DETECT_TRACK and has_detections and not self._rows(ArtifactKind.TRACKS)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
