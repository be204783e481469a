"""Exact average linkage of unit vectors under must-link and cannot-link constraints. Pure.

The average cosine similarity of two clusters is the dot product of their means (the members' plain average,
not normalised), so no N x N matrix is kept: memory is O(N d) and one block. The result is that of the greedy
definition: merge the most similar allowed pair, ties by lowest id, until none reaches the threshold.

Average linkage is reducible (Bruynooghe, 1978): a merged cluster is never more similar to a third than the
closer of its parts was. A forbidden pair counts as similarity minus infinity, and a merged cluster inherits
the prohibitions of both parts, so this holds under the mask too. Hence two clusters that are each other's
nearest stay so until they merge, and all such pairs may merge in one round (Murtagh, 1983); a cluster whose
best allowed similarity is below the threshold will never merge and is set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Indices = NDArray[np.int64]
Pairs = Iterable[tuple[int, int]]

# Rows [M, D] and columns [N, D] to dot products [M, N], all float32.
Similarity = Callable[[Vectors, Vectors], Vectors]

_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Linkage:
    """`labels` int64 [N]: 0..K-1 in the order of each cluster's lowest member."""

    labels: Indices
    rounds: int
    compared: int  # similarities computed


def average_linkage(
    vectors: Vectors,
    *,
    threshold: float,
    similarity: Similarity,
    block_rows: int,
    must_link: Pairs = (),
    cannot_link: Pairs = (),
) -> Linkage:
    """Clusters float32 [N, D] unit vectors. A block is at most `block_rows` x `block_rows`.

    Raises `ValueError` when the must-links join two vectors that a cannot-link parts.
    """
    clusters = _Clusters(vectors, cannot_link)
    clusters.join(must_link)
    clusters.join_identical()
    search = _Search(clusters, similarity, block_rows)
    rounds = 0
    while search.refresh(threshold):
        rounds += 1
        for keep, drop in search.reciprocal_pairs():
            clusters.merge(keep, drop)
            search.forget(keep, drop)
    return Linkage(clusters.labels(), rounds, search.compared)


class _Clusters:
    """The partition so far. A cluster's id is its lowest member."""

    def __init__(self, vectors: Vectors, cannot_link: Pairs) -> None:
        count = len(vectors)
        self.means = np.array(vectors, np.float32)
        self.is_live = np.ones(count, bool)
        self.forbidden: dict[int, set[int]] = {}
        self._sums = np.array(vectors, np.float64)
        self._sizes = np.ones(count, np.int64)
        self._parents = np.arange(count)
        for a, b in cannot_link:
            if a == b:
                raise ValueError(f"cannot-link of {a} with itself")
            self._forbid(a, b)

    def _forbid(self, a: int, b: int) -> None:
        self.forbidden.setdefault(a, set()).add(b)
        self.forbidden.setdefault(b, set()).add(a)

    def may_merge(self, a: int, b: int) -> bool:
        return b not in self.forbidden.get(a, ())

    def root(self, member: int) -> int:
        while self._parents[member] != member:
            self._parents[member] = self._parents[self._parents[member]]
            member = int(self._parents[member])
        return member

    def merge(self, keep: int, drop: int) -> None:
        """`keep` is the lower id."""
        self._parents[drop] = keep
        self.is_live[drop] = False
        self._sums[keep] += self._sums[drop]
        self._sizes[keep] += self._sizes[drop]
        self.means[keep] = self._sums[keep] / self._sizes[keep]
        for other in self.forbidden.pop(drop, ()):
            self.forbidden[other].discard(drop)
            self._forbid(keep, other)

    def join(self, must_link: Pairs) -> None:
        for a, b in must_link:
            keep, drop = sorted((self.root(a), self.root(b)))
            if not self.may_merge(keep, drop):
                raise ValueError(f"{a} and {b} must be linked and cannot be linked")
            if keep != drop:
                self.merge(keep, drop)

    def join_identical(self) -> None:
        """Merges equal unmerged vectors. Nothing is more similar, and each would take a round of its own."""
        single = np.flatnonzero(self.is_live & (self._sizes == 1))
        if not len(single):
            return
        _, group, counts = np.unique(self.means[single], axis=0, return_inverse=True, return_counts=True)
        for repeated in np.flatnonzero(counts > 1):
            self._join_greedily([int(member) for member in single[group == repeated]])

    def _join_greedily(self, members: list[int]) -> None:
        while members:
            lead, *rest = members
            members = []
            for other in rest:
                if self.may_merge(lead, other):
                    self.merge(lead, other)
                else:
                    members.append(other)

    def labels(self) -> Indices:
        roots = np.array([self.root(member) for member in range(len(self._parents))], np.int64)
        _, labels = np.unique(roots, return_inverse=True)
        return labels.astype(np.int64)


