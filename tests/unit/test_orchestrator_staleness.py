"""Staleness of each phase, as a table of cases: by digests where there are some, else by times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.kit.messages import ArtifactRef, ModelRef
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.fingerprint import Ingredients
from services.orchestrator.imported_phases import counting_files, imported_phases
from services.orchestrator.older_files import OLDER_FILES
from services.orchestrator.staleness import Made, Recorded, StaleReason, stale_phases
from services.orchestrator.status import PhaseFacts, PhaseResult, PhaseRun, Source, episode_status

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EPISODE = {"ep_id": "show", "episode_uid": "u1"}
DETECT, FACES, CLUSTER = STAGE_ORDER
MODEL = ModelRef("embedder", "one", "a" * 64)
MADE_OF = Ingredients(
    media_sha256="m", inputs=(ArtifactRef("tracks", "u", "t" * 64),), config={"stride": 5}, models=(MODEL,),
    algorithm_version=1,
)  # fmt: skip


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


# -- by digests --------------------------------------------------------------------------------------


def ours(finished_h: float = 0, **changed: Any) -> Made:
    """A result of ours, and what it would be made of now."""
    recorded = Recorded(MADE_OF.fingerprint(), MADE_OF.config, MADE_OF.models, MADE_OF.algorithm_version)
    return Made(at(finished_h), recorded=recorded, current=replace(MADE_OF, **changed))


@dataclass(frozen=True)
class DigestCase:
    name: str
    changed: dict[str, Any]
    reason: StaleReason | None


DIGEST_CASES = [
    DigestCase("fresh", {}, None),
    DigestCase("input re-run", {"inputs": (ArtifactRef("tracks", "u2", "0" * 64),)}, StaleReason.INPUTS),
    DigestCase("input re-run with the same output", {"inputs": (ArtifactRef("tracks", "u2", "t" * 64),)}, None),
    DigestCase("input gone", {"inputs": ()}, StaleReason.INPUTS),
    DigestCase("video replaced", {"media_sha256": "n"}, StaleReason.INPUTS),
    DigestCase("parameters changed", {"config": {"stride": 1}}, StaleReason.PARAMETERS),
    DigestCase("model changed", {"models": (ModelRef("embedder", "one", "b" * 64),)}, StaleReason.MODELS),
    DigestCase("model renamed, same file", {"models": (ModelRef("embedder", "uno", "a" * 64),)}, None),
    DigestCase("algorithm changed", {"algorithm_version": 2}, StaleReason.ALGORITHM),
]


@pytest.mark.parametrize("case", DIGEST_CASES, ids=lambda case: case.name)
def test_digests_decide_and_name_the_reason(case: DigestCase) -> None:
    assert stale_phases({FACES: ours(**case.changed)}).get(FACES) == case.reason


def test_an_upgrade_of_the_product_makes_nothing_stale() -> None:
    """No release number is an ingredient: the fingerprint is a function of these alone."""
    assert set(Ingredients.__dataclass_fields__) == {
        "media_sha256", "inputs", "config", "models", "algorithm_version", "decisions_revision",
    }  # fmt: skip


def test_times_do_not_matter_where_digests_are_known() -> None:
    assert stale_phases({DETECT: ours(5), FACES: ours(1), CLUSTER: ours(-3)}) == {}


def test_what_was_made_from_something_stale_is_stale() -> None:
    stale = stale_phases({DETECT: ours(), FACES: ours(config={"stride": 1}), CLUSTER: ours()})
    assert stale == {FACES: StaleReason.PARAMETERS, CLUSTER: StaleReason.INPUT_IS_STALE}


def test_a_phase_of_ours_after_imported_ones_makes_those_stale() -> None:
    older = Made(at(1))
    assert stale_phases({DETECT: ours(2), FACES: older}) == {FACES: StaleReason.OLDER_THAN_INPUT}


# -- imported, by times ------------------------------------------------------------------------------


def file(name: str, mtime_h: float, *, rows: int | None = 3, run_key: str = "", **facts: Any) -> dict[str, Any]:
    """A row of `imported_files`."""
    kind = OLDER_FILES[name]
    return {
        "name": name, "stage": kind.stage, "kind": kind.kind, "run_key": run_key, "modified_at": at(mtime_h),
        "rows": rows if kind.kind is not None and name != "track_metrics.json" else None, "facts": facts,
    }  # fmt: skip


def marker(stage: Stage, finished_h: float | None, mtime_h: float = 50, **facts: Any) -> dict[str, Any]:
    """Its file's own time is late, so that nothing can be right by using it."""
    finished_at = None if finished_h is None else at(finished_h).isoformat()
    facts = {"status": "success", "finished_at": finished_at, "counts": {}} | facts
    run_key = str(facts.pop("run_key", ""))
    return file(f"{stage}.json", mtime_h, run_key=run_key, **facts)


