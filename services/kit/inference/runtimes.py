"""Which runtime executes the models: the Triton server that was named, else ONNX Runtime in this process."""

from __future__ import annotations

from typing import Protocol

from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session
from services.kit.settings import InferenceSettings, ModelsSettings, TritonSettings


class Runtime(Protocol):
    def open(self, name: str, *, requested: Provider, allow_cpu: bool, threads: int) -> Session:
        """A warm session of the catalog's model, verified to be that model and to run where it was asked to.

        Raises `AcceleratorUnavailable`, `InferenceUnavailable`, `ModelUnusable`.
        """


class RuntimeSettings(Protocol):
    @property
    def inference(self) -> InferenceSettings: ...

    @property
    def triton(self) -> TritonSettings: ...

    @property
    def models(self) -> ModelsSettings: ...


def runtime_of(settings: RuntimeSettings, catalog: Catalog) -> Runtime:
    if settings.triton.url:
        from services.kit.inference.triton import TritonOptions, TritonRuntime  # noqa: PLC0415  gRPC's threads

        triton = settings.triton
        return TritonRuntime(
            catalog, TritonOptions(triton.url, deadline_s=triton.deadline_s, retry_for_s=triton.retry_for_s)
        )
    from services.kit.inference.ort import OrtOptions, OrtRuntime  # noqa: PLC0415  not beside Triton

    return OrtRuntime(
        catalog,
        OrtOptions(
            device_id=settings.inference.gpu_device_id,
            gpu_mem_limit_bytes=settings.inference.gpu_mem_limit_bytes,
            tensorrt=settings.inference.tensorrt,
            cache_dir=settings.models.cache_dir,
        ),
    )
