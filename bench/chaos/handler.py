"""A stage handler that does every step of a stage in a moment, with small real artifacts, and keeps a journal.

How a task behaves follows from its episode's name: `slow-...` has a segment longer than the reaper's interval,
`sulk-...` too, and fails in a worker that was frozen; `crash-...`, `hang-...` and `memory-...` are poison.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from services.kit import bus
from services.kit.artifacts import JSON_KINDS, SCHEMAS, ArtifactKind, embeddings_schema, file_name, write_table
from services.kit.messages import ArtifactRef, MediaInfo, Segment
from services.kit.stages import STAGES, Done, Outcome, Reject, Stage, TaskContext, TaskKind

SEGMENTS = 2
NOOP_SEGMENTS = 20
# Every task of a job counts itself, so that a job's sums tell whether each was taken in exactly once.
COUNT = "chaos_tasks"
TASKS_OF_STAGE = {Stage.DETECT_TRACK: SEGMENTS + 2, Stage.FACES_EMBED: 1, Stage.CLUSTER: 1}
_SLOW = ("slow-", "sulk-")
_MEDIA = MediaInfo(640, 360, 25, 1, 4.0, "h264", 1, 12800, 100, first_pts=0)


@dataclass(frozen=True)
class TinyStage:
    """Implements `services.kit.stages.StageHandler`. `work_s`: the longest that an ordinary task takes."""

    stage: Stage
    journal_dir: Path
    work_s: float
    slow_s: float

    def roles(self) -> tuple[str, ...]:
        return ()

    def run(self, context: TaskContext) -> Outcome:
        task = context.task
        context.log(f"begins {task.kind} {task.ordinal} of {task.ep_id}")
        self._write(context, "start")
        _poison(context)
        is_slow = task.ep_id.startswith(_SLOW) and (task.kind, task.ordinal) == (TaskKind.SEGMENT, 0)
        longest_gap_s = _pass_time(context, self.slow_s if is_slow else random.uniform(0, self.work_s))
        if task.ep_id.startswith("sulk-") and longest_gap_s > bus.ACK_WAIT_S:
            return Reject("this worker was frozen")
        outcome = self._outcome(context)
        self._write(context, "end")
        return outcome

    def _outcome(self, context: TaskContext) -> Done:
        spec, kind = STAGES[self.stage], context.task.kind
        if kind == TaskKind.PLAN:
            segments = tuple(Segment(i, 100 * i, 100 * (i + 1)) for i in range(SEGMENTS))
            return Done(segments=segments, media_info=_MEDIA, counts={COUNT: 1})
        if kind == TaskKind.SEGMENT:
            return Done((_leave(context, ArtifactKind.SEGMENT_DETECTIONS),), counts={COUNT: 1})
        outputs = tuple(_leave(context, output) for output in spec.outputs)
        return Done(outputs, counts={COUNT: 1, spec.zero_rows_count: 1})

    def _write(self, context: TaskContext, event: str) -> None:
        """One line, whole or not at all: the process may be killed at any moment."""
        output = context.output_key("")
        line = {
            "at": time.time(),
            "pid": os.getpid(),
            "event": event,
            "ep_id": context.task.ep_id,
            "task_id": context.task.task_id,
            "attempt_id": output.rstrip("/").rpartition("/")[2],
        }
        with (self.journal_dir / "executions.jsonl").open("ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")


class NoopStage(TinyStage):
    """What is left when the work is taken out."""

    def run(self, context: TaskContext) -> Outcome:
        if context.task.kind == TaskKind.PLAN:
            self._write(context, "start")
            return Done(segments=tuple(Segment(i) for i in range(NOOP_SEGMENTS)))
        return Done()


def _pass_time(context: TaskContext, seconds: float) -> float:
    """The longest that this process stood still meanwhile, in seconds."""
    begun = before = time.monotonic()
    longest = 0.0
    while before < begun + seconds:
        context.tick()
        time.sleep(0.02)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    return longest


def _poison(context: TaskContext) -> None:
    match context.task.ep_id.partition("-")[0]:
        case "crash":
            context.log("about to crash")
            time.sleep(0.2)  # a line that was logged has left the process
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            context.log("about to hang")
            time.sleep(3600)
        case "memory":
            context.log("about to use all memory")
            hoard = [bytearray(64 << 20) for _ in range(10_000)]
            raise AssertionError(f"{len(hoard)} blocks of memory were to be had")


def _leave(context: TaskContext, kind: ArtifactKind) -> ArtifactRef:
    path = context.scratch_dir / file_name(kind)
    if kind in JSON_KINDS:
        path.write_text('{"identities": [], "stats": {}}')
    else:
        schema = embeddings_schema(4) if kind is ArtifactKind.EMBEDDINGS else SCHEMAS[kind]
        write_table(path, kind, schema.empty_table())
    stored = context.store.put_file(context.output_key(path.name), path)
    return ArtifactRef(kind, stored.key, stored.sha256, stored.size_bytes, 0)
