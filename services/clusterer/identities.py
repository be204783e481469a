"""Identities from linked tracks, and the record users know as identities.json. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.clusterer.episode import Faces
from services.clusterer.linkage import Indices
from services.clusterer.prototypes import Mask, Prototypes
from services.clusterer.screen_time import Presence, joint_presence, total_s
from services.kit.artifacts import PIPELINE_VER


@dataclass(frozen=True, slots=True)
class Identity:
    """`size`: faces that count; `cohesion`: mean cosine of those faces to their mean direction, -1..1."""

    track_ids: tuple[int, ...]
    size: int
    cohesion: float
    presence: Presence

    @property
    def screen_time_s(self) -> float:
        return total_s(self.presence.observed)

    @property
    def first_ts(self) -> float:
        return float(self.presence.observed[0, 0])

    @property
    def last_ts(self) -> float:
        return float(self.presence.observed[-1, 1])


@dataclass(frozen=True, slots=True)
class Cast:
    """`identities` by screen time, longest first; `brief` are those too short to count, not in it."""

    identities: tuple[Identity, ...]
    brief: tuple[Identity, ...]

    def named(self) -> list[tuple[str, Identity]]:
        return [(f"id_{rank:04d}", identity) for rank, identity in enumerate(self.identities, start=1)]


def cast_of(
    prototypes: Prototypes,
    labels: Indices,
    faces: Faces,
    presences: Mapping[int, Presence],
    *,
    min_screen_time_s: float,
) -> Cast:
    """`labels` [T]: the cluster of each prototype's track.

    Someone seen for less than `min_screen_time_s` in all is left unassigned: that short, a detection on a
    sleeve and a face look the same, and nobody searches for either.
    """
    everyone = [
        _identity(prototypes.track_ids[labels == label], faces, prototypes.is_outlier, presences)
        for label in range(int(labels.max(initial=-1)) + 1)
    ]
    ordered = sorted(everyone, key=lambda one: (-round(one.screen_time_s, 6), one.first_ts, one.track_ids))
    lasting = tuple(one for one in ordered if one.screen_time_s >= min_screen_time_s)
    brief = tuple(one for one in ordered if one.screen_time_s < min_screen_time_s)
    return Cast(lasting, brief)


def _identity(
    track_ids: Indices, faces: Faces, is_outlier: Mask, presences: Mapping[int, Presence]
) -> Identity:
    members = faces.vectors[np.isin(faces.track_id, track_ids) & ~is_outlier]
    # The mean cosine of unit vectors to the direction of their mean is the length of that mean.
    cohesion = float(np.linalg.norm(members.mean(axis=0, dtype=np.float64)))
    presence = joint_presence([presences[track] for track in track_ids.tolist()])
    return Identity(tuple(track_ids.tolist()), len(members), cohesion, presence)


def low_cohesion(identities: Sequence[Identity], track_threshold: float) -> int:
    """Identities whose faces are less alike, pair by pair on average, than two tracks must be to link.

    The mean cosine over all pairs is the square of the cohesion.
    """
    limit = max(0.0, track_threshold) ** 0.5
    return sum(identity.cohesion < limit for identity in identities)


def identities_record(
    ep_id: str, config: Mapping[str, Any], stats: Mapping[str, int], cast: Cast
) -> dict[str, Any]:
    return {
        "ep_id": ep_id,
        "pipeline_ver": PIPELINE_VER,
        "config": dict(config),
        "stats": dict(stats),
        "identities": [_record(identity_id, identity) for identity_id, identity in cast.named()],
    }


def _record(identity_id: str, identity: Identity) -> dict[str, Any]:
    return {
        "identity_id": identity_id,
        "label": None,
        "track_ids": list(identity.track_ids),
        "size": identity.size,
        "cohesion": round(identity.cohesion, 4),
        "rep_thumb_rel_path": None,
        "first_ts": round(identity.first_ts, 4),
        "last_ts": round(identity.last_ts, 4),
        "screen_time_s": round(identity.screen_time_s, 4),
        "bridged_s": round(total_s(identity.presence.bridged), 4),
    }
