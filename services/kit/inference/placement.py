"""Where a model is allowed to execute: pure rules over what a runtime reports.

ONNX Runtime with a missing GPU makes a session on the CPU without an error, and its list of available
providers names CUDA all the same. So nothing here trusts a list: a placement is judged by the provider the
session reports and by the provider of every graph node. Triton says where a model's instances run, and fills
in the CPU on its own when it sees no GPU and the model does not insist on one; it never tells of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.kit.errors import AcceleratorUnavailable


class Provider(StrEnum):
    """A route: what a caller asks for and a worker serves."""

    CUDA = "cuda"
    CPU = "cpu"


CPU_EP = "CPUExecutionProvider"
_EP_OF = {Provider.CUDA: "CUDAExecutionProvider", Provider.CPU: CPU_EP}
TENSORRT_EP = "TensorrtExecutionProvider"
_ACCELERATED = frozenset({"CUDAExecutionProvider", TENSORRT_EP, "NvTensorRTRTXExecutionProvider"})
_TRITON_KIND_OF = {Provider.CUDA: "KIND_GPU", Provider.CPU: "KIND_CPU"}

# Nodes with such a name work on whole images: no operator makes them shape arithmetic.
PIXEL_NODE_PREFIX = "pixels/"

# Operators that compute shapes, not pixels: ONNX Runtime keeps them on the CPU on purpose, where their
# inputs already live, and a copy to the device would only cost time.
SHAPE_ARITHMETIC = frozenset(
    {
        "Shape", "Size", "Gather", "Concat", "Unsqueeze", "Squeeze", "Cast", "Slice", "Range", "Constant",
        "ConstantOfShape", "Reshape", "Add", "Sub", "Mul", "Div", "Mod", "Floor", "Ceil", "Equal", "Where",
        "Expand", "ReduceProd", "Min", "Max", "Identity", "Split",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    op_type: str
    provider: str


@dataclass(frozen=True, slots=True)
class Placement:
    """`nodes` counts graph nodes per execution provider; `reason` says why effective differs from requested."""

    requested: Provider
    effective: Provider
    runtime: str
    device: str
    nodes: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    warm_up_s: float = 0.0


def execution_provider(provider: Provider) -> str:
    return _EP_OF[provider]


def count_nodes(nodes: list[Node]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.provider] = counts.get(node.provider, 0) + 1
    return counts


def stray_nodes(nodes: list[Node]) -> list[Node]:
    """Nodes on the CPU that do more than shape arithmetic."""
    return [n for n in nodes if n.provider not in _ACCELERATED and not _is_shape_arithmetic(n)]


def _is_shape_arithmetic(node: Node) -> bool:
    return node.op_type in SHAPE_ARITHMETIC and not node.name.startswith(PIXEL_NODE_PREFIX)


def fault_of(
    requested: Provider, session_providers: Sequence[str], nodes: list[Node], *, tensorrt: bool = False
) -> str | None:
    """Why a session does not execute where it was asked to; None when it does.

    `session_providers` is `InferenceSession.get_providers()`, `nodes` the per-node assignment. With `tensorrt`
    the session must be led by TensorRT, not merely by CUDA.
    """
    first = session_providers[0] if session_providers else "none"
    if requested is Provider.CPU:
        return None if first == CPU_EP else f"the session runs on {first}, not on the CPU"
    if first not in _ACCELERATED:
        return f"the session runs on {first}: CUDA could not be initialised"
    if tensorrt and first != TENSORRT_EP:
        return f"the session runs on {first}: TensorRT could not be initialised"
    if not nodes:
        return "the runtime does not say where the graph's nodes run"
    stray = stray_nodes(nodes)
    if stray:
        named = ", ".join(f"{n.name or '?'} ({n.op_type})" for n in stray[:5])
        return f"{len(stray)} of {len(nodes)} nodes run on the CPU: {named}"
    return None


def triton_fault(requested: Provider, kinds: Sequence[str]) -> str | None:
    """Why a model's instance groups are not what was asked for; None when they are.

    `kinds` are those of the configuration that the server says is in effect, not of the file it was given.
    """
    if not kinds:
        return "the server does not say where the model's instances run"
    wanted = _TRITON_KIND_OF[requested]
    others = sorted({kind for kind in kinds if kind != wanted})
    return f"the server runs it as {', '.join(others)}, not as {wanted}" if others else None


def unavailable(
    requested: Provider, reason: str, *, tried: str, model: str = "", claimed: str = ""
) -> AcceleratorUnavailable:
    """What was asked for, what was found, what the runtime had claimed, what was tried, and what to do."""
    subject = f"{requested} was requested for model {model}" if model else f"{requested} was requested"
    claims = f"; {claimed}" if claimed else ""
    return AcceleratorUnavailable(
        f"{subject} and is not available: {reason}{claims}; tried {tried}",
        hint="run on a machine with an NVIDIA GPU and its driver, or ask for the CPU with --device cpu, "
        "or permit it with --allow-cpu-fallback",
    )
