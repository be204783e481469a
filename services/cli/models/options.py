"""Words of the commands about models. Light to import: `--help` needs nothing else."""

from __future__ import annotations

from enum import StrEnum


class Family(StrEnum):
    """What a model's outputs mean, and which scaling and order its makers use."""

    YUNET = "yunet"
    SCRFD = "scrfd"
    ARCFACE = "arcface"


class Channels(StrEnum):
    RGB = "rgb"
    BGR = "bgr"


class InstanceKind(StrEnum):
    GPU = "gpu"
    CPU = "cpu"


class Backend(StrEnum):
    """`python` is for servers without the ONNX Runtime backend; its environment needs onnxruntime."""

    ONNXRUNTIME = "onnxruntime"
    PYTHON = "python"
