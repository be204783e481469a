"""The stage cluster: tracks and faces in, identities, screen time and track metrics out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from services.clusterer.constraints import co_visible_tracks
from services.clusterer.episode import Episode, read_episode
from services.clusterer.identities import Cast, cast_of, identities_record, low_cohesion
from services.clusterer.linkage import Indices, average_linkage
from services.clusterer.metrics import metrics_record
from services.clusterer.prototypes import Prototypes, track_prototypes
from services.clusterer.similarity import session_similarity
from services.kit.artifacts import SCHEMAS, ArtifactKind
from services.kit.errors import InvalidRequest
from services.kit.inference.catalog import Catalog
from services.kit.messages import now_at
from services.kit.stage_configs import ClusterConfig
from services.kit.stages import Done, Outcome, Reject, Stage, TaskContext, TaskKind
from services.kit.task_files import input_path, store_json, store_table


@dataclass(frozen=True, slots=True)
class _Result:
    episode: Episode
    prototypes: Prototypes
    cast: Cast

    def stats(self, config: ClusterConfig) -> dict[str, int]:
        """`unassigned_tracks` belong to no identity: they have no face to compare, or were seen too briefly."""
        assigned = sum(len(identity.track_ids) for identity in self.cast.identities)
        outliers = self.prototypes.is_outlier
        return {
            "faces": len(outliers),
            "clusters": len(self.cast.identities),
            "mixed_tracks": int(self.prototypes.is_mixed.sum()),
            "outlier_tracks": len(set(self.episode.faces.track_id[outliers].tolist())),
            "low_cohesion_identities": low_cohesion(self.cast.identities, config.track_threshold),
            "unassigned_tracks": len(self.episode.tracks.track_id) - assigned,
            "brief_identities": len(self.cast.brief),
        }

    def counts(self, stats: Mapping[str, int]) -> dict[str, int]:
        return {
            "identities": stats["clusters"],
            "tracks_clustered": len(self.prototypes.track_ids),
            "unassigned_tracks": stats["unassigned_tracks"],
            "outlier_faces": int(self.prototypes.is_outlier.sum()),
            "screen_time_s": round(sum(identity.screen_time_s for identity in self.cast.identities)),
        }


class ClusterStage:
    """Implements `services.kit.stages.StageHandler`."""

    stage = Stage.CLUSTER

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def roles(self) -> tuple[str, ...]:
        return ("similarity",)  # the embedder is only named, as the space of the embeddings

    def run(self, context: TaskContext) -> Outcome:
        if context.task.kind != TaskKind.WHOLE:
            return Reject(f"{self.stage} has no task of kind {context.task.kind!r}", code="invalid-request")
        config = ClusterConfig.from_json(context.task.config_json)
        episode = read_episode(lambda kind: input_path(context, context.task.input_of(kind)))
        self._check_space(episode, config)
        result = _cluster(context, episode, config)
        return _write(context, result, config)

    def _check_space(self, episode: Episode, config: ClusterConfig) -> None:
        space = self._catalog.embedder(config.embedder).sha256
        if others := sorted(episode.faces.spaces - {space}):
            raise InvalidRequest(
                f"the faces were embedded by model {others[0][:12]}, not by {config.embedder} ({space[:12]})",
                hint="run faces_embed again with the embedder that cluster is to use",
            )


def _cluster(context: TaskContext, episode: Episode, config: ClusterConfig) -> _Result:
    faces = episode.faces
    context.progress("prototypes", 0, len(episode.tracks.track_id), "tracks")
    prototypes = track_prototypes(
        faces.vectors, faces.track_id, faces.quality, outlier_cosine=config.outlier_cosine
    )
    labels = _link(context, episode, prototypes, config)
    context.progress("link", len(labels), len(labels), "tracks")
    cast = cast_of(prototypes, labels, faces, episode.presences(), min_screen_time_s=config.min_screen_time_s)
    return _Result(episode, prototypes, cast)


def _link(context: TaskContext, episode: Episode, prototypes: Prototypes, config: ClusterConfig) -> Indices:
    context.progress("link", 0, len(prototypes.track_ids), "tracks")
    row_of = {track: row for row, track in enumerate(prototypes.track_ids.tolist())}
    apart = co_visible_tracks(episode.observations, episode.cut_frames)
    cannot_link = {(row_of[a], row_of[b]) for a, b in apart if a in row_of and b in row_of}
    session = context.session(context.task.model("similarity"))
    linkage = average_linkage(
        prototypes.vectors,
        threshold=config.track_threshold,
        similarity=session_similarity(session, context.tick),
        block_rows=config.block_rows,
        cannot_link=cannot_link,
    )
    context.log(
        f"{len(linkage.labels)} tracks with faces linked in {linkage.rounds} rounds, "
        f"{len(cannot_link)} pairs kept apart because they were seen together"
    )
    return linkage.labels


def _write(context: TaskContext, result: _Result, config: ClusterConfig) -> Done:
    ep_id, cast = context.task.ep_id, result.cast
    stats = result.stats(config)
    identities = identities_record(ep_id, config.model_dump(mode="json"), stats, cast)
    metrics = metrics_record(ep_id, now_at(), result.episode, cast.identities)
    context.log(
        f"{stats['clusters']} identities, {stats['unassigned_tracks']} tracks unassigned "
        f"({stats['brief_identities']} people seen for less than {config.min_screen_time_s:g} s)"
    )
    return Done(
        outputs=(
            store_json(context, ArtifactKind.IDENTITIES, identities, rows=len(cast.identities)),
            store_json(context, ArtifactKind.TRACK_METRICS, metrics, rows=1),
            store_table(context, ArtifactKind.SCREEN_TIME, _screen_time_table(cast)),
        ),
        counts=result.counts(stats),
    )


def _screen_time_table(cast: Cast) -> pa.Table:
    rows = [
        {"identity_id": identity_id, "kind": kind, "start_ts": start, "end_ts": end}
        for identity_id, identity in cast.named()
        for kind, start, end in identity.presence.rows()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[ArtifactKind.SCREEN_TIME])
