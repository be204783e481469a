"""Batches of few fixed sizes."""

from __future__ import annotations

import pytest

from services.kit.inference.buckets import Piece, bucket_sizes, pieces


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (64, (1, 2, 4, 8, 16, 32, 64))]
)
def test_the_sizes_double_up_to_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert bucket_sizes(largest) == sizes


@pytest.mark.parametrize(
    ("count", "largest", "expected"),
    [
        (3, 8, [Piece(0, 3, 4)]),
        (8, 8, [Piece(0, 8, 8)]),
        (11, 8, [Piece(0, 8, 8), Piece(8, 11, 4)]),
        (5, 6, [Piece(0, 5, 6)]),
        (3, 1, [Piece(0, 1, 1), Piece(1, 2, 1), Piece(2, 3, 1)]),
        (0, 8, []),
    ],
)
def test_a_padded_batch_has_one_of_the_sizes(count: int, largest: int, expected: list[Piece]) -> None:
    assert list(pieces(count, largest, is_padded=True)) == expected


def test_without_padding_a_batch_is_only_cut() -> None:
    assert list(pieces(11, 8, is_padded=False)) == [Piece(0, 8, 8), Piece(8, 11, 3)]


@pytest.mark.parametrize("is_padded", [True, False])
def test_every_item_is_run_once(is_padded: bool) -> None:
    for count in range(40):
        covered = [i for piece in pieces(count, 7, is_padded=is_padded) for i in range(piece.start, piece.stop)]
        assert covered == list(range(count))
