"""The files of the older system: their names, and what each record in them must be. Pure.

Only what is relied upon is required; members that nobody here knows are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.kit.artifacts import ArtifactKind
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.older_names import marker_status

_MAX_EMBEDDING = 8_192

Text = Annotated[str, StringConstraints(max_length=4_096)]
TrackId = int | Annotated[str, StringConstraints(min_length=1, max_length=128)]
Box = Annotated[list[float], Field(min_length=4, max_length=4)]


class OlderRecord(BaseModel):
    """Numbers are numbers and texts are texts: "3" is no frame."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    ep_id: Text | None = None


class DetectionRecord(OlderRecord):
    ts: float = Field(ge=0)
    frame_idx: int = Field(ge=0)
    bbox_xyxy: Box
    conf: float | None = None
    track_id: TrackId | None = None


class BoxSample(OlderRecord):
    frame_idx: int = Field(ge=0)
    ts: float = Field(ge=0)
    bbox_xyxy: Box


class TrackRecord(OlderRecord):
    track_id: TrackId
    first_ts: float = Field(ge=0)
    last_ts: float = Field(ge=0)
    frame_count: int = Field(ge=0)
    first_frame_idx: int | None = None
    last_frame_idx: int | None = None
    bboxes_sampled: list[BoxSample] = []


class FaceRecord(OlderRecord):
    """One that was rejected has `skip`, and no embedding."""

    track_id: TrackId
    frame_idx: int = Field(ge=0)
    ts: float = Field(ge=0)
    bbox_xyxy: Box | None = None
    embedding: Annotated[list[float], Field(max_length=_MAX_EMBEDDING)] | None = None
    skip: Text | None = None

    @property
    def counts(self) -> bool:
        return self.skip is None


class IdentityRecord(OlderRecord):
    identity_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    track_ids: list[TrackId]
    label: Text | None = None
    size: int = Field(default=0, ge=0)
    cohesion: float | None = None


class IdentitiesDocument(OlderRecord):
    identities: list[IdentityRecord]
    stats: dict[str, Any] = {}

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    @property
    def rows(self) -> int:
        return len(self.identities)


class TrackMetricsDocument(OlderRecord):
    metrics: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    @property
    def rows(self) -> int | None:
        return None


_COUNTS = ("detections", "tracks", "faces", "identities")


class MarkerDocument(OlderRecord):
    phase: Text | None = None
    status: Text | None = None
    run_id: Text | None = None
    started_at: Text | None = None
    finished_at: Text | None = None
    requested_device: Text | None = None
    resolved_device: Text | None = None
    zero_rows: bool | None = None
    detections: int | None = None
    tracks: int | None = None
    faces: int | None = None
    identities: int | None = None

    @property
    def rows(self) -> int | None:
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """Raises `ValueError` for a time that is none."""
        return {
            "status": marker_status(self.status),
            "started_at": _time(self.started_at),
            "finished_at": _time(self.finished_at),
            "requested_device": self.requested_device,
            "resolved_device": self.resolved_device,
            "zero_rows": self.zero_rows,
            "counts": {name: value for name in _COUNTS if (value := getattr(self, name)) is not None},
        }


class ActiveRunDocument(OlderRecord):
    """Names the run below `runs/` that counts."""

    run_id: Text

    @property
    def facts(self) -> dict[str, Any]:
        return {"run_id": self.run_id}

    @property
    def rows(self) -> int | None:
        return None


Document = IdentitiesDocument | TrackMetricsDocument | MarkerDocument | ActiveRunDocument


@dataclass(frozen=True, slots=True)
class OlderFile:
    """`record`: of each line of a JSONL file, or of the whole document. `is_main`: the stage's manifest."""

    name: str
    record: type[OlderRecord]
    stage: Stage | None = None
    kind: ArtifactKind | None = None
    is_main: bool = False

    @property
    def is_lines(self) -> bool:
        return self.name.endswith(".jsonl")

    @property
    def is_marker(self) -> bool:
        return self.record is MarkerDocument


ACTIVE_RUN = "active_run.json"
_K, _S = ArtifactKind, Stage
OLDER_FILES: Mapping[str, OlderFile] = {
    file.name: file
    for file in (
        OlderFile("detections.jsonl", DetectionRecord, _S.DETECT_TRACK, _K.DETECTIONS),
        OlderFile("tracks.jsonl", TrackRecord, _S.DETECT_TRACK, _K.TRACKS, is_main=True),
        OlderFile("faces.jsonl", FaceRecord, _S.FACES_EMBED, _K.FACES, is_main=True),
        OlderFile("identities.json", IdentitiesDocument, _S.CLUSTER, _K.IDENTITIES, is_main=True),
        OlderFile("track_metrics.json", TrackMetricsDocument, _S.CLUSTER, _K.TRACK_METRICS),
        *(OlderFile(f"{stage}.json", MarkerDocument, stage) for stage in STAGE_ORDER),
        OlderFile(ACTIVE_RUN, ActiveRunDocument),
    )
}


def _time(text: str | None) -> str | None:
    """RFC 3339 in UTC; the older system wrote times without an offset in UTC."""
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
