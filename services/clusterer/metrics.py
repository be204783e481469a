"""The numbers of track_metrics.json: how steady the tracking was. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from services.clusterer.episode import Episode, Tracks
from services.clusterer.identities import Identity

# A track that a viewer would call a flicker.
_SHORT_TRACK_S = 1.0
# A track that was observed this near to its shot's end, in sampling steps, lived until it.
_STEPS_TO_END = 1.5


def track_metrics(episode: Episode) -> dict[str, float | int]:
    """Without the truth these are counts of what the tracker did, not errors measured against it.

    `tracks_born`: tracks. `tracks_lost`: tracks that ended before their shot did, because the face left or was
    no longer found. `forced_splits`: tracks that a cut ended, so that a person who stays on screen over it has
    two. `tracks_per_minute`: of video. `short_track_fraction`: share of tracks shorter than one second.
    """
    tracks, born = episode.tracks, len(episode.tracks.track_id)
    ends_at_cut, ends_early = _endings(episode)
    minutes = episode.facts.duration_s / 60
    length_s = tracks.last_ts - tracks.first_ts + episode.facts.sample_period_s
    return {
        "tracks_born": born,
        "tracks_lost": ends_early,
        "forced_splits": ends_at_cut,
        "tracks_per_minute": round(born / minutes, 3) if minutes > 0 else 0.0,
        "short_track_fraction": _share(int((length_s < _SHORT_TRACK_S).sum()), born),
    }


def _endings(episode: Episode) -> tuple[int, int]:
    """(tracks that lived until a cut, tracks that ended before their shot)."""
    last_shot = max(episode.shots, default=0)
    margin_s = _STEPS_TO_END * episode.facts.sample_period_s
    shot_end_s = np.array([episode.shots[shot].end_s for shot in episode.tracks.shot_idx.tolist()])
    lived = episode.tracks.last_ts >= shot_end_s - margin_s
    return int((lived & (episode.tracks.shot_idx != last_shot)).sum()), int((~lived).sum())


def id_switches(tracks: Tracks, identities: Sequence[Identity]) -> int:
    """How often one identity went on under another track id inside one shot."""
    row_of = {track: row for row, track in enumerate(tracks.track_id.tolist())}
    return sum(_switches(tracks, [row_of[track] for track in one.track_ids]) for one in identities)


def _switches(tracks: Tracks, rows: Sequence[int]) -> int:
    ordered = sorted(rows, key=lambda row: (tracks.shot_idx[row], tracks.first_ts[row]))
    return sum(
        bool(tracks.shot_idx[a] == tracks.shot_idx[b] and tracks.last_ts[a] < tracks.first_ts[b])
        for a, b in pairwise(ordered)
    )


def cluster_metrics(identities: Sequence[Identity]) -> dict[str, float]:
    """`singleton_fraction`: share of identities with one track; `largest_cluster_fraction`: share of all
    assigned tracks that the identity with the most tracks holds."""
    sizes = [len(identity.track_ids) for identity in identities]
    return {
        "singleton_fraction": _share(sizes.count(1), len(sizes)),
        "largest_cluster_fraction": _share(max(sizes, default=0), sum(sizes)),
    }


def metrics_record(
    ep_id: str, generated_at: str, episode: Episode, identities: Sequence[Identity]
) -> Mapping[str, Any]:
    return {
        "ep_id": ep_id,
        "generated_at": generated_at,
        "metrics": {**track_metrics(episode), "id_switches": id_switches(episode.tracks, identities)},
        "scene_cuts": {"count": max(0, len(episode.shots) - 1)},
        "cluster_metrics": cluster_metrics(identities),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
