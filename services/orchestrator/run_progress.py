"""Progress of a stage run, from what its tasks have last said. Pure.

Segments are worked on by many at once, so a run shows the frames of all of them, and the time that is left at
the rate of all who work. Totals are known from the plan on, so that they do not grow while the work goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.kit.codec import from_dict
from services.kit.messages import MediaInfo, Segment
from services.kit.stages import TaskKind
from services.orchestrator.database import Row
from services.orchestrator.taskgraph import run_fraction

_ORDER = (TaskKind.PLAN, TaskKind.SEGMENT, TaskKind.STITCH, TaskKind.WHOLE)
_FRAMES = "frames"


def run_progress(tasks: Sequence[Row], info: MediaInfo | None) -> dict[str, Any] | None:
    """None until the first snapshot; `fps` where the unit is frames."""
    said = [task for task in tasks if task["progress"] is not None]
    if not said:
        return None
    kind = _kind_in_work(tasks, said)
    same = [task for task in tasks if task["kind"] == kind]
    newest = _newest([task for task in same if task["progress"]] or said)
    shown = _of_segments(same, newest, info) if kind is TaskKind.SEGMENT else dict(newest)
    facts = [(TaskKind(t["kind"]), t["state"] == "done", _fraction(t)) for t in tasks]
    fps = shown["rate"] if shown["unit"] == _FRAMES else None
    return {**shown, "fps": fps, "fraction": run_fraction(facts)}


def _kind_in_work(tasks: Sequence[Row], said: Sequence[Row]) -> TaskKind:
    """The first kind with an open task of which something was heard, else the last that was heard of."""
    for kind in _ORDER:
        same = [task for task in tasks if task["kind"] == kind]
        is_heard = any(task["progress"] is not None for task in same)
        if is_heard and any(task["state"] == "live" for task in same):
            return kind
    return max((TaskKind(task["kind"]) for task in said), key=_ORDER.index)


def _newest(said: Sequence[Row]) -> dict[str, Any]:
    """The snapshot to show: of an open task where there is one, the last that came in."""
    live = [task["progress"] for task in said if task["state"] == "live"]
    snapshots = live or [task["progress"] for task in said]
    return dict(max(snapshots, key=lambda snapshot: str(snapshot["at"])))


def _of_segments(tasks: Sequence[Row], newest: dict[str, Any], info: MediaInfo | None) -> dict[str, Any]:
    totals = [_total(task, newest, info) for task in tasks]
    done = sum(
        total if task["state"] == "done" else min(_done(task), total)
        for task, total in zip(tasks, totals, strict=True)
    )
    left, rate = sum(totals) - done, _rate(tasks)
    return {
        **newest,
        "done": done,
        "total": sum(totals),
        "rate": rate,
        "eta_s": left / rate if rate else None,
    }


def _total(task: Row, newest: dict[str, Any], info: MediaInfo | None) -> float:
    """What the worker says, else what the plan says, else as much as another segment's."""
    if task["progress"] is not None:
        return float(task["progress"]["total"])
    if info is not None and task["segment"] is not None:
        return float(info.expected_frames(from_dict(Segment, task["segment"])))
    return float(newest["total"])


def _rate(tasks: Sequence[Row]) -> float | None:
    """Of all open tasks that are worked on; one whose rate is not known yet goes like the others did."""
    known = [t["progress"]["rate"] for t in tasks if t["progress"] is not None and t["progress"]["rate"]]
    if not known:
        return None
    usual = sum(known) / len(known)
    live = [t["progress"] for t in tasks if t["state"] == "live" and t["progress"] is not None]
    return float(sum(p["rate"] if p["rate"] is not None else usual for p in live) if live else usual)


def _done(task: Row) -> float:
    return float(task["progress"]["done"]) if task["progress"] else 0.0


def _fraction(task: Row) -> float:
    return float(task["progress"]["fraction"]) if task["progress"] else 0.0
