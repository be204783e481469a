"""Writes the trained students as ONNX: `face-detector.onnx`, `face-embedder.onnx`; prints size and sha256.

    python models/training/export_onnx.py --out out/training --to models [--only detector]

Input is uint8 NCHW with batch (and size, for the detector) free; normalisation is part of the graph. Batch
normalisation is folded into the convolutions, and no node computes shapes: every node works on pixels, and is
named so, that none may stay on the CPU where a GPU was asked for. Each file is run beside the network it came
from before it is written.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from detector_net import STRIDES, VALUES, DetectorNet
from embedder_net import DIMENSIONS, PIXEL_MEAN, PIXEL_SCALE, ConvNorm, EmbedderNet, Residual
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from run_state import RunFolder
from views import STUDENT_PX

from services.kit.inference.placement import PIXEL_NODE_PREFIX

OPSET, IR_VERSION = 17, 8
TOLERANCE = 2e-3
# A student taught by soft targets is less sure of hard faces than its teacher is. This is added to its score
# before the sigmoid: as much as leaves its precision above 0.95 at the system's threshold.
SCORE_SHIFT = 0.1


class GraphWriter:
    """Adds nodes one after another; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op: str, *inputs: str, result: str | None = None, **attributes: Any) -> str:
        name = f"{PIXEL_NODE_PREFIX}{op.lower()}_{len(self.nodes)}"
        result = result or f"{name}_out"
        self.nodes.append(helper.make_node(op, list(inputs), [result], name=name, **attributes))
        return result

    def first(self, image: str, layer: ConvNorm) -> str:
        """The first layer, on pixels 0..255: their scale goes into its weights, their mean stays a node."""
        pixels = self.node("Cast", image, to=TensorProto.FLOAT)
        centred = self.node("Sub", pixels, self.constant(np.float32(PIXEL_MEAN)))
        return self.conv_norm(centred, layer, scale=1 / PIXEL_SCALE)

    def conv_norm(self, x: str, layer: ConvNorm, *, scale: float = 1.0) -> str:
        conv, norm = layer.conv, layer.norm
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = conv.weight * gain[:, None, None, None] * scale
        bias = norm.bias - norm.running_mean * gain
        x = self._conv(x, conv, weight, bias)
        return self.node("Relu", x) if layer.relu else x

    def conv(self, x: str, layer: torch.nn.Conv2d) -> str:
        assert layer.bias is not None
        return self._conv(x, layer, layer.weight, layer.bias)

    def _conv(self, x: str, layer: torch.nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> str:
        padding = int(layer.padding[0])
        return self.node(
            "Conv",
            x,
            self.constant(weight.detach().numpy()),
            self.constant(bias.detach().numpy()),
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[padding] * 4,
            group=layer.groups,
        )

    def layers(self, x: str, layers: torch.nn.Sequential) -> str:
        for layer in layers:
            if isinstance(layer, Residual):
                added = self.node("Add", x, self.conv_norm(self.conv_norm(x, layer.first), layer.second))
                x = self.node("Relu", added)
            else:
                assert isinstance(layer, ConvNorm)
                x = self.conv_norm(x, layer)
        return x

    def model(self, name: str, inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, initializer=self.constants)
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="screenalytics",
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(made, full_check=True)
        return made


def embedder_model(net: EmbedderNet) -> onnx.ModelProto:
    """`image` uint8 [B, 3, 96, 96] RGB -> `embedding` float32 [B, 256], not normalised."""
    writer = GraphWriter()
    first = writer.first("image", net.layers[0])
    features = writer.conv_norm(writer.layers(first, net.layers[1:]), net.pool)
    flat = writer.node("Flatten", features, axis=1)
    weight, bias = (writer.constant(value.detach().numpy()) for value in (net.head.weight, net.head.bias))
    writer.node("Gemm", flat, weight, bias, result="embedding", transB=1)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, STUDENT_PX, STUDENT_PX])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])
    return writer.model("face-embedder", [image], [embedding])


