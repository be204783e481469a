"""What a session promises, kept by ONNX Runtime in this process and by a real Triton server alike."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from services.kit.errors import AcceleratorUnavailable, ModelUnusable, StageFailed
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import OrtRuntime
from services.kit.inference.placement import Provider
from services.kit.inference.runtimes import Runtime
from services.kit.inference.session import Session
from services.kit.inference.signature import signature_fault
from services.kit.inference.triton import TritonRuntime
from tests.integration.inference.conftest import MODELS, feeds_for

HAS_GPU = Path("/dev/nvidiactl").exists()
EMBEDDER = "face-reidentification-retail-0095"


def opened(runtime: Runtime, name: str) -> Session:
    return runtime.open(name, requested=Provider.CPU, allow_cpu=False, threads=1)


@pytest.mark.parametrize("name", MODELS)
def test_both_runtimes_give_the_same_answers(
    catalog: Catalog, triton_runtime: TritonRuntime, name: str
) -> None:
    here, there = opened(OrtRuntime(catalog), name), opened(triton_runtime, name)
    feeds = feeds_for(here)
    ours, theirs = here.run(feeds), there.run(feeds)
    assert ours.keys() == theirs.keys()
    for output, value in ours.items():
        assert value.shape == theirs[output].shape
        np.testing.assert_allclose(theirs[output], value, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_session_is_what_its_catalog_entry_describes(catalog: Catalog, runtime: Runtime, name: str) -> None:
    session = opened(runtime, name)
    assert signature_fault(catalog.entry(name), session.inputs, session.outputs) is None


def test_a_session_says_where_it_runs(runtime: Runtime) -> None:
    placement = opened(runtime, EMBEDDER).placement
    assert (placement.requested, placement.effective) == (Provider.CPU, Provider.CPU)
    assert placement.runtime
    assert "cpu" in placement.device.lower()
    assert placement.warm_up_s > 0


def test_an_output_is_float32_and_its_axis_0_counts_the_images(runtime: Runtime) -> None:
    session = opened(runtime, EMBEDDER)
    for items in (1, 3, 64, 65):
        (values,) = session.run(feeds_for(session, items)).values()
        assert (values.dtype, values.shape) == (np.float32, (items, 256))


def test_a_large_batch_is_what_its_images_are_alone(runtime: Runtime) -> None:
    session = opened(runtime, EMBEDDER)
    feeds = feeds_for(session, 70)
    (together,) = session.run(feeds).values()
    name = session.inputs[0].name
    for row in (0, 63, 64, 69):
        (alone,) = session.run({name: feeds[name][row : row + 1]}).values()
        np.testing.assert_allclose(together[row], alone[0], atol=1e-4)


def test_input_of_a_wrong_shape_is_a_failed_stage_with_the_runtimes_reason(runtime: Runtime) -> None:
    session = opened(runtime, EMBEDDER)
    with pytest.raises(StageFailed, match=r"128|shape|dimension"):
        session.run({session.inputs[0].name: np.zeros((1, 3, 7, 7), np.uint8)})
    session.verify()


def test_input_of_a_wrong_dtype_is_a_failed_stage(runtime: Runtime) -> None:
    session = opened(runtime, EMBEDDER)
    with pytest.raises(StageFailed):
        session.run({session.inputs[0].name: np.zeros((1, 3, 128, 128), np.int64)})


def test_a_model_that_is_not_in_the_catalog_is_refused(runtime: Runtime) -> None:
    with pytest.raises(ModelUnusable, match="no model 'nobody'"):
        opened(runtime, "nobody")


def test_a_session_that_still_runs_is_verified(runtime: Runtime) -> None:
    opened(runtime, "yunet-n").verify()


def test_threads_may_share_a_session(runtime: Runtime) -> None:
    session = opened(runtime, "similarity")
    wrong: list[int] = []

    def work(seed: int) -> None:
        rows = np.random.default_rng(seed).normal(size=(seed + 2, 16)).astype(np.float32)
        for _ in range(20):
            found = session.run({"rows": rows, "columns": rows})["similarities"]
            if not np.allclose(found, rows @ rows.T, atol=1e-4):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(HAS_GPU, reason="a GPU is here")
def test_cuda_without_a_gpu_is_refused_by_name_of_the_model(runtime: Runtime) -> None:
    with pytest.raises(AcceleratorUnavailable) as refused:
        runtime.open("yunet-n", requested=Provider.CUDA, allow_cpu=False, threads=1)
    assert "cuda was requested for model yunet-n" in refused.value.message


@pytest.mark.skipif(HAS_GPU, reason="a GPU is here")
def test_cuda_without_a_gpu_becomes_the_cpu_only_where_allowed_and_says_why(runtime: Runtime) -> None:
    placement = runtime.open("yunet-n", requested=Provider.CUDA, allow_cpu=True, threads=1).placement
    assert (placement.requested, placement.effective) == (Provider.CUDA, Provider.CPU)
    assert "is not available" in placement.reason
