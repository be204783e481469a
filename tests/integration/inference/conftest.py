"""The same models behind both runtimes: ONNX Runtime in this process, and a real Triton server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from bench.triton_server import TritonServer, running_triton, what_is_missing
from services.cli.models.options import Backend, InstanceKind
from services.cli.models.triton_repository import write_repository
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import OrtRuntime
from services.kit.inference.runtimes import Runtime
from services.kit.inference.session import Session, Tensor
from services.kit.inference.triton import TritonOptions, TritonRuntime
from tests.conftest import skip_or_fail

MODELS = (
    "similarity",
    "face-detector",
    "face-embedder",
    "yunet-n",
    "yunet-2023mar",
    "scrfd-500m",
    "face-reidentification-retail-0095",
    "mobilefacenet-foamliu",
)

StartTriton = Callable[[Path], AbstractContextManager[TritonServer]]


def feeds_for(session: Session, items: int = 3) -> dict[str, Tensor]:
    """Random input of the session's own dtype; a fixed first axis stays as it is."""
    rng = np.random.default_rng(5)
    feeds: dict[str, Tensor] = {}
    for spec in session.inputs:
        shape = [size or (items if axis == 0 else 96) for axis, size in enumerate(spec.shape)]
        noise = rng.integers(0, 256, shape) if spec.dtype == "uint8" else rng.normal(size=shape)
        feeds[spec.name] = noise.astype(spec.dtype)
    return feeds


@pytest.fixture(scope="session")
def start_triton(tmp_path_factory: pytest.TempPathFactory) -> StartTriton:
    if missing := what_is_missing():
        skip_or_fail(missing)

    @contextmanager
    def start(repository: Path) -> Iterator[TritonServer]:
        with running_triton(repository, tmp_path_factory.mktemp("triton")) as server:
            yield server

    return start


@pytest.fixture(scope="session")
def catalog(models_dir: Path) -> Catalog:
    return Catalog.load(models_dir)


@pytest.fixture(scope="session")
def repository(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model of the tests, to run on the CPU."""
    folder = tmp_path_factory.mktemp("repository")
    write_repository(catalog, folder, list(MODELS), kind=InstanceKind.CPU, backend=Backend.PYTHON, threads=1)
    return folder


@pytest.fixture(scope="session")
def triton(start_triton: StartTriton, repository: Path) -> Iterator[TritonServer]:
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with start_triton(repository) as server:
        yield server


@pytest.fixture(scope="session")
def triton_runtime(triton: TritonServer, catalog: Catalog) -> TritonRuntime:
    return TritonRuntime(catalog, TritonOptions(triton.grpc_url, deadline_s=20, retry_for_s=1))


@pytest.fixture(params=["onnxruntime", "triton"])
def runtime(request: pytest.FixtureRequest, catalog: Catalog) -> Runtime:
    if request.param == "triton":
        found: Runtime = request.getfixturevalue("triton_runtime")
        return found
    return OrtRuntime(catalog)