def shown(*files: dict[str, Any]) -> dict[str, Any]:
    return episode_status(EPISODE, imported_phases(files))


TRACKS = [file("detections.jsonl", 1), file("tracks.jsonl", 1)]


@dataclass(frozen=True)
class ImportCase:
    """`expected`: status of detect_track, faces_embed and cluster."""

    name: str
    files: list[dict[str, Any]]
    expected: tuple[str, str, str]
    tracks_only: bool = False


IMPORT_CASES = [
    ImportCase("never run", [], ("missing", "missing", "missing")),
    ImportCase(
        "fresh by mtimes, no markers",
        [*TRACKS, file("faces.jsonl", 2), file("identities.json", 3)],
        ("success", "success", "success"),
    ),
    ImportCase(
        "equal times are fresh",
        [*TRACKS, file("faces.jsonl", 1), file("identities.json", 1)],
        ("success", "success", "success"),
    ),
    ImportCase(
        "tracks newer than faces by mtime",
        [file("tracks.jsonl", 4), file("faces.jsonl", 2), file("identities.json", 5)],
        ("success", "stale", "stale"),
    ),
    ImportCase(
        "faces newer than clusters by mtime",
        [*TRACKS, file("faces.jsonl", 4), file("identities.json", 3)],
        ("success", "success", "stale"),
    ),
    ImportCase(
        "the marker's time comes before the file's: fresh although the file was copied later",
        [file("tracks.jsonl", 9), marker(DETECT, 1), file("faces.jsonl", 8), marker(FACES, 2)],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "the marker's time comes before the file's: stale although the file is older",
        [file("tracks.jsonl", 1), marker(DETECT, 3), file("faces.jsonl", 2), marker(FACES, 2)],
        ("success", "stale", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "a marker without a time leaves the file's",
        [file("tracks.jsonl", 3), marker(DETECT, None), file("faces.jsonl", 2), marker(FACES, None)],
        ("success", "stale", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "marker missing, output present",
        [file("tracks.jsonl", 1), file("faces.jsonl", 2), file("identities.json", 3), marker(DETECT, 1)],
        ("success", "success", "success"),
    ),
    ImportCase(
        "output missing, marker present and newest",
        [*TRACKS, file("faces.jsonl", 2), marker(CLUSTER, 3)],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "output missing, marker present and older than its input",
        [*TRACKS, file("faces.jsonl", 4), marker(CLUSTER, 3)],
        ("success", "success", "stale"),
        tracks_only=True,
    ),
    ImportCase(
        "output missing, marker of faces older than the tracks",
        [*TRACKS, marker(FACES, 0.5)],
        ("success", "stale", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "only track_metrics, newest",
        [*TRACKS, file("faces.jsonl", 2), file("track_metrics.json", 3)],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "only track_metrics, older than the faces",
        [*TRACKS, file("faces.jsonl", 4), file("track_metrics.json", 3)],
        ("success", "success", "stale"),
        tracks_only=True,
    ),
    ImportCase(
        "identities beside newer track_metrics: the manifest's time counts",
        [*TRACKS, file("faces.jsonl", 4), file("identities.json", 3), file("track_metrics.json", 5)],
        ("success", "success", "stale"),
    ),
    ImportCase("detections without tracks", [file("detections.jsonl", 1)], ("partial", "missing", "missing")),
    ImportCase(
        "detections and not one track",
        [file("detections.jsonl", 1), file("tracks.jsonl", 1, rows=0)],
        ("partial", "missing", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "zero rows",
        [file("detections.jsonl", 1, rows=0), file("tracks.jsonl", 1, rows=0), file("faces.jsonl", 2, rows=0)],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "zero rows that left a marker alone",
        [marker(DETECT, 1, counts={"detections": 0}), marker(FACES, 2, zero_rows=True)],
        ("success", "success", "missing"),
    ),
    ImportCase(
        "the run failed, and an older output is there",
        [*TRACKS, file("faces.jsonl", 2), marker(FACES, 3, status="failed")],
        ("success", "failed", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "a marker that still says running, of a process that is gone",
        [*TRACKS, marker(DETECT, None, status="unknown")],
        ("success", "missing", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "a folder below runs/",
        [file("tracks.jsonl", 1, run_key="a"), file("faces.jsonl", 2, run_key="a")],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "two runs: faces were made from the tracks of another one",
        [
            file("tracks.jsonl", 1, run_key="a"), file("faces.jsonl", 3, run_key="a"),
            file("tracks.jsonl", 2, run_key="b"),
        ],
        ("success", "stale", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "two runs, and the one that is named counts",
        [
            file("tracks.jsonl", 1, run_key="a"), file("faces.jsonl", 3, run_key="a"),
            file("tracks.jsonl", 2, run_key="b"), file("active_run.json", 9, run_id="a"),
        ],
        ("success", "success", "missing"),
        tracks_only=True,
    ),
    ImportCase(
        "the named run left nothing",
        [*TRACKS, file("active_run.json", 9, run_id="gone")],
        ("success", "missing", "missing"),
        tracks_only=True,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", IMPORT_CASES, ids=lambda case: case.name)
def test_times_decide_where_there_are_no_digests(case: ImportCase) -> None:
    status = shown(*case.files)
    assert tuple(status["phases"][stage]["status"] for stage in STAGE_ORDER) == case.expected
    assert status["faces_stale"] is (case.expected[1] == "stale")
    assert status["cluster_stale"] is (case.expected[2] == "stale")
    assert status["tracks_only_fallback"] is case.tracks_only


def test_a_failed_run_does_not_make_an_older_output_look_new() -> None:
    status = shown(file("tracks.jsonl", 2.5), file("faces.jsonl", 2), marker(FACES, 3, status="failed"))
    assert status["phases"]["faces_embed"]["status"] == "failed"
    assert status["faces_stale"]


def test_an_imported_phase_says_where_it_comes_from_and_when_it_ran() -> None:
    detail = {"started_at": at(0).isoformat(), "requested_device": "cuda", "resolved_device": "cpu"}
    phase = shown(*TRACKS, marker(DETECT, 1, **detail))["phases"]["detect_track"]
    assert (phase["source"], phase["manifest_exists"], phase["zero_rows"]) == ("imported", True, False)
    assert (phase["finished_at"], phase["last_run_at"]) == (at(1).isoformat(), at(1).isoformat())
    assert (phase["requested_device"], phase["resolved_device"], phase["runtime_s"]) == ("cuda", "cpu", 3600)


def test_an_output_without_its_marker_has_run_when_it_was_written() -> None:
    phase = shown(file("tracks.jsonl", 1))["phases"]["detect_track"]
    assert (phase["finished_at"], phase["last_run_at"]) == (None, at(1).isoformat())


def test_only_the_files_that_count_are_shown() -> None:
    old, new = file("tracks.jsonl", 1, run_key="a"), file("tracks.jsonl", 2, run_key="b")
    assert counting_files([old, new]) == [new]
    assert counting_files([old, new, file("active_run.json", 9, run_id="a")]) == [old]


# -- what is under way -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_phase_that_runs_now_is_shown_as_that_and_the_older_result_is_known_to_be_stale(status: str) -> None:
    result = PhaseResult(ours(config={"stride": 1}), Source.MARKER, has_output=True)
    shown = episode_status(EPISODE, {FACES: PhaseFacts(PhaseRun(status), result)})
    assert shown["phases"]["faces_embed"]["status"] == status
    assert shown["faces_stale"]


def test_an_input_that_runs_now_makes_nothing_stale_yet() -> None:
    running = PhaseFacts(PhaseRun("running"), PhaseResult(ours(), Source.MARKER, has_output=True))
    done = PhaseFacts(PhaseRun("success"), PhaseResult(ours(), Source.MARKER, has_output=True))
    shown = episode_status(EPISODE, {DETECT: running, FACES: done})
    assert shown["phases"]["faces_embed"]["status"] == "success"
