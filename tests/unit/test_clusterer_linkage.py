"""Reciprocal merges against the greedy definition, which is written here as plainly as it reads."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clusterer.linkage import average_linkage


def matmul(rows, columns):
    return rows @ columns.T


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(rng, count, dimensions, spread):
    centres = rng.standard_normal((max(1, count // 4), dimensions))
    who = rng.integers(0, len(centres), count)
    return unit(centres[who] + spread * rng.standard_normal((count, dimensions)))


def join(clusters, must_link):
    for a, b in must_link:
        leads = sorted({lead for lead, members in clusters.items() if a in members or b in members})
        if len(leads) == 2:
            clusters[leads[0]] += clusters.pop(leads[1])


def most_similar_allowed(clusters, pairwise, apart):
    """(score, lower, higher); the first of equals in the order of ids."""
    best = (-np.inf, -1, -1)
    for low, high in combinations(sorted(clusters), 2):
        if not any(frozenset(pair) in apart for pair in product(clusters[low], clusters[high])):
            score = pairwise[np.ix_(clusters[low], clusters[high])].mean()
            if score > best[0] + 1e-12:
                best = (score, low, high)
    return best


def greedy(vectors, threshold, cannot_link=(), must_link=()):
    """Merge the most similar allowed pair, ties by lowest id, until none reaches the threshold. O(N^3)."""
    pairwise = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    apart = {frozenset(pair) for pair in cannot_link}
    clusters = {index: [index] for index in range(len(vectors))}
    join(clusters, must_link)
    while (best := most_similar_allowed(clusters, pairwise, apart))[0] >= threshold:
        clusters[best[1]] += clusters.pop(best[2])
    labels = np.empty(len(vectors), np.int64)
    for label, lead in enumerate(sorted(clusters)):
        labels[clusters[lead]] = label
    return labels


def random_pairs(rng, count, share):
    rows, columns = np.nonzero(np.triu(rng.random((count, count)) < share, k=1))
    return {(int(a), int(b)) for a, b in zip(rows, columns, strict=True)}


problems = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 28),
    st.sampled_from([2, 3, 8, 64]),
    st.sampled_from([0.2, 0.6, 1.2]),
    st.sampled_from([-0.5, 0.0, 0.3, 0.7, 0.95]),
)


@given(problems)
@settings(max_examples=150, deadline=None)
def test_reciprocal_merges_equal_the_greedy_definition(problem):
    seed, count, dimensions, spread, threshold = problem
    vectors = people(np.random.default_rng(seed), count, dimensions, spread)
    found = average_linkage(vectors, threshold=threshold, similarity=matmul, block_rows=7)
    assert found.labels.tolist() == greedy(vectors, threshold).tolist()


@given(problems, st.sampled_from([0.02, 0.1, 0.3, 0.8]))
@settings(max_examples=300, deadline=None)
def test_forbidden_pairs_are_masked_as_the_greedy_definition_masks_them(problem, share):
    seed, count, dimensions, spread, threshold = problem
    rng = np.random.default_rng(seed)
    vectors = people(rng, count, dimensions, spread)
    apart = random_pairs(rng, count, share)
    found = average_linkage(vectors, threshold=threshold, similarity=matmul, block_rows=7, cannot_link=apart)
    assert found.labels.tolist() == greedy(vectors, threshold, apart).tolist()
    assert all(found.labels[a] != found.labels[b] for a, b in apart)


@given(problems)
@settings(max_examples=100, deadline=None)
def test_must_links_are_merged_before_anything_else(problem):
    seed, count, dimensions, spread, threshold = problem
    rng = np.random.default_rng(seed)
    vectors = people(rng, count, dimensions, spread)
    together = random_pairs(rng, count, 0.05)
    free = greedy(vectors, 2.0, must_link=together)
    apart = {(a, b) for a, b in random_pairs(rng, count, 0.1) if free[a] != free[b]}
    found = average_linkage(
        vectors, threshold=threshold, similarity=matmul, block_rows=7, must_link=together, cannot_link=apart
    )
    assert found.labels.tolist() == greedy(vectors, threshold, apart, together).tolist()
    assert all(found.labels[a] == found.labels[b] for a, b in together)


def test_a_must_link_over_a_cannot_link_is_refused():
    vectors = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="must be linked and cannot be linked"):
        average_linkage(
            vectors,
            threshold=0.5,
            similarity=matmul,
            block_rows=8,
            must_link=[(0, 1), (1, 2)],
            cannot_link=[(0, 2)],
        )


@pytest.mark.parametrize("block_rows", [1, 2, 8])
def test_equal_similarities_merge_at_the_lowest_ids(block_rows):
    # The first is exactly one half like each of the other two, which are nothing alike: it joins the lower.
    vectors = np.array([[1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5]], np.float32)
    for order in permutations(range(3)):
        shuffled = vectors[list(order)]
        found = average_linkage(shuffled, threshold=0.45, similarity=matmul, block_rows=block_rows)
        assert found.labels.tolist() == greedy(shuffled, 0.45).tolist()
        assert sorted(found.labels.tolist()) == [0, 0, 1]


def test_identical_vectors_take_one_round_and_still_obey_a_cannot_link():
    vectors = np.repeat(unit(np.ones((1, 4))), 400, axis=0)
    free = average_linkage(vectors, threshold=0.9, similarity=matmul, block_rows=64)
    assert free.labels.tolist() == [0] * 400
    assert free.rounds <= 1
    parted = average_linkage(
        vectors, threshold=0.9, similarity=matmul, block_rows=64, cannot_link=[(0, 1), (1, 2)]
    )
    assert parted.labels.tolist() == [0, 1, *[0] * 398]


def test_a_ring_that_only_rounding_could_make_still_ends():
    # Each of four equal vectors is told that its right neighbour is its nearest: no pair is mutual.
    ring = np.array([[0, 3, 2, 1], [1, 0, 3, 2], [2, 1, 0, 3], [3, 2, 1, 0]], np.float32) * 1e-7 + 0.9
    identity = np.eye(4, dtype=np.float32)

    def similarity(rows, columns):
        return rows @ ring @ columns.T

    found = average_linkage(identity, threshold=0.5, similarity=similarity, block_rows=8)
    assert found.labels.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("block_rows", [1, 3, 50, 1000])
def test_the_size_of_a_block_does_not_change_the_clusters(block_rows):
    rng = np.random.default_rng(5)
    vectors, apart = people(rng, 60, 16, 0.5), random_pairs(rng, 60, 0.05)

    def clusters(rows):
        return average_linkage(
            vectors, threshold=0.4, similarity=matmul, block_rows=rows, cannot_link=apart
        ).labels.tolist()

    assert clusters(block_rows) == clusters(60)


def test_no_vectors_make_no_clusters_and_one_makes_one():
    empty = average_linkage(np.empty((0, 4), np.float32), threshold=0, similarity=matmul, block_rows=4)
    single = average_linkage(np.eye(1, 4, dtype=np.float32), threshold=0, similarity=matmul, block_rows=4)
    assert empty.labels.shape == (0,)
    assert single.labels.tolist() == [0]


def test_memory_stays_far_below_the_matrix_of_all_pairs():
    vectors = people(np.random.default_rng(2), 2500, 32, 0.4)
    tracemalloc.start()
    average_linkage(vectors, threshold=0.5, similarity=matmul, block_rows=256)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2500 * 2500 * 4 / 8


def test_the_callers_vectors_are_not_changed():
    vectors = people(np.random.default_rng(3), 40, 8, 0.2)
    before = vectors.copy()
    average_linkage(vectors, threshold=0.3, similarity=matmul, block_rows=16)
    assert (vectors == before).all()
