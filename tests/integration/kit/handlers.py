"""Handlers for a real worker loop: one that does every step with empty artifacts, one that is held."""

from __future__ import annotations

import threading

from services.kit.artifacts import JSON_KINDS, SCHEMAS, ArtifactKind, embeddings_schema, file_name, write_table
from services.kit.messages import ArtifactRef, Segment
from services.kit.stages import STAGES, Done, Outcome, Stage, TaskContext


def leave(context: TaskContext, kind: ArtifactKind) -> ArtifactRef:
    """An empty artifact of that kind, through the real schema and the real store."""
    path = context.scratch_dir / file_name(kind)
    if kind in JSON_KINDS:
        path.write_text('{"identities": [], "stats": {}}')
    else:
        schema = embeddings_schema(4) if kind is ArtifactKind.EMBEDDINGS else SCHEMAS[kind]
        write_table(path, kind, schema.empty_table())
    stored = context.store.put_file(context.output_key(path.name), path)
    return ArtifactRef(kind, stored.key, stored.sha256, stored.size_bytes, 0)


def work(context: TaskContext) -> Outcome:
    """Every step of a stage, with empty artifacts and one row counted."""
    kind, spec = context.task.kind, STAGES[Stage(context.task.stage)]
    context.log(f"working on {kind} {context.task.ordinal}")
    context.progress(kind, 1, 1, "steps")
    if kind == "plan":
        return Done(segments=tuple(Segment(i) for i in range(3)))
    if kind == "segment":
        return Done((leave(context, ArtifactKind.SEGMENT_DETECTIONS),))
    return Done(tuple(leave(context, k) for k in spec.outputs), counts={spec.zero_rows_count: 1})


class Held:
    """A handler that ticks until it is released or cancelled."""

    def __init__(self, *, ticks: bool = True) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self._ticks = ticks

    def __call__(self, context: TaskContext) -> Outcome:
        self.entered.set()
        for _ in range(3_000):  # no test lasts a minute
            if self.release.wait(0.02):
                break
            if self._ticks:
                context.tick()
        return Done()

    async def is_entered(self) -> bool:
        return self.entered.is_set()
