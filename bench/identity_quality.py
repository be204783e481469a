"""Scores the identities of one finished run against the truth of its episode; prints one JSON line.

    python bench/identity_quality.py --truth episode.json --artifacts DIR [--require 13 15] [--unscored P06]

DIR holds detections.parquet, tracks.parquet, scenes.parquet, identities.json and screen_time.parquet. The truth
is JSON with `fps`, `shots` (inclusive frames), `boxes` (rows of frame, person, x, y, w, h ...) and either
`persons` (with `main`) or `cast`; `ignore` boxes are optional. A track belongs to the person whose boxes most
of its own match (IoU >= 0.4); screen time of a person is the number of frames with a box of theirs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_MATCH_IOU = 0.4
_SCREEN_TIME_TOLERANCE = 0.10
_CUT_TOLERANCE_FRAMES = 1
_DISSOLVE_FRAMES = 12

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Truth:
    """`boxes`: per frame (person, x1, y1, x2, y2); person None for faces that are nobody's."""

    fps: float
    main: frozenset[str]
    boxes: Mapping[int, list[tuple[str | None, Box]]]
    cuts: tuple[int, ...]
    dissolves: tuple[range, ...]  # frames that show two shots at once

    def screen_time_s(self) -> dict[str, float]:
        frames: Counter[str] = Counter()
        for rows in self.boxes.values():
            frames.update({person for person, _ in rows if person})
        return {person: count / self.fps for person, count in sorted(frames.items())}


@dataclass(frozen=True)
class Run:
    detections: list[dict[str, Any]]
    identities: list[dict[str, Any]]
    cuts: tuple[int, ...]
    observed_s: Mapping[str, float]  # by identity


def read_truth(path: Path) -> Truth:
    record = json.loads(path.read_text("utf-8"))
    boxes: dict[int, list[tuple[str | None, Box]]] = defaultdict(list)
    for frame, person, x, y, w, h, *_ in record["boxes"]["rows"]:
        boxes[frame].append((person, (x, y, x + w, y + h)))
    for frame, x, y, w, h, *_ in record.get("ignore", {"rows": []})["rows"]:
        boxes[frame].append((None, (x, y, x + w, y + h)))
    transitions = [(s["start_frame"], s.get("transition_in") or s.get("transition")) for s in record["shots"]]
    return Truth(
        fps=record["fps"],
        main=_main_people(record),
        boxes=boxes,
        cuts=tuple(start for start, kind in transitions if kind == "cut"),
        dissolves=tuple(
            range(start - _DISSOLVE_FRAMES, start) for start, kind in transitions if kind == "dissolve"
        ),
    )


def _main_people(record: Mapping[str, Any]) -> frozenset[str]:
    if "persons" in record:
        return frozenset(name for name, person in record["persons"].items() if person["main"])
    return frozenset(member["person"] for member in record["cast"])


def read_run(folder: Path) -> Run:
    observed: dict[str, float] = defaultdict(float)
    for row in pq.read_table(folder / "screen_time.parquet").to_pylist():
        if row["kind"] == "observed":
            observed[row["identity_id"]] += row["end_ts"] - row["start_ts"]
    columns = ["frame_idx", "track_id", "bbox_xyxy"]
    return Run(
        detections=pq.read_table(folder / "detections.parquet", columns=columns).to_pylist(),
        identities=json.loads((folder / "identities.json").read_text("utf-8"))["identities"],
        cuts=tuple(f for f in pq.read_table(folder / "scenes.parquet")["start_frame_idx"].to_pylist() if f),
        observed_s=observed,
    )


def iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def match_tracks(truth: Truth, run: Run) -> dict[int, Counter[str | None]]:
    """Per track how many of its boxes match which person; None for a box that matches nobody's.

    In a dissolve the truth names a box after the shot, whosever face shines through: those frames are nobody's.
    """
    blended = {frame for frames in truth.dissolves for frame in frames}
    votes: dict[int, Counter[str | None]] = defaultdict(Counter)
    for row in run.detections:
        if row["track_id"] is None:
            continue
        scored = [
            (iou(tuple(row["bbox_xyxy"]), box), person) for person, box in truth.boxes.get(row["frame_idx"], [])
        ]
        best, person = max(scored, key=lambda pair: pair[0], default=(0.0, None))
        is_match = best >= _MATCH_IOU and row["frame_idx"] not in blended
        votes[row["track_id"]][person if is_match else None] += 1
    return votes


