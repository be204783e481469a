"""Where a model is allowed to execute: pure rules over what a runtime reports.

ONNX Runtime with a missing GPU makes a session on the CPU without an error, and its list of available
providers names CUDA all the same. So nothing here trusts a list: a placement is judged by the provider the
session reports and by the provider of every graph node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.kit.errors import AcceleratorUnavailable


class Provider(StrEnum):
    """A route: what a caller asks for and a worker serves."""

    CUDA = "cuda"
    CPU = "cpu"


CPU_EP = "CPUExecutionProvider"
_EP_OF = {Provider.CUDA: "CUDAExecutionProvider", Provider.CPU: CPU_EP}
_ACCELERATED = frozenset(
    {"CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"}
)

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


def execution_provider(provider: Provider) -> str:
    return _EP_OF[provider]


def count_nodes(nodes: list[Node]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.provider] = counts.get(node.provider, 0) + 1
    return counts


def stray_nodes(nodes: list[Node]) -> list[Node]:
    """Nodes on the CPU that do more than shape arithmetic."""
    return [n for n in nodes if n.provider not in _ACCELERATED and n.op_type not in SHAPE_ARITHMETIC]


def fault_of(requested: Provider, session_providers: list[str], nodes: list[Node]) -> str | None:
    """Why a session does not execute where it was asked to; None when it does.

    `session_providers` is `InferenceSession.get_providers()`, `nodes` the per-node assignment.
    """
    first = session_providers[0] if session_providers else "none"
    if requested is Provider.CPU:
        return None if first == CPU_EP else f"the session runs on {first}, not on the CPU"
    if first not in _ACCELERATED:
        return f"the session runs on {first}: CUDA could not be initialised"
    if not nodes:
        return "the runtime does not say where the graph's nodes run"
    stray = stray_nodes(nodes)
    if stray:
        named = ", ".join(f"{n.name or '?'} ({n.op_type})" for n in stray[:5])
        return f"{len(stray)} of {len(nodes)} nodes run on the CPU: {named}"
    return None


def unavailable(requested: Provider, reason: str, *, tried: str) -> AcceleratorUnavailable:
    return AcceleratorUnavailable(
        f"{requested} was requested and is not available: {reason}; tried {tried}",
        hint="run on a machine with an NVIDIA GPU and its driver, or ask for the CPU with --device cpu, "
        "or permit it with --allow-cpu-fallback",
    )
