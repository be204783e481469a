"""One vector per track: the quality-weighted mean of its faces, without those that do not belong. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.clusterer.linkage import Indices, Vectors

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Prototypes:
    """`track_ids` int64 [T] ascending, and their `vectors` float32 [T, D] of unit length.

    `is_outlier` [N]: faces that were left out. `is_mixed` [T]: at least two faces that were left out look like
    each other, so the track has probably jumped from one person to another.
    """

    track_ids: Indices
    vectors: Vectors
    is_outlier: Mask
    is_mixed: Mask


def track_prototypes(
    embeddings: Vectors, track_ids: Indices, qualities: NDArray[np.float32], *, outlier_cosine: float
) -> Prototypes:
    """For N faces: unit `embeddings` [N, D], their `track_ids` [N] and `qualities` [N], 0..1."""
    tracks, starts = np.unique(np.sort(track_ids), return_index=True)
    by_track = np.split(np.argsort(track_ids, kind="stable"), starts[1:]) if len(tracks) else []
    vectors = np.empty((len(tracks), embeddings.shape[1]), np.float32)
    is_outlier = np.zeros(len(embeddings), bool)
    is_mixed = np.zeros(len(tracks), bool)
    for row, faces in enumerate(by_track):
        members, weights = embeddings[faces], qualities[faces]
        keeps = _agreeing(members, weights, outlier_cosine)
        vectors[row] = _mean_direction(members[keeps], weights[keeps])
        is_outlier[faces[~keeps]] = True
        is_mixed[row] = _has_second_person(members[~keeps], weights[~keeps], outlier_cosine)
    return Prototypes(tracks.astype(np.int64), vectors, is_outlier, is_mixed)


def _agreeing(members: Vectors, weights: NDArray[np.float32], cosine: float) -> Mask:
    """The faces within `cosine` of the track's robust centre; never none.

    The mean of two people lies between both, so the centre is first the face nearest to the mean (the medoid
    under cosine similarity), then the mean of the faces around that one.
    """
    medoid = members[(members @ _mean_direction(members, weights)).argmax()]
    near = members @ medoid >= cosine
    near |= (members == medoid).all(axis=1)  # for a cosine of one, which rounding may miss
    centre = _mean_direction(members[near], weights[near])
    agreeing: Mask = members @ centre >= cosine
    return agreeing if agreeing.any() else near


def _has_second_person(outliers: Vectors, weights: NDArray[np.float32], cosine: float) -> bool:
    return len(outliers) > 1 and int(_agreeing(outliers, weights, cosine).sum()) > 1


def _mean_direction(members: Vectors, weights: NDArray[np.float32]) -> Vectors:
    # A tiny floor keeps the mean defined when every quality is zero.
    total = (members * np.maximum(weights, 1e-6)[:, None]).sum(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(total))
    # Opposite vectors may cancel out; then the best face stands for all.
    direction = total / norm if norm > 1e-12 else members[weights.argmax()]
    return np.asarray(direction, np.float32)