def score_cuts(truth: Truth, run: Run) -> dict[str, Any]:
    def near(frame: int, others: Iterable[int]) -> bool:
        return any(abs(frame - other) <= _CUT_TOLERANCE_FRAMES for other in others)

    missed = [cut for cut in truth.cuts if not near(cut, run.cuts)]
    extra = [cut for cut in run.cuts if not near(cut, truth.cuts)]
    false = [cut for cut in extra if not any(_within(cut, frames) for frames in truth.dissolves)]
    return {
        "found": len(truth.cuts) - len(missed),
        "missed": missed,
        "false": false,
        "dissolves": len(truth.dissolves),
        "dissolves_found": sum(any(_within(cut, frames) for cut in extra) for frames in truth.dissolves),
    }


def _within(cut: int, dissolve: range) -> bool:
    return dissolve.start - _CUT_TOLERANCE_FRAMES <= cut <= dissolve.stop + _CUT_TOLERANCE_FRAMES


def score(truth: Truth, run: Run) -> dict[str, Any]:
    votes = match_tracks(truth, run)
    owner = {track: _majority(counter) for track, counter in votes.items()}
    people = {i["identity_id"]: Counter(owner.get(t) for t in i["track_ids"]) for i in run.identities}
    named = {identity: Counter({p: n for p, n in c.items() if p}) for identity, c in people.items()}
    person_of = {identity: c.most_common(1)[0][0] for identity, c in named.items() if c}
    assigned = sum(c.total() for c in named.values())
    purity = sum(max(c.values(), default=0) for c in named.values()) / assigned if assigned else 1.0
    return {
        "identities_total": len(run.identities),
        "identities_main": sum(person in truth.main for person in person_of.values()),
        "identities_nobody": sum(not c for c in named.values()),
        "main_people": len(truth.main),
        "main_people_found": len(truth.main & set(person_of.values())),
        "mixed_identities": {i: dict(c) for i, c in named.items() if len(c) > 1},
        "mixed_tracks": {t: {str(p): n for p, n in c.items()} for t, c in votes.items() if _people(c) > 1},
        "weighted_purity": round(purity, 4),
        "screen_time": _screen_time(truth, run, person_of),
        "cuts": score_cuts(truth, run),
    }


def _majority(counter: Counter[str | None]) -> str | None:
    return counter.most_common(1)[0][0]


def _people(counter: Counter[str | None]) -> int:
    return sum(person is not None for person in counter)


def _screen_time(truth: Truth, run: Run, person_of: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    identities: dict[str, list[str]] = defaultdict(list)
    for identity, person in person_of.items():
        identities[person].append(identity)
    rows = {}
    for person, truth_s in truth.screen_time_s().items():
        ours_s = sum(run.observed_s.get(identity, 0.0) for identity in identities[person])
        rows[person] = {
            "truth_s": round(truth_s, 2),
            "ours_s": round(ours_s, 2),
            "ratio": round(ours_s / truth_s, 3),
            "identities": len(identities[person]),
        }
    return rows


def failures(result: Mapping[str, Any], truth: Truth, limits: tuple[int, int], unscored: set[str]) -> list[str]:
    low, high = limits
    found = []
    if not low <= result["identities_main"] <= high:
        found.append(f"{result['identities_main']} identities of main people, not {low} to {high}")
    if result["mixed_identities"]:
        found.append(f"mixed identities: {', '.join(result['mixed_identities'])}")
    for person in sorted(truth.main - unscored):
        ratio = result["screen_time"].get(person, {"ratio": 0.0})["ratio"]
        if abs(ratio - 1) > _SCREEN_TIME_TOLERANCE:
            found.append(f"screen time of {person} is {ratio:.0%} of the truth")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--artifacts", type=Path, required=True)
    parser.add_argument(
        "--require", type=int, nargs=2, metavar=("MIN", "MAX"), help="identities of main people"
    )
    parser.add_argument("--unscored", nargs="*", default=[], help="people whose screen time is only reported")
    options = parser.parse_args()
    truth = read_truth(options.truth)
    result = score(truth, read_run(options.artifacts))
    if options.require:
        result["failures"] = failures(result, truth, tuple(options.require), set(options.unscored))
    print(json.dumps(result))
    return 1 if result.get("failures") else 0


if __name__ == "__main__":
    sys.exit(main())
