"""Opening models in ONNX Runtime, in this process: each executes where it was asked to, or is refused."""

from __future__ import annotations

import logging
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import onnxruntime as ort

from services.kit.errors import AcceleratorUnavailable, ModelUnusable
from services.kit.inference.buckets import CPU_BATCH, MAX_BATCH
from services.kit.inference.catalog import Catalog, default_cache_dir
from services.kit.inference.distributions import refuse_two_runtimes
from services.kit.inference.ort_binding import DeviceBinding
from services.kit.inference.ort_session import OrtSession, judge, spec_of
from services.kit.inference.pixel_head import ready_to_run
from services.kit.inference.placement import (
    TENSORRT_EP,
    Placement,
    Provider,
    execution_provider,
    unavailable,
)
from services.kit.inference.session import BatchedSession, Session, tiny_feeds
from services.kit.inference.signature import signature_fault, takes_batches

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OrtOptions:
    """`gpu_mem_limit_bytes` bounds the arena on the device; None leaves all of its memory to the runtime."""

    device_id: int = 0
    gpu_mem_limit_bytes: int | None = None
    tensorrt: bool = False
    cache_dir: Path | None = None


class OrtRuntime:
    """Opens the catalog's models in this process."""

    def __init__(self, catalog: Catalog, options: OrtOptions | None = None) -> None:
        self._catalog = catalog
        self._options = options or OrtOptions()

    def open(self, name: str, *, requested: Provider, allow_cpu: bool, threads: int) -> Session:
        """Raises `AcceleratorUnavailable`, and `ModelUnusable` for a graph that its entry does not describe."""
        entry = self._catalog.entry(name)
        path = ready_to_run(self._catalog.path(name), entry, self._options.cache_dir or default_cache_dir())
        session = open_session(
            path,
            requested=requested,
            allow_cpu=allow_cpu,
            threads=threads,
            options=self._options,
            name=name,
        )
        if (fault := signature_fault(entry, session.inputs, session.outputs)) is not None:
            raise ModelUnusable(f"model {name} is not what its catalog entry describes: {fault}")
        if not takes_batches(entry, session.inputs, session.outputs):
            return session
        is_on_gpu = session.placement.effective is Provider.CUDA
        largest = (getattr(entry, "max_batch", None) or MAX_BATCH) if is_on_gpu else CPU_BATCH
        return BatchedSession(session, largest, is_padded=is_on_gpu)


def open_session(
    path: Path,
    *,
    requested: Provider,
    allow_cpu: bool,
    threads: int,
    options: OrtOptions | None = None,
    name: str | None = None,
) -> Session:
    """A warm session whose every node executes where `requested` says, or on the CPU if `allow_cpu`.

    Raises `AcceleratorUnavailable` with what was found, `ModelUnusable` for a file that is no usable graph.
    """
    refuse_two_runtimes()
    opening = _Opening(path, name or path.stem, threads, options or OrtOptions())
    try:
        return opening.on(requested)
    except AcceleratorUnavailable as error:
        if requested is Provider.CPU or not allow_cpu:
            raise
        log.warning("falling back to the CPU, as allowed: %s", error.message)
        return opening.on(Provider.CPU, requested=requested, reason=error.message)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What stays the same whichever provider is tried."""

    path: Path
    name: str
    threads: int
    options: OrtOptions

    def on(self, provider: Provider, *, requested: Provider | None = None, reason: str = "") -> OrtSession:
        is_on_gpu = provider is Provider.CUDA
        tensorrt = self.options.tensorrt and is_on_gpu
        said = _preloaded() if is_on_gpu else ""
        session = self._built(provider)
        placement = Placement(
            requested=requested or provider,
            effective=provider,
            runtime=f"onnxruntime {ort.__version__}",
            device=_device_name(provider, self.options.device_id),
            nodes=judge(session, provider, model=self.name, tensorrt=tensorrt, said=said),
            reason=reason,
            warm_up_s=self._warmed_up(session, provider),
        )
        session.disable_fallback()
        binding = DeviceBinding(session, "cuda", self.options.device_id) if is_on_gpu else None
        return OrtSession(session, placement, name=self.name, binding=binding, tensorrt=tensorrt)

    def _built(self, provider: Provider) -> ort.InferenceSession:
        try:
            # From bytes, so that a graph cannot make the runtime read other files as external data. No library
            # of custom operators is ever registered, so a graph that needs one does not load either.
            return ort.InferenceSession(
                self.path.read_bytes(),
                _session_options(self.threads),
                providers=_execution_providers(provider, self.options),
            )
        except Exception as error:  # the runtime raises opaque classes of its own
            if provider is Provider.CUDA and "CUDA" in str(error):
                tried = f"a session of ONNX Runtime {ort.__version__}"
                raise unavailable(provider, str(error), tried=tried, model=self.name) from error
            raise ModelUnusable(
                f"{self.path} is not a model that ONNX Runtime can load: {error}",
                hint="a model is one ONNX file: its weights inside, and only ONNX's own operators",
            ) from error

    def _warmed_up(self, session: ort.InferenceSession, provider: Provider) -> float:
        """Seconds of a first inference: a provider that only breaks when it is used breaks before any task."""
        feeds = tiny_feeds(tuple(spec_of(value) for value in session.get_inputs()))
        started = perf_counter()
        try:
            session.run(None, feeds)
        except Exception as error:  # the runtime raises opaque classes of its own
            if provider is Provider.CUDA:
                raise unavailable(provider, str(error), tried="a first inference", model=self.name) from error
            raise ModelUnusable(f"the model {self.name} does not run: {error}") from error
        return round(perf_counter() - started, 3)


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # a failed provider is judged by the placement, not by stderr
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _execution_providers(provider: Provider, options: OrtOptions) -> list[Any]:
    """The CPU is always listed, for the shape arithmetic that belongs there; the placement is judged after."""
    cpu = execution_provider(Provider.CPU)
    if provider is Provider.CPU:
        return [cpu]
    cuda: dict[str, str] = {
        "device_id": str(options.device_id),
        "use_tf32": "0",
        # The arena grows by what is asked for, not to the next power of two.
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    if options.gpu_mem_limit_bytes is not None:
        cuda["gpu_mem_limit"] = str(options.gpu_mem_limit_bytes)
    wanted: list[Any] = [(execution_provider(provider), cuda), cpu]
    return [(TENSORRT_EP, _tensorrt_options(options)), *wanted] if options.tensorrt else wanted


def _preloaded() -> str:
    """Loads NVIDIA's libraries from their wheels, where those are installed; says which cannot be loaded.

    The runtime prints that, on the stream that belongs to a command's result.
    """
    with redirect_stdout(StringIO()) as said:
        ort.preload_dlls()
    missing = re.findall(r"Failed to load (\S+):", said.getvalue())
    return f"cannot load {', '.join(dict.fromkeys(missing))}" if missing else ""


def _tensorrt_options(options: OrtOptions) -> dict[str, str]:
    cache = (options.cache_dir or default_cache_dir()) / "tensorrt"
    return {
        "device_id": str(options.device_id),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
    }


def _device_name(provider: Provider, device_id: int) -> str:
    return "cpu" if provider is Provider.CPU else f"cuda:{device_id}"
