"""A real stage context without a broker: a directory store, ONNX Runtime on the CPU, and what was said."""

from __future__ import annotations

from pathlib import Path

import psutil

from services.kit.artifacts import ArtifactKind, read_table
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session
from services.kit.messages import ArtifactRef, ModelRef, Task
from services.kit.object_store import ObjectStore
from services.kit.stages import Cancelled


def running_decoders() -> list[psutil.Process]:
    """The decoder processes of this process; other tests' servers are its children too."""
    return [c for c in psutil.Process().children() if "services.detector.decoder" in c.cmdline()]


class LocalContext:
    """Implements `services.kit.stages.TaskContext`; sessions are opened once and kept."""

    def __init__(
        self, task: Task, store: ObjectStore, scratch_dir: Path, catalog: Catalog, thread_cap: int = 1
    ) -> None:
        self.task = task
        self.store = store
        self.scratch_dir = scratch_dir
        self.thread_cap = thread_cap
        self.progress_log: list[tuple[str, float, float, str]] = []
        self.log_lines: list[str] = []
        self._catalog = catalog
        self._sessions: dict[str, Session] = {}
        self._is_cancelled = False

    def cancel(self) -> None:
        """From now on `tick` and `progress` raise `Cancelled`."""
        self._is_cancelled = True

    def session(self, model: ModelRef) -> Session:
        if model.name not in self._sessions:
            path = self._catalog.path(model.name)
            self._sessions[model.name] = open_session(
                path, requested=Provider.CPU, allow_cpu=True, threads=self.thread_cap
            )
        return self._sessions[model.name]

    def output_key(self, name: str) -> str:
        return f"{self.task.episode_uid}/{self.task.task_id}/{name}"

    def tick(self) -> None:
        if self._is_cancelled:
            raise Cancelled

    def progress(self, phase: str, done: float, total: float, unit: str) -> None:
        self.tick()
        self.progress_log.append((phase, done, total, unit))

    def log(self, message: str, *, level: str = "info", is_noisy: bool = False) -> None:
        self.log_lines.append(f"{level}: {message}")


def read_output(store: ObjectStore, outputs: tuple[ArtifactRef, ...], kind: ArtifactKind):  # type: ignore[no-untyped-def]
    """The only output of that kind, as a table."""
    (ref,) = [ref for ref in outputs if ref.kind == kind]
    path = store.local_path(ref.uri)
    assert path is not None
    return read_table(path, kind)
