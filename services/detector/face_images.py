"""Images of faces cut from full frames: aligned chips for embedding, plain crops for looking at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from services.detector.families import Detections, Floats
from services.detector.quality import FaceQuality, measure_quality
from services.kit.alignment import (
    CHIP_PX,
    CHIP_TEMPLATE,
    Affine,
    Image,
    Points,
    similarity_transform,
    transform_points,
    warp,
)


@dataclass(frozen=True, slots=True)
class Chip:
    """`image`: uint8 [CHIP_PX, CHIP_PX, 3] BGR; `landmarks`: [5, 2] in chip pixels; `transform`: frame pixels
    to chip pixels; `face_px`: shorter side of the box in the frame."""

    image: Image
    landmarks: Points
    transform: Affine
    face_px: float
    quality: FaceQuality

    def row(self, detection_row: int, jpeg_quality: int) -> dict[str, Any]:
        """Of the artifact SEGMENT_CHIPS."""
        return {
            "detection_row": detection_row,
            "image": encode_jpeg(self.image, jpeg_quality),
            "chip_landmarks": self.landmarks.ravel(),
            "transform": self.transform.ravel(),
            "face_px": self.face_px,
            "sharpness": self.quality.sharpness,
            "contrast": self.quality.contrast,
            "pose_yaw": self.quality.yaw_deg,
            "pose_pitch": self.quality.pitch_deg,
            "pose_roll": self.quality.roll_deg,
            "quality": self.quality.score,
        }


def cut_chip(frame: Image, faces: Detections, i: int) -> Chip:
    """The aligned chip of face `i` of `frame` (uint8 [H, W, 3] BGR)."""
    landmarks, box = faces.landmarks[i], faces.boxes[i]
    transform = similarity_transform(landmarks, CHIP_TEMPLATE)
    image = warp(frame, transform, CHIP_PX)
    face_px = float((box[2:] - box[:2]).min())
    quality = measure_quality(image, landmarks, confidence=float(faces.scores[i]), face_px=face_px)
    return Chip(image, transform_points(landmarks, transform), transform, face_px, quality)


def crop(frame: Image, box: Floats) -> Image:
    """The pixels of `box` (x1 y1 x2 y2) that lie inside the frame; empty when none do."""
    height, width = frame.shape[:2]
    x1, y1 = np.clip(np.floor(box[:2]).astype(int), 0, [width, height])
    x2, y2 = np.clip(np.ceil(box[2:]).astype(int), 0, [width, height])
    return frame[y1:y2, x1:x2]


def encode_jpeg(image: Image, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
