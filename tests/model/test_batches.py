"""Rows in lists of a size: all of them, in order, none empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tillbridge.model.batches import batched

TABLE = [
    ("nothing gives no list", [], 2, []),
    ("fewer than a list give one", [1], 2, [[1]]),
    ("as many as fit give one, and no empty one behind it", [1, 2], 2, [[1, 2]]),
    ("the rest comes in a shorter list", [1, 2, 3], 2, [[1, 2], [3]]),
]


@pytest.mark.parametrize(
    ("rows", "size", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_rows_come_in_lists(rows: list[int], size: int, expected: list[list[int]]) -> None:
    assert expected == list(batched(iter(rows), size))


def test_a_list_is_given_before_the_next_row_is_read() -> None:
    read: list[int] = []

    def rows() -> Iterator[int]:
        for row in range(5):
            read.append(row)
            yield row

    next(batched(rows(), 2))
    assert [0, 1] == read
