"""The sessions of one worker: opened once per model, verified, and kept warm."""

from __future__ import annotations

from services.kit.errors import ModelUnusable
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session
from services.kit.messages import ModelPlacement, ModelRef


class ModelPool:
    """All models of a pool execute on one provider: the worker's route."""

    def __init__(self, catalog: Catalog, *, requested: Provider, allow_cpu: bool) -> None:
        self._catalog = catalog
        self._requested = requested
        self._allow_cpu = allow_cpu
        self._effective: Provider | None = None
        self._sessions: dict[str, tuple[int, Session]] = {}

    @property
    def requested(self) -> Provider:
        return self._requested

    @property
    def route(self) -> Provider:
        """What the models really run on; the requested provider until one is open."""
        return self._effective or self._requested

    def warm(self, roles: tuple[str, ...], *, threads: int) -> None:
        """Opens the default model of each role. Raises `AcceleratorUnavailable`, `ModelUnusable`."""
        for role in roles:
            self.session(self._catalog.ref(self._catalog.default(role)), threads=threads)

    def matches(self, ref: ModelRef) -> bool:
        """Whether this worker's catalog means the same file by that name."""
        try:
            return self._catalog.ref(ref.name) == ref
        except ModelUnusable:
            return False

    def session(self, ref: ModelRef, *, threads: int) -> Session:
        """Raises `AcceleratorUnavailable`, and `ModelUnusable` when `ref` means another file."""
        if not self.matches(ref):
            raise ModelUnusable(f"model {ref.name} of the task is not the one in this worker's catalog")
        held = self._sessions.get(ref.name)
        if held is None or held[0] != threads:
            held = (threads, self._open(ref.name, threads))
            self._sessions[ref.name] = held
        return held[1]

    def _open(self, name: str, threads: int) -> Session:
        # Once the first model has settled the route, the rest must follow it.
        settled = self._effective is not None
        session = open_session(
            self._catalog.path(name),
            requested=self.route if settled else self._requested,
            allow_cpu=self._allow_cpu and not settled,
            threads=threads,
        )
        self._effective = session.placement.effective
        return session

    def placements(self) -> tuple[ModelPlacement, ...]:
        return tuple(self._placement(name, session) for name, (_, session) in sorted(self._sessions.items()))

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
