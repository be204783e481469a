"""The sessions of one worker: opened once per model, verified, and kept warm."""

from __future__ import annotations

import threading

from services.kit.errors import ModelUnusable
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import OrtRuntime
from services.kit.inference.placement import Provider
from services.kit.inference.runtimes import Runtime
from services.kit.inference.session import Observe, ObservedSession, Session
from services.kit.messages import ModelPlacement, ModelRef


class ModelPool:
    """All models of a pool execute on one provider: the worker's route. Thread-safe.

    `runtime` None is ONNX Runtime in this process; `observe` hears of every inference.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        requested: Provider,
        allow_cpu: bool,
        runtime: Runtime | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._catalog = catalog
        self._requested = requested
        self._allow_cpu = allow_cpu
        self._runtime = runtime or OrtRuntime(catalog)
        self._observe = observe
        self._effective: Provider | None = None
        self._sessions: dict[str, tuple[int, Session]] = {}
        self._opening = threading.Lock()

    @property
    def requested(self) -> Provider:
        return self._requested

    @property
    def route(self) -> Provider:
        """What the models really run on; the requested provider until one is open."""
        return self._effective or self._requested

    def default_models(self, roles: tuple[str, ...]) -> list[str]:
        return [self._catalog.default(role) for role in roles]

    def open_by_name(self, name: str, *, threads: int) -> ModelPlacement:
        """Where the model runs, now that it is open and warm.

        Raises `AcceleratorUnavailable`, `InferenceUnavailable`, `ModelUnusable`.
        """
        return self._placement(name, self.session(self._catalog.ref(name), threads=threads))

    def verify(self) -> None:
        """Where every open model runs, asked again, with a tiny inference. Raises as `open_by_name` does."""
        with self._opening:
            sessions = [session for _, session in self._sessions.values()]
        for session in sessions:
            session.verify()

    def matches(self, ref: ModelRef) -> bool:
        """Whether this worker's catalog means the same file by that name."""
        try:
            return self._catalog.ref(ref.name) == ref
        except ModelUnusable:
            return False

    def session(self, ref: ModelRef, *, threads: int) -> Session:
        """Raises as `open_by_name` does, `ModelUnusable` also when `ref` means another file."""
        if not self.matches(ref):
            raise ModelUnusable(f"model {ref.name} of the task is not the one in this worker's catalog")
        with self._opening:
            held = self._sessions.get(ref.name)
            if held is None or held[0] != threads:
                held = (threads, self._open(ref.name, threads))
                self._sessions[ref.name] = held
            return held[1]

    def _open(self, name: str, threads: int) -> Session:
        # Once the first model has settled the route, the rest must follow it.
        settled = self._effective is not None
        session = self._runtime.open(
            name,
            requested=self.route if settled else self._requested,
            allow_cpu=self._allow_cpu and not settled,
            threads=threads,
        )
        self._effective = session.placement.effective
        return session if self._observe is None else ObservedSession(session, name, self._observe)

    def placements(self) -> tuple[ModelPlacement, ...]:
        held = sorted(self._sessions.copy().items())
        return tuple(self._placement(name, session) for name, (_, session) in held)

    def _placement(self, name: str, session: Session) -> ModelPlacement:
        entry, placement = self._catalog.entry(name), session.placement
        return ModelPlacement(
            model=name,
            sha256=entry.sha256,
            requested=self._requested,
            effective=placement.effective,
            runtime=placement.runtime,
            device=placement.device,
            nodes=dict(placement.nodes),
            reason=placement.reason,
            licence=entry.licence,
        )
