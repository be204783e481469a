"""The provider rules, on what a runtime reports; no GPU is needed to know what it must have said."""

from __future__ import annotations

import pytest

from services.kit.errors import AcceleratorUnavailable
from services.kit.inference.placement import (
    SHAPE_ARITHMETIC,
    Node,
    Provider,
    count_nodes,
    execution_provider,
    fault_of,
    stray_nodes,
    unavailable,
)

CUDA_EP = "CUDAExecutionProvider"
CPU_EP = "CPUExecutionProvider"
TENSORRT_EP = "TensorrtExecutionProvider"


def conv(provider: str, name: str = "conv1") -> Node:
    return Node(name, "Conv", provider)


def test_a_session_on_the_provider_that_was_asked_for_has_no_fault() -> None:
    assert fault_of(Provider.CUDA, [CUDA_EP, CPU_EP], [conv(CUDA_EP)]) is None
    assert fault_of(Provider.CPU, [CPU_EP], [conv(CPU_EP)]) is None


def test_cuda_asked_and_cpu_got_is_a_fault() -> None:
    fault = fault_of(Provider.CUDA, [CPU_EP], [conv(CPU_EP)])
    assert fault is not None
    assert CPU_EP in fault


def test_a_session_without_any_provider_is_a_fault_for_either_request() -> None:
    assert fault_of(Provider.CUDA, [], []) is not None
    assert fault_of(Provider.CPU, [], []) is not None


def test_the_cpu_asked_and_cuda_got_is_a_fault() -> None:
    assert fault_of(Provider.CPU, [CUDA_EP, CPU_EP], [conv(CUDA_EP)]) is not None


def test_cuda_without_node_assignments_is_not_believed() -> None:
    assert fault_of(Provider.CUDA, [CUDA_EP, CPU_EP], []) is not None


def test_one_convolution_on_the_cpu_is_a_stray_and_is_named() -> None:
    nodes = [conv(CUDA_EP, f"gpu{i}") for i in range(20)] + [conv(CPU_EP, "left_behind")]
    fault = fault_of(Provider.CUDA, [CUDA_EP, CPU_EP], nodes)
    assert fault is not None
    assert "left_behind (Conv)" in fault
    assert "1 of 21" in fault


@pytest.mark.parametrize("op_type", sorted(SHAPE_ARITHMETIC))
def test_shape_arithmetic_may_stay_on_the_cpu(op_type: str) -> None:
    assert fault_of(Provider.CUDA, [CUDA_EP, CPU_EP], [conv(CUDA_EP), Node("n", op_type, CPU_EP)]) is None


@pytest.mark.parametrize("op_type", ["Conv", "MatMul", "Gemm", "Resize", "Softmax", "BatchNormalization"])
def test_pixel_work_is_never_shape_arithmetic(op_type: str) -> None:
    assert op_type not in SHAPE_ARITHMETIC
    assert stray_nodes([Node("n", op_type, CPU_EP)])


def test_tensorrt_counts_as_cuda() -> None:
    nodes = [conv(TENSORRT_EP), conv(CUDA_EP)]
    assert fault_of(Provider.CUDA, [TENSORRT_EP, CUDA_EP, CPU_EP], nodes) is None


def test_an_unknown_provider_is_not_taken_for_an_accelerator() -> None:
    assert fault_of(Provider.CUDA, ["SomeNewExecutionProvider", CPU_EP], [conv(CUDA_EP)]) is not None
    assert stray_nodes([conv("SomeNewExecutionProvider")])


def test_nodes_are_counted_per_provider() -> None:
    assert count_nodes([conv(CUDA_EP), conv(CPU_EP), conv(CUDA_EP)]) == {CUDA_EP: 2, CPU_EP: 1}
    assert count_nodes([]) == {}


def test_every_route_has_an_execution_provider() -> None:
    assert {execution_provider(p) for p in Provider} == {CUDA_EP, CPU_EP}


def test_the_refusal_says_what_was_asked_for_what_was_found_and_what_to_do() -> None:
    error = unavailable(Provider.CUDA, "no driver", tried="ONNX Runtime 1.0")
    assert isinstance(error, AcceleratorUnavailable)
    assert error.exit_status == 3
    for text in ("cuda", "no driver", "ONNX Runtime 1.0", "--device cpu", "--allow-cpu-fallback"):
        assert text in str(error)
