"""Similarity blocks through an inference session, so that a GPU is used, or its absence noticed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.clusterer.linkage import Similarity, Vectors
from services.kit.inference.session import Session


def session_similarity(session: Session, tick: Callable[[], None]) -> Similarity:
    """`tick` runs before each block."""

    def similarity(rows: Vectors, columns: Vectors) -> Vectors:
        tick()
        block = session.run({"rows": rows, "columns": columns})["similarities"]
        # The linkage masks its block in place; a runtime may hand out memory that is not ours to write.
        return np.require(block, np.float32, ["W"])

    return similarity
