"""How far a student detector finds the faces that its teacher finds.

Recall: of the teacher's faces of at least LARGE_PX and at least SURE_SCORE, how many the student has above
STUDENT_SCORE. Precision: of the student's large faces above STUDENT_SCORE, how many the teacher has at
CONFIRMING_SCORE. Landmarks: mean distance in the teacher's eye distances, over the matched faces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.detector.families import Detections

LARGE_PX = 40
SURE_SCORE = 0.7
STUDENT_SCORE = 0.5  # the system's own threshold
CONFIRMING_SCORE = 0.3  # a teacher's face of at least this says that there is one
MATCH_IOU = 0.4


@dataclass(frozen=True)
class Agreement:
    wanted: int = 0
    found: int = 0
    shown: int = 0
    confirmed: int = 0
    landmark_errors: list[float] = field(default_factory=list)

    @classmethod
    def total(cls, parts: Iterable[Agreement]) -> Agreement:
        parts = list(parts)
        return cls(
            sum(p.wanted for p in parts),
            sum(p.found for p in parts),
            sum(p.shown for p in parts),
            sum(p.confirmed for p in parts),
            [error for p in parts for error in p.landmark_errors],
        )

    def figures(self) -> dict[str, float]:
        return {
            "teacher_faces": self.wanted,
            "recall": round(self.found / self.wanted, 4) if self.wanted else 1.0,
            "precision": round(self.confirmed / self.shown, 4) if self.shown else 1.0,
            "landmark_error": round(float(np.mean(self.landmark_errors)), 4) if self.landmark_errors else 0.0,
        }


def agree(teacher: Detections, student: Detections) -> Agreement:
    """Both in pixels of the same picture, the teacher's down to its lowest score of interest."""
    overlap = iou(teacher.boxes, student.boxes)
    sure = np.flatnonzero(_large(teacher.boxes) & (teacher.scores >= SURE_SCORE))
    shown = np.flatnonzero(_large(student.boxes) & (student.scores >= STUDENT_SCORE))
    good = student.scores >= STUDENT_SCORE
    matches = [
        (i, int((overlap[i] * good).argmax())) for i in sure if (overlap[i] * good).max(initial=0) >= MATCH_IOU
    ]
    return Agreement(
        wanted=len(sure),
        found=len(matches),
        shown=len(shown),
        confirmed=int((overlap[:, shown].max(axis=0, initial=0) >= MATCH_IOU).sum()),
        landmark_errors=[_landmark_error(teacher.landmarks[i], student.landmarks[j]) for i, j in matches],
    )


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, 4] and [M, 4] of x1 y1 x2 y2 -> [N, M]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-6), np.float32)


def _large(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) >= LARGE_PX)


def _landmark_error(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    eyes = np.linalg.norm(wanted[1] - wanted[0])
    return float(np.linalg.norm(wanted - got, axis=1).mean() / max(eyes, 1.0))