def detector_model(net: DetectorNet) -> onnx.ModelProto:
    """`image` uint8 [B, 3, H, W] BGR -> the outputs of the YuNet family; both scores of a cell are the same."""
    writer = GraphWriter()
    first = writer.first("image", net.stem[0])
    fine = writer.layers(writer.layers(first, net.stem[1:]), net.fine)
    middle = writer.layers(fine, net.middle)
    coarse = writer.layers(middle, net.coarse)
    levels = [writer.conv_norm(x, layer) for x, layer in zip((fine, middle, coarse), net.laterals, strict=True)]
    for above, below in ((2, 1), (1, 0)):
        levels[below] = writer.node("Add", levels[below], _doubled(writer, levels[above]))
    outputs = []
    for stride, level, head, output in zip(STRIDES, levels, net.heads, net.outputs, strict=True):
        values = writer.conv(writer.conv_norm(level, head), output)
        outputs += _cells(writer, values, stride)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, "height", "width"])
    return writer.model("face-detector", [image], outputs)


def _shift_scores(net: DetectorNet) -> None:
    with torch.no_grad():
        for output in net.outputs:
            output.bias[0] += SCORE_SHIFT


def _doubled(writer: GraphWriter, x: str) -> str:
    scales = writer.constant(np.array([1, 1, 2, 2], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return writer.node("Resize", x, "", scales, **how)


def _cells(writer: GraphWriter, values: str, stride: int) -> list[Any]:
    """[B, 15, h, w] as one row a cell, cut into what the family calls its outputs."""
    rows = writer.node("Transpose", values, perm=[0, 2, 3, 1])
    rows = writer.node("Reshape", rows, writer.constant(np.array([0, -1, VALUES], np.int64)))
    parts = [f"score_{stride}", f"bbox_{stride}", f"kps_{stride}"]
    sizes = writer.constant(np.array([1, 4, 10], np.int64))
    name = f"{PIXEL_NODE_PREFIX}split_{len(writer.nodes)}"
    writer.nodes.append(helper.make_node("Split", [rows, sizes], parts, name=name, axis=2))
    writer.node("Sigmoid", parts[0], result=f"cls_{stride}")
    writer.node("Sigmoid", parts[0], result=f"obj_{stride}")
    widths = {f"cls_{stride}": 1, f"obj_{stride}": 1, f"bbox_{stride}": 4, f"kps_{stride}": 10}
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", f"cells_{stride}", width])
        for name, width in widths.items()
    ]


def _proved(model: onnx.ModelProto, net: torch.nn.Module, shape: tuple[int, ...]) -> bytes:
    """The file's bytes, once ONNX Runtime answers as the network does."""
    data = model.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with torch.no_grad():
        wanted = net.eval()(torch.from_numpy(pixels).float())
    got = session.run(None, {"image": pixels})
    flat = [wanted] if isinstance(wanted, torch.Tensor) else [level[..., 1:5] for level in wanted]
    picked = got if isinstance(wanted, torch.Tensor) else got[2::4]
    for ours, theirs in zip(picked, flat, strict=True):
        worst = float(np.abs(ours - theirs.numpy()).max())
        if worst > TOLERANCE * max(1.0, float(theirs.abs().max())):
            raise SystemExit(f"the graph answers differently from the network by {worst}")
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    parser.add_argument("--to", type=Path, default=Path("models"))
    parser.add_argument("--only", choices=("detector", "embedder"))
    args = parser.parse_args()
    students: dict[str, tuple[Callable[[], Any], Callable[[Any], onnx.ModelProto], tuple[int, ...]]] = {
        "detector": (DetectorNet, detector_model, (2, 3, 96, 160)),
        "embedder": (EmbedderNet, embedder_model, (2, 3, STUDENT_PX, STUDENT_PX)),
    }
    for name, (build, to_model, shape) in students.items():
        if args.only in (None, name):
            state = RunFolder(args.out / name).load()
            if state is None:
                raise SystemExit(f"there is no checkpoint of the {name} in {args.out}: train it first")
            net = build().eval()
            net.load_state_dict(state["average"])
            if isinstance(net, DetectorNet):
                _shift_scores(net)
            data = _proved(to_model(net), net, shape)
            (args.to / f"face-{name}.onnx").write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            print(f"face-{name}.onnx step {state['step']} {len(data)} bytes sha256 {digest}")


if __name__ == "__main__":
    main()
