"""Ways in which a runtime takes the CPU without an error. Each is shown to be silent, and each is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from services.kit.errors import AcceleratorUnavailable, InvalidSettings
from services.kit.inference.catalog import SHIPPED_DIR
from services.kit.inference.distributions import installed_runtimes, refuse_two_runtimes
from services.kit.inference.ort import open_session
from services.kit.inference.ort_session import judge
from services.kit.inference.placement import Provider, triton_fault

pytestmark = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="a GPU is here")

MODEL = SHIPPED_DIR / "similarity.onnx"
CUDA, CPU, TENSORRT = "CUDAExecutionProvider", "CPUExecutionProvider", "TensorrtExecutionProvider"

Make = Callable[[], ort.InferenceSession]


def session(providers: list[Any], **kwargs: Any) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(MODEL.read_bytes(), options, providers=providers, **kwargs)


def with_fallback_disabled() -> ort.InferenceSession:
    made = session([CUDA])
    made.disable_fallback()
    return made


def with_libraries_preloaded() -> ort.InferenceSession:
    ort.preload_dlls()
    return session([CUDA])


SILENT: dict[str, Make] = {
    "cuda alone": lambda: session([CUDA]),
    "cuda, then the cpu": lambda: session([CUDA, CPU]),
    "cuda with options": lambda: session([(CUDA, {"device_id": "0"}), CPU]),
    "fallback not enabled": lambda: session([CUDA], enable_fallback=0),
    "fallback disabled later": with_fallback_disabled,
    "libraries preloaded": with_libraries_preloaded,
    "tensorrt, then cuda": lambda: session([TENSORRT, CUDA, CPU]),
    "a picker built on the list of available ones": lambda: session(ort.get_available_providers()),
}


@pytest.mark.parametrize("make", SILENT.values(), ids=SILENT.keys())
def test_a_session_that_took_the_cpu_in_silence_is_refused(make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = make()
    assert made.get_providers() == [CPU]
    with pytest.raises(AcceleratorUnavailable) as refused:
        judge(made, Provider.CUDA, model="similarity")
    for text in ("similarity", "claims device GPU", CUDA, f"the session runs on {CPU}"):
        assert text in refused.value.message


def test_a_misspelt_provider_only_warns_and_its_session_is_refused() -> None:
    with pytest.warns(UserWarning, match="CUDAExecutionProvidr"):
        made = session(["CUDAExecutionProvidr"])
    with pytest.raises(AcceleratorUnavailable):
        judge(made, Provider.CUDA, model="similarity")


def test_what_the_runtime_claims_proves_nothing() -> None:
    assert ort.get_device() == "GPU"
    assert CUDA in ort.get_available_providers()
    with pytest.raises(AcceleratorUnavailable):
        open_session(MODEL, requested=Provider.CUDA, allow_cpu=False, threads=1)


def test_the_runtimes_own_refusal_conflicts_with_the_cpu_that_shape_arithmetic_needs() -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with pytest.raises(Exception, match="Conflicting session configuration"):
        ort.InferenceSession(MODEL.read_bytes(), options, providers=[CUDA, CPU])


def test_two_runtimes_that_own_the_same_files_are_refused_with_the_fix() -> None:
    with pytest.raises(InvalidSettings) as refused:
        refuse_two_runtimes(["numpy", "onnxruntime", "onnxruntime_gpu"])
    assert "pip uninstall" in refused.value.hint
    for alone in (["onnxruntime"], ["onnxruntime-gpu"], []):
        refuse_two_runtimes(alone)
    assert installed_runtimes() == {"onnxruntime-gpu"}


@pytest.mark.parametrize("kinds", [["KIND_CPU"], ["KIND_GPU", "KIND_CPU"], ["KIND_AUTO"], ["KIND_MODEL"], []])
def test_instances_that_are_not_all_on_a_gpu_are_refused(kinds: list[str]) -> None:
    assert triton_fault(Provider.CUDA, kinds) is not None


def test_instances_that_are_where_they_were_asked_to_be_have_no_fault() -> None:
    assert triton_fault(Provider.CUDA, ["KIND_GPU", "KIND_GPU"]) is None
    assert triton_fault(Provider.CPU, ["KIND_CPU"]) is None
    assert triton_fault(Provider.CPU, ["KIND_GPU"]) is not None
