"""Rows some thousand at a time, from a source too large to hold whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield `rows` in lists of `size`; the last may be shorter, none is empty. `size`: one at least."""
    rest = iter(rows)
    while batch := list(islice(rest, size)):
        yield batch
