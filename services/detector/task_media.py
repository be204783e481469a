"""The video of a task, as a file that may be opened."""

from __future__ import annotations

from dataclasses import replace

from services.detector.decode_protocol import MediaLimits
from services.detector.media import Media, open_media
from services.kit.stages import TaskContext


def task_media(context: TaskContext, limits: MediaLimits) -> Media:
    """The task's video under a name of ours. Raises `InvalidMedia`."""
    ref = context.task.media
    path = context.store.local_path(ref.uri)
    if path is None:
        path = context.scratch_dir / "media"
        context.store.fetch(ref.uri, path, sha256=ref.sha256, on_chunk=context.tick)
    stall_s = min(limits.stall_s, context.task.stall_s / 2)
    bounded = replace(limits, stall_s=stall_s)
    return open_media(path, ref.container, limits=bounded, threads=context.thread_cap)
