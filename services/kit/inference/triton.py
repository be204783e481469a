"""A Triton Inference Server: KServe's v2 protocol over gRPC.

A model is used only after the server has said that it is the catalog's (digest, names, dtypes, shapes) and that
its instances run where they were asked to. What Triton does not tell is where each graph node runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic, perf_counter, sleep
from typing import Any, TypeVar

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

from services.kit.errors import AcceleratorUnavailable, InferenceUnavailable, ModelUnusable, StageFailed
from services.kit.inference.buckets import MAX_BATCH
from services.kit.inference.catalog import Catalog, CatalogEntry
from services.kit.inference.placement import Placement, Provider, triton_fault, unavailable
from services.kit.inference.session import BatchedSession, Session, Tensor, TensorSpec, tiny_feeds
from services.kit.inference.signature import signature_fault, takes_batches

log = logging.getLogger(__name__)

T = TypeVar("T")

DIGEST_PARAMETER = "sha256"
_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 1.0
_UNLIMITED_BYTES = (1 << 31) - 1
_CHANNEL_ARGS = [("grpc.max_send_message_length", _UNLIMITED_BYTES), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class TritonOptions:
    """`url`: `host:port` of the gRPC endpoint. `deadline_s` bounds one call, `retry_for_s` all its tries."""

    url: str
    deadline_s: float = 30.0
    retry_for_s: float = 5.0


@dataclass(frozen=True, slots=True)
class TritonStatistics:
    """Fewer executions than items: the server has put requests or images together."""

    items: int
    executions: int
    failures: int


class TritonClient:
    """Calls with a deadline, made again only when the server was not there to hear them."""

    def __init__(self, options: TritonOptions) -> None:
        self.options = options
        self._client = grpcclient.InferenceServerClient(options.url, channel_args=list(_CHANNEL_ARGS))

    def server_name(self, model: str) -> str:
        """`model` is what it is asked for. Raises `InferenceUnavailable`."""
        found = self._call(model, self._client.get_server_metadata)
        return f"{found.name} {found.version}"

    def metadata(self, model: str) -> Any:
        """Raises `ModelUnusable` for a model that the server does not serve, `InferenceUnavailable`."""
        return self._call(model, lambda **kw: self._client.get_model_metadata(model, **kw))

    def config(self, model: str) -> Any:
        """The configuration in effect. Raises as `metadata` does."""
        return self._call(model, lambda **kw: self._client.get_model_config(model, **kw)).config

    def statistics(self, model: str) -> TritonStatistics:
        """What the server has counted since it loaded the model. Raises as `metadata` does."""
        answer = self._call(model, lambda **kw: self._client.get_inference_statistics(model, **kw))
        found = answer.model_stats[0]
        return TritonStatistics(
            items=int(found.inference_count),
            executions=int(found.execution_count),
            failures=int(found.inference_stats.fail.count),
        )

    def infer(self, model: str, feeds: Mapping[str, Tensor], outputs: list[str]) -> dict[str, Tensor]:
        """Raises `StageFailed` for what the server refuses, `ModelUnusable`, `InferenceUnavailable`."""
        inputs = [_input(name, values) for name, values in feeds.items()]
        wanted = [grpcclient.InferRequestedOutput(name) for name in outputs]
        result = self._call(model, lambda **kw: self._client.infer(model, inputs, outputs=wanted, **kw))
        return {name: result.as_numpy(name) for name in outputs}

    def close(self) -> None:
        self._client.close()

    def _call(self, subject: str, call: Callable[..., T]) -> T:
        give_up_at, delay_s = monotonic() + self.options.retry_for_s, _FIRST_RETRY_S
        while True:
            try:
                return call(client_timeout=self.options.deadline_s)
            except InferenceServerException as error:
                if not _is_passing(error) or monotonic() + delay_s > give_up_at:
                    raise self._in_words(error, subject) from error
                log.info("Triton at %s: %s; again in %.2f s", self.options.url, error.message(), delay_s)
            sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_RETRY_S)

    def _in_words(self, error: InferenceServerException, subject: str) -> Exception:
        status, said = _status(error), f"Triton at {self.options.url}: {error.message()}"
        if status == "NOT_FOUND" and not _is_passing(error):
            return ModelUnusable(
                f"Triton at {self.options.url} does not serve {subject}: {error.message()}",
                hint="screenalytics models triton-repository writes a repository with it",
            )
        if status in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "NOT_FOUND"):
            return InferenceUnavailable(
                f"{said} (asked for {subject})",
                hint="is it running, and is SCREENALYTICS_TRITON__URL its gRPC port?",
            )
        return StageFailed(f"{said} ({subject})")


class TritonSession:
    """One model of a server; made by `TritonRuntime.open`, which has verified it."""

    def __init__(self, client: TritonClient, entry: CatalogEntry, requested: Provider, runtime: str) -> None:
        self._client = client
        self._entry = entry
        metadata = client.metadata(entry.name)
        self._inputs = tuple(_spec(tensor) for tensor in metadata.inputs)
        self._outputs = tuple(_spec(tensor) for tensor in metadata.outputs)
        self._output_names = [spec.name for spec in self._outputs]
        self._placement = Placement(requested, requested, runtime, device="")

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    @property
    def placement(self) -> Placement:
        return self._placement

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._client.infer(self._entry.name, feeds, self._output_names)

    def verify(self) -> None:
        """Raises `ModelUnusable` as well, when the server has since loaded another model by the name."""
        self._require_catalogs_model()
        self._require_instances(self._client.config(self._entry.name))
        try:
            self.run(tiny_feeds(self._inputs))
        except StageFailed as error:
            tried = "one tiny inference"
            provider = self._placement.effective
            raise unavailable(provider, error.message, tried=tried, model=self._entry.name) from error

    def placed(self, *, reason: str = "") -> TritonSession:
        """Verified and warm. Raises as `verify` does."""
        started = perf_counter()
        self.verify()
        config = self._client.config(self._entry.name)
        self._placement = replace(
            self._placement,
            device=_instances_in_words(config),
            reason=reason,
            warm_up_s=round(perf_counter() - started, 3),
        )
        return self

    def on_cpu(self) -> None:
        self._placement = replace(self._placement, effective=Provider.CPU)

    def max_batch(self) -> int:
        """0: the server adds no batch axis to the model."""
        return int(self._client.config(self._entry.name).max_batch_size)

    def _require_catalogs_model(self) -> None:
        name, config = self._entry.name, self._client.config(self._entry.name)
        found = (
            config.parameters[DIGEST_PARAMETER].string_value if DIGEST_PARAMETER in config.parameters else ""
        )
        if found != self._entry.sha256:
            raise ModelUnusable(
                f"Triton's model {name} is not the catalog's: its parameter {DIGEST_PARAMETER} is "
                f"{found or 'missing'}, expected {self._entry.sha256}",
                hint="write its repository anew: screenalytics models triton-repository",
            )
        if (fault := signature_fault(self._entry, self._inputs, self._outputs)) is not None:
            raise ModelUnusable(f"Triton's model {name} is not what its catalog entry describes: {fault}")

    def _require_instances(self, config: Any) -> None:
        provider = self._placement.effective
        fault = triton_fault(provider, [_kind_name(group) for group in config.instance_group])
        if fault is not None:
            raise unavailable(
                provider,
                fault,
                tried=f"the configuration in effect at {self._client.options.url}",
                model=self._entry.name,
                claimed=f"{self._placement.runtime} says that it is ready",
            )


class TritonRuntime:
    """Opens the catalog's models on a server. The threads of the server are the server's own matter."""

    def __init__(self, catalog: Catalog, options: TritonOptions) -> None:
        self._catalog = catalog
        self._client = TritonClient(options)

    def open(self, name: str, *, requested: Provider, allow_cpu: bool, threads: int) -> Session:
        """Raises `AcceleratorUnavailable`, `InferenceUnavailable`, and `ModelUnusable` for another model."""
        entry, runtime = self._catalog.entry(name), self._client.server_name(name)
        session = TritonSession(self._client, entry, requested, runtime)
        try:
            session.placed()
        except AcceleratorUnavailable as error:
            if requested is Provider.CPU or not allow_cpu:
                raise
            log.warning("using Triton on the CPU, as allowed: %s", error.message)
            session.on_cpu()
            session.placed(reason=error.message)
        if not takes_batches(entry, session.inputs, session.outputs):
            return session
        largest = session.max_batch() or getattr(entry, "max_batch", None) or MAX_BATCH
        return BatchedSession(session, largest, is_padded=session.placement.effective is Provider.CUDA)


def _input(name: str, values: Tensor) -> Any:
    contiguous = np.ascontiguousarray(values)
    tensor = grpcclient.InferInput(name, list(contiguous.shape), np_to_triton_dtype(contiguous.dtype))
    return tensor.set_data_from_numpy(contiguous)


def _spec(tensor: Any) -> TensorSpec:
    known = triton_to_np_dtype(tensor.datatype)
    dtype = np.dtype(known).name if known is not None else tensor.datatype
    return TensorSpec(tensor.name, dtype, tuple(int(size) if size > 0 else None for size in tensor.shape))


def _kind_name(group: Any) -> str:
    return str(group.Kind.Name(group.kind))


def _instances_in_words(config: Any) -> str:
    """Such as `KIND_GPU x1 (gpu 0)`."""
    groups = []
    for group in config.instance_group:
        devices = f" (gpu {', '.join(map(str, group.gpus))})" if group.gpus else ""
        groups.append(f"{_kind_name(group)} x{group.count}{devices}")
    return ", ".join(groups)


def _status(error: InferenceServerException) -> str:
    """Such as `UNAVAILABLE`; the client writes `StatusCode.UNAVAILABLE`."""
    return str(error.status() or "").rpartition(".")[2]


def _is_passing(error: InferenceServerException) -> bool:
    """A server that starts, is full, or is about to end has not begun on the request."""
    status = _status(error)
    return status == "UNAVAILABLE" or (status == "NOT_FOUND" and "no available versions" in error.message())
