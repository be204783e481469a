"""How well embeddings tell people apart: verification over all pairs of labelled faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def verification(unit_vectors: NDArray[np.float32], people: NDArray[np.int32]) -> dict[str, float]:
    """AUC, TAR at FAR 1 % and at 0.1 % with the cosine at each, over every pair of rows.

    `unit_vectors`: float32 [N, D]; `people`: int [N].
    """
    upper = np.triu_indices(len(people), 1)
    cosines = (unit_vectors @ unit_vectors.T)[upper]
    same = (people[:, None] == people[None, :])[upper]
    different = np.sort(cosines[~same])
    below = np.searchsorted(different, cosines[same], "left") + np.searchsorted(
        different, cosines[same], "right"
    )
    figures = {"auc": float(below.mean() / 2 / len(different))}
    for share, name in ((0.01, "1pct"), (0.001, "01pct")):
        at = different[min(len(different) - 1, int(np.ceil(len(different) * (1 - share))))]
        figures[f"tar_at_far_{name}"] = float((cosines[same] > at).mean())
        figures[f"cosine_at_far_{name}"] = float(at)
    figures["same_mean"] = float(cosines[same].mean())
    figures["different_mean"] = float(different.mean())
    return figures
