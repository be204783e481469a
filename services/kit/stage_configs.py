"""The effective config of each stage, as frozen at submit and carried by its tasks.

No field has a default: defaults belong to the profiles of the orchestrator, so that a value stands in one
place. A worker that receives an unknown or missing field refuses the task.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kit.errors import InvalidRequest
from services.kit.messages import canonical_json


class SceneDetector(StrEnum):
    OFF = "off"
    INTERNAL = "internal"
    PYSCENEDETECT = "pyscenedetect"


class StageConfig(BaseModel):
    # Neither JSON nor Postgres has a word for infinity.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Fields that cannot change the output, and so are no part of the fingerprint.
    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"thread_cap", "batch_size"})

    thread_cap: int = Field(ge=1, description="compute threads when the work runs on the CPU")
    batch_size: int = Field(ge=1, le=512, description="images per inference call")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `InvalidRequest`, naming the fields that do not fit."""
        try:
            return cls.model_validate(json.loads(text))
        except (ValidationError, ValueError) as error:
            raise InvalidRequest(f"not a {cls.__name__}: {error}") from error

    def to_json(self) -> str:
        return canonical_json(self.model_dump(mode="json"))

    def affecting_output(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=set(self.WITHOUT_EFFECT))


class DetectTrackConfig(StageConfig):
    detector: str = Field(description="catalog name of the face detector")
    stride: int = Field(ge=1, le=250, description="detect in every n-th frame of the nominal frame rate")
    detector_long_side_px: int = Field(ge=128, le=4096)
    score_threshold: float = Field(ge=0, le=1, description="detections below are dropped")
    track_high_score: float = Field(ge=0, le=1, description="ByteTrack: first association and new tracks")
    track_match_iou: float = Field(ge=0, le=1)
    track_max_lost_s: float = Field(ge=0, le=60)
    nms_iou: float = Field(ge=0, le=1)
    scene_detector: SceneDetector
    cut_threshold: float = Field(
        gt=0, description="cut score, 0..255 scale, above which a frame may start a shot"
    )
    cut_ratio: float = Field(ge=1, description="and above this multiple of its neighbourhood's score")
    chips_per_track: int = Field(ge=1, le=100)
    chip_jpeg_quality: int = Field(ge=90, le=100)
    min_face_px: float = Field(ge=0, description="shorter side of a box, in frame pixels")
    segment_s: float = Field(gt=0, description="target length of a segment")
    save_frames: bool
    save_crops: bool
    jpeg_quality: int = Field(ge=1, le=100, description="of saved frames and crops")


class FacesEmbedConfig(StageConfig):
    embedder: str = Field(description="catalog name of the face embedder")
    min_confidence: float = Field(ge=0, le=1)
    min_sharpness: float = Field(ge=0, description="variance of the Laplacian of the grey chip")
    min_contrast: float = Field(ge=0, description="standard deviation of the grey chip, 0..255 scale")
    max_abs_yaw_deg: float = Field(gt=0, le=180)


class ClusterConfig(StageConfig):
    embedder: str = Field(description="catalog name of the embedder whose space the embeddings are in")
    track_threshold: float = Field(ge=-1, le=1, description="cosine below which two track clusters stay apart")
    outlier_cosine: float = Field(
        ge=-1, le=1, description="faces farther than this from their track's mean drop out"
    )
    min_screen_time_s: float = Field(ge=0, description="who is seen for less in all stays unassigned")
    block_rows: int = Field(ge=1, le=65_536, description="rows of one similarity block")