class _Search:
    """Each live cluster's nearest allowed neighbour, recomputed only where a merge has touched it."""

    def __init__(self, clusters: _Clusters, similarity: Similarity, block_rows: int) -> None:
        count = len(clusters.means)
        self.compared = 0
        self._clusters = clusters
        self._similarity = similarity
        self._block_rows = block_rows
        self._partner = np.full(count, _NOBODY, np.int64)
        self._best = np.full(count, -np.inf, np.float32)
        self._column_of = np.full(count, _NOBODY, np.int64)

    def forget(self, keep: int, drop: int) -> None:
        """`keep` and `drop` have merged: whoever was nearest to either must look again."""
        self._partner[keep] = _NOBODY
        self._partner[(self._partner == keep) | (self._partner == drop)] = _NOBODY

    def refresh(self, threshold: float) -> bool:
        """Finds missing neighbours, sets aside what can merge no more; False when nothing is left."""
        live = self._clusters.is_live
        self._find_nearest(np.flatnonzero(live & (self._partner == _NOBODY)))
        live[live & (self._best < threshold)] = False
        # A nearest neighbour can only have been set aside by a rounding difference between two blocks.
        orphans = live & (self._partner != _NOBODY) & ~live[self._partner]
        self._partner[orphans] = _NOBODY
        return bool(live.any())

    def reciprocal_pairs(self) -> list[tuple[int, int]]:
        """Disjoint (lower, higher) pairs that are each other's nearest; at least one if any can be found."""
        seekers = np.flatnonzero(self._clusters.is_live & (self._partner != _NOBODY))
        partners = self._partner[seekers]
        mutual = (self._partner[partners] == seekers) & (seekers < partners)
        if mutual.any() or not len(seekers):
            return [(int(a), int(b)) for a, b in zip(seekers[mutual], partners[mutual], strict=True)]
        # Rounding can turn equal similarities into a ring without a mutual pair: then the best of all merges.
        row = int(self._best[seekers].argmax())
        low, high = sorted((int(seekers[row]), int(partners[row])))
        return [(low, high)]

    def _find_nearest(self, seekers: Indices) -> None:
        candidates = np.flatnonzero(self._clusters.is_live)
        self._best[seekers] = -np.inf
        for columns in _blocks(candidates, self._block_rows):
            self._column_of[columns] = np.arange(len(columns))
            for rows in _blocks(seekers, self._block_rows):
                self._improve(rows, columns)
            self._column_of[columns] = _NOBODY

    def _improve(self, rows: Indices, columns: Indices) -> None:
        means = self._clusters.means
        scores = self._similarity(means[rows], means[columns])
        self.compared += scores.size
        self._mask(scores, rows)
        nearest = scores.argmax(axis=1)
        values = scores[np.arange(len(rows)), nearest]
        # Columns come in ascending order, so a later equal does not replace the lower id.
        better = values > self._best[rows]
        self._best[rows[better]] = values[better]
        self._partner[rows[better]] = columns[nearest[better]]

    def _mask(self, scores: Vectors, rows: Indices) -> None:
        for position, row in enumerate(rows):
            others = self._clusters.forbidden.get(int(row), ())
            masked = self._column_of[[int(row), *others]]
            scores[position, masked[masked != _NOBODY]] = -np.inf


def _blocks(indices: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
