"""Identities and metrics of a small episode: three shots of 10 s, sampled every 0.2 s."""

from __future__ import annotations

import numpy as np
import pytest

from services.clusterer.constraints import Observations
from services.clusterer.episode import Episode, Faces, Tracks
from services.clusterer.identities import cast_of, identities_record, low_cohesion
from services.clusterer.metrics import cluster_metrics, id_switches, metrics_record, track_metrics
from services.clusterer.prototypes import track_prototypes
from services.clusterer.screen_time import Shot
from services.kit.artifacts import SceneFacts

ANNA, BEN = (1.0, 0.0), (0.0, 1.0)
SPACE = frozenset({"space"})
# (track, shot, first second, last second, who)
THREE_SHOTS = [
    (1, 0, 0.0, 9.8, ANNA),
    (2, 0, 2.0, 4.0, BEN),
    (3, 1, 10.0, 19.8, ANNA),
    (4, 2, 25.0, 29.8, ANNA),
]


def episode(tracks, *, duration_s=30.0, shots=3):
    times = [np.arange(first, last + 0.1, 0.2) for _, _, first, last, _ in tracks]
    ids = [np.full(len(ts), track[0]) for track, ts in zip(tracks, times, strict=True)]
    ts = np.concatenate([*times, np.empty(0)])
    return Episode(
        facts=SceneFacts(25.0, 5, 0.2, int(duration_s * 25), int(duration_s * 5), duration_s, 960, 540),
        shots={k: Shot(k * 10.0, min(duration_s, (k + 1) * 10.0)) for k in range(shots)},
        cut_frames=np.arange(shots) * 250,
        tracks=Tracks(
            np.array([track[0] for track in tracks], np.int64),
            np.array([track[1] for track in tracks], np.int64),
            np.array([track[2] for track in tracks], float),
            np.array([track[3] for track in tracks], float),
            np.array([len(ts) for ts in times], np.int64),
        ),
        observations=Observations(
            np.rint(ts * 25).astype(np.int64),
            np.concatenate([*ids, np.empty(0)]).astype(np.int64),
            ts,
            np.tile(np.array([0, 0, 50, 50], np.float32), (len(ts), 1)),
        ),
        faces=Faces(
            np.array([track[0] for track in tracks], np.int64),
            np.full(len(tracks), 0.9, np.float32),
            np.array([track[4] for track in tracks], np.float32).reshape(-1, 2),
            SPACE,
        ),
    )


def cast(film, labels, min_screen_time_s=0.5):
    faces = film.faces
    prototypes = track_prototypes(faces.vectors, faces.track_id, faces.quality, outlier_cosine=0.2)
    return cast_of(
        prototypes, np.array(labels, np.int64), faces, film.presences(), min_screen_time_s=min_screen_time_s
    )


def test_identities_are_numbered_by_screen_time():
    found = cast(episode(THREE_SHOTS), [1, 0, 1, 1])
    assert [(name, one.track_ids) for name, one in found.named()] == [("id_0001", (1, 3, 4)), ("id_0002", (2,))]
    assert [one.screen_time_s for one in found.identities] == pytest.approx([25.1, 2.2])


def test_equal_screen_times_are_ordered_by_first_appearance():
    film = episode([(1, 1, 12.0, 14.0, ANNA), (2, 0, 2.0, 4.0, BEN)])
    assert [one.track_ids for one in cast(film, [0, 1]).identities] == [(2,), (1,)]


def test_someone_seen_too_briefly_is_left_unassigned():
    film = episode([(1, 0, 2.0, 4.0, ANNA), (2, 0, 6.0, 6.2, BEN)])
    found = cast(film, [0, 1])
    assert [one.track_ids for one in found.identities] == [(1,)]
    assert [one.track_ids for one in found.brief] == [(2,)]
    assert cast(film, [0, 1], min_screen_time_s=0.0).brief == ()


def test_a_brief_track_of_someone_who_comes_back_counts():
    film = episode([(1, 0, 2.0, 4.0, ANNA), (2, 0, 6.0, 6.2, ANNA)])
    assert cast(film, [0, 0]).identities[0].screen_time_s == pytest.approx(2.6)


def test_cohesion_is_the_mean_cosine_to_the_mean():
    film = episode([(1, 0, 1.0, 3.0, ANNA), (2, 1, 11.0, 13.0, BEN)])
    one = cast(film, [0, 0]).identities[0]
    mean = np.array([1, 1]) / np.sqrt(2)
    assert one.cohesion == pytest.approx(np.mean([mean @ ANNA, mean @ BEN]))
    assert one.size == 2


def test_an_identity_less_alike_than_the_threshold_is_of_low_cohesion():
    film = episode([(1, 0, 1.0, 3.0, ANNA), (2, 1, 11.0, 13.0, BEN)])
    identities = cast(film, [0, 0]).identities  # cohesion is the root of one half
    assert low_cohesion(identities, 0.49) == 0
    assert low_cohesion(identities, 0.51) == 1


def test_the_record_names_every_field_that_users_know():
    film = episode(THREE_SHOTS)
    record = identities_record("ep", {"track_threshold": 0.35}, {"faces": 4}, cast(film, [1, 0, 1, 1]))
    assert record["ep_id"] == "ep"
    assert record["config"] == {"track_threshold": 0.35}
    assert record["identities"][1] == {
        "identity_id": "id_0002",
        "label": None,
        "track_ids": [2],
        "size": 1,
        "cohesion": 1.0,
        "rep_thumb_rel_path": None,
        "first_ts": 1.9,
        "last_ts": 4.1,
        "screen_time_s": 2.2,
        "bridged_s": 0.0,
    }


def test_nobody_is_a_valid_cast():
    film = episode([])
    assert cast(film, []).identities == ()
    assert cluster_metrics(()) == {"singleton_fraction": 0.0, "largest_cluster_fraction": 0.0}
    assert track_metrics(film)["tracks_per_minute"] == 0.0


def test_tracks_that_a_cut_ends_are_not_lost():
    metrics = track_metrics(episode(THREE_SHOTS))
    # 1 and 3 live until a cut, 2 leaves early, 4 lives until the end of the video.
    assert metrics["forced_splits"] == 2
    assert metrics["tracks_lost"] == 1


def test_track_counts_are_per_minute_of_video_and_short_means_under_a_second():
    film = episode([*THREE_SHOTS, (5, 2, 21.0, 21.4, BEN)])
    metrics = track_metrics(film)
    assert metrics["tracks_born"] == 5
    assert metrics["tracks_per_minute"] == 10.0
    assert metrics["short_track_fraction"] == 0.2


def test_a_person_who_goes_on_under_another_track_in_one_shot_is_a_switch():
    film = episode([(1, 0, 1.0, 3.0, ANNA), (2, 0, 4.0, 6.0, ANNA), (3, 1, 11.0, 13.0, ANNA)])
    assert id_switches(film.tracks, cast(film, [0, 0, 0]).identities) == 1
    assert id_switches(film.tracks, cast(film, [0, 1, 0]).identities) == 0


def test_the_metrics_record_counts_cuts_and_clusters():
    film = episode(THREE_SHOTS)
    record = metrics_record("ep", "2026-01-01T00:00:00Z", film, cast(film, [1, 0, 1, 1]).identities)
    assert record["scene_cuts"] == {"count": 2}
    assert record["cluster_metrics"] == {"singleton_fraction": 0.5, "largest_cluster_fraction": 0.75}
    assert set(record["metrics"]) == {
        "tracks_born",
        "tracks_lost",
        "id_switches",
        "forced_splits",
        "tracks_per_minute",
        "short_track_fraction",
    }
