"""Writes `similarity.onnx`: cosine similarities of two blocks of unit vectors as one matrix product.

Clustering runs it through the same inference session as the face models, so that the provider rules hold
for it too. Run from the repository root: `python models/build_similarity.py`; the bytes are deterministic.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def build() -> bytes:
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["M", "D"])
    columns = helper.make_tensor_value_info("columns", TensorProto.FLOAT, ["N", "D"])
    scores = helper.make_tensor_value_info("similarities", TensorProto.FLOAT, ["M", "N"])
    nodes = [
        helper.make_node("Transpose", ["columns"], ["columns_t"], name="transpose", perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "columns_t"], ["similarities"], name="product"),
    ]
    graph = helper.make_graph(nodes, "similarity", [rows, columns], [scores])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="screenalytics", ir_version=10
    )
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def main() -> int:
    """Writes the file and prints its sha256; with `--check` only says whether the committed one is it."""
    target, data = Path(__file__).with_name("similarity.onnx"), build()
    if "--check" in sys.argv[1:]:
        return 0 if target.read_bytes() == data else 1
    target.write_bytes(data)
    print(hashlib.sha256(data).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
