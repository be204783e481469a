"""What the clusterer reads, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.clusterer.constraints import Observations
from services.clusterer.linkage import Indices, Vectors
from services.clusterer.screen_time import Presence, Shot, track_presence
from services.kit.artifacts import ArtifactKind, SceneFacts, read_table
from services.kit.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Tracks:
    """One row per track, ascending by id; times in seconds, `frame_count` in sampled frames."""

    track_id: Indices
    shot_idx: Indices
    first_ts: NDArray[np.float64]
    last_ts: NDArray[np.float64]
    frame_count: Indices


@dataclass(frozen=True, slots=True)
class Faces:
    """The accepted faces: row i belongs to `vectors[i]`, float32 [N, D] of unit length."""

    track_id: Indices
    quality: NDArray[np.float32]
    vectors: Vectors
    spaces: frozenset[str]


@dataclass(frozen=True, slots=True)
class Episode:
    facts: SceneFacts
    shots: Mapping[int, Shot]
    cut_frames: Indices  # the first frame of each shot
    tracks: Tracks
    observations: Observations
    faces: Faces

    def presences(self) -> dict[int, Presence]:
        """When each track is on screen, by track id."""
        seen = self.observations
        order = np.argsort(seen.track_id, kind="stable")
        ids, starts = np.unique(seen.track_id[order], return_index=True)
        times = np.split(seen.ts[order], starts[1:]) if len(ids) else []
        shot_of = dict(zip(self.tracks.track_id.tolist(), self.tracks.shot_idx.tolist(), strict=True))
        return {
            track: track_presence(ts, self.shots[shot_of[track]], self.facts.sample_period_s)
            for track, ts in zip(ids.tolist(), times, strict=True)
        }


def read_episode(path_of: Callable[[ArtifactKind], Path]) -> Episode:
    """Raises `InvalidRequest` for artifacts that are damaged or do not fit each other."""

    def table(kind: ArtifactKind) -> pa.Table:
        return read_table(path_of(kind), kind)

    scenes = table(ArtifactKind.SCENES)
    facts = SceneFacts.of(scenes)
    episode = Episode(
        facts=facts,
        shots=_shots(scenes, facts.duration_s),
        cut_frames=_column(scenes, "start_frame_idx"),
        tracks=_tracks(table(ArtifactKind.TRACKS)),
        observations=_observations(table(ArtifactKind.DETECTIONS)),
        faces=_faces(table(ArtifactKind.FACES), table(ArtifactKind.EMBEDDINGS)),
    )
    _check(episode)
    return episode


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table.column(name).to_numpy()
    return values


def _shots(scenes: pa.Table, duration_s: float) -> dict[int, Shot]:
    return {
        row["shot_idx"]: Shot(max(0.0, row["start_ts"]), min(duration_s, row["end_ts"]))
        for row in scenes.select(["shot_idx", "start_ts", "end_ts"]).to_pylist()
    }


def _tracks(table: pa.Table) -> Tracks:
    table = table.sort_by("track_id")
    return Tracks(
        *(_column(table, name) for name in ("track_id", "shot_idx", "first_ts", "last_ts", "frame_count"))
    )


def _observations(detections: pa.Table) -> Observations:
    seen = detections.filter(detections.column("track_id").is_valid())
    boxes = np.asarray(seen.column("bbox_xyxy").combine_chunks().flatten(), np.float32).reshape(-1, 4)
    return Observations(_column(seen, "frame_idx"), _column(seen, "track_id"), _column(seen, "ts"), boxes)


def _faces(faces: pa.Table, embeddings: pa.Table) -> Faces:
    spaces = frozenset(faces.column("space").unique().to_pylist())
    accepted = faces.filter(faces.column("face_id").is_valid()).sort_by("face_id")
    if accepted.column("face_id").to_pylist() != list(range(len(embeddings))):
        raise InvalidRequest(
            f"faces and embeddings do not fit: {len(accepted)} faces, {len(embeddings)} embeddings"
        )
    column = embeddings.column("embedding").combine_chunks()
    vectors = np.asarray(column.flatten(), np.float32).reshape(len(embeddings), column.type.list_size)
    return Faces(_column(accepted, "track_id"), _column(accepted, "quality"), vectors, spaces)


def _check(episode: Episode) -> None:
    known = set(episode.tracks.track_id.tolist())
    for what, ids in (("detections", episode.observations.track_id), ("faces", episode.faces.track_id)):
        if strangers := set(ids.tolist()) - known:
            raise InvalidRequest(f"{what} name tracks that do not exist: {sorted(strangers)[:5]}")
    if strangers := set(episode.tracks.shot_idx.tolist()) - set(episode.shots):
        raise InvalidRequest(f"tracks name shots that do not exist: {sorted(strangers)[:5]}")
