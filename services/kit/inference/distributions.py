"""Which distributions of ONNX Runtime are installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import distributions

from services.kit.errors import InvalidSettings

_RIVALS = frozenset({"onnxruntime", "onnxruntime-gpu"})


def installed_runtimes(names: Iterable[str] | None = None) -> set[str]:
    """`names` of all distributions; by default of those that are installed."""
    if names is None:
        names = (dist.metadata["Name"] or "" for dist in distributions())
    return {name.lower().replace("_", "-") for name in names} & _RIVALS


def refuse_two_runtimes(names: Iterable[str] | None = None) -> None:
    """Both wheels own the same files; installed together, CUDA usually disappears without a word.

    Raises `InvalidSettings`.
    """
    if installed_runtimes(names) == _RIVALS:
        raise InvalidSettings(
            "both onnxruntime and onnxruntime-gpu are installed; they overwrite each other",
            hint="pip uninstall both, then install onnxruntime-gpu alone",
        )
