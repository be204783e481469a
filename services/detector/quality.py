"""How usable an aligned face is for embedding: sharpness, contrast, size, confidence and pose.

The detector ranks chips by it, and what it measures goes with each chip, for the embedder to reject by.
Pose is a weak-perspective estimate from five landmarks, good for ranking (about 10 degrees), not a head-pose
measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from services.kit.alignment import CHIP_PX, Image, Points

_FULL_FACE_PX = 80.0  # at this size more pixels no longer help an embedder
_FULL_SHARPNESS = 150.0
_FULL_CONTRAST = 40.0


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """`sharpness`: variance of the Laplacian; `contrast`: grey standard deviation; poses in degrees."""

    sharpness: float
    contrast: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    score: float  # 0..1, the product of the five parts


def measure_quality(chip: Image, landmarks: Points, *, confidence: float, face_px: float) -> FaceQuality:
    """`chip` is uint8 [CHIP_PX, CHIP_PX, 3] BGR; `landmarks` [5, 2] are those of the face in the *frame*."""
    margin = CHIP_PX // 5
    grey = cv2.cvtColor(chip[margin:-margin, margin:-margin], cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    contrast = float(grey.std())
    yaw, pitch, roll = estimate_pose(landmarks)
    parts = (
        confidence,
        min(1.0, face_px / _FULL_FACE_PX),
        0.3 + 0.7 * min(1.0, sharpness / _FULL_SHARPNESS),
        0.3 + 0.7 * min(1.0, contrast / _FULL_CONTRAST),
        max(0.05, float(np.cos(np.radians(min(abs(yaw), 89.0))))),
    )
    return FaceQuality(sharpness, contrast, yaw, pitch, roll, float(np.prod(parts)))


def estimate_pose(landmarks: Points) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees from [5, 2] landmarks; yaw > 0 turns the nose to the image's right."""
    right_eye, left_eye, nose, right_mouth, left_mouth = landmarks.astype(np.float64)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across = left_eye - right_eye
    roll = float(np.degrees(np.arctan2(across[1], across[0])))
    down = mouth - eyes
    height = float(np.hypot(*down))
    if height < 1e-6:
        return 90.0, 0.0, roll
    down_unit = down / height
    right_unit = np.array([down_unit[1], -down_unit[0]])
    offset = nose - (eyes + mouth) / 2
    # The nose tip stands about 0.55 face heights before the eye-mouth plane.
    yaw = float(np.degrees(np.arcsin(np.clip(offset @ right_unit / (0.55 * height), -1, 1))))
    pitch = float(np.degrees(np.arcsin(np.clip(offset @ down_unit / (0.55 * height), -1, 1))))
    return yaw, pitch, roll
