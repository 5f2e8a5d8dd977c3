"""Cents: rounding half up, and shares that add up.

Line amounts come from the till unrounded, so the rounded lines differ from the
sale by cents (fact sheet A8.3). `distribute` rounds them so that they add up to
the sale, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

ZERO = Decimal(0)
CENT = Decimal("0.01")


def cents(amount: Decimal, step: Decimal = CENT) -> Decimal:
    """Round half away from zero, as tills and receipts do; never minus zero."""
    rounded = amount.quantize(step, ROUND_HALF_UP)
    return rounded or ZERO.quantize(step)


def distribute(total: Decimal, weights: Sequence[Decimal], step: Decimal = CENT) -> list[Decimal]:
    """Round `weights` to whole steps that add up to `total` exactly.

    Weights are the unrounded shares. A difference of cents goes to those that
    rounding hurt most; a larger one is spread in proportion first. Shares of
    zero stay zero unless there are no others.
    """
    if not weights:
        return []
    total = cents(total, step)
    rounded = [cents(weight, step) for weight in weights]
    if sum(rounded) == total:
        return rounded
    if total < 0:  # A refund gives back the very cents that its sale took.
        return [-share for share in distribute(-total, [-weight for weight in weights], step)]
    exact = _scaled(total, weights)
    floors = [share.quantize(step, ROUND_FLOOR) for share in exact]
    missing = int((total - sum(floors)) / step)
    by_loss = sorted(range(len(exact)), key=lambda at: (floors[at] - exact[at], at))
    for at in by_loss[:missing]:
        floors[at] += step
    floors[by_loss[0]] += total - sum(floors)  # What the limits of decimal division left over, if anything.
    return floors


def _scaled(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    size = sum(map(abs, weights))
    if not size:
        return [total / len(weights)] * len(weights)
    gap = total - sum(weights)
    return [weight + gap * abs(weight) / size for weight in weights]
