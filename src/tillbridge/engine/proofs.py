"""What a certificate says: as a value, and as the document that is kept and handed on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tillbridge.sync.certify import (
    Cell,
    Difference,
    ReceiptDifference,
    Totals,
)


class Certificate(msgspec.Struct, frozen=True):
    """What was compared, and what differs. No differences: both systems agree to the cent.

    `content` says whether all content was compared, not only sums.
    """

    first: date | None
    last: date | None
    till: dict[Cell, Totals]
    crm: dict[Cell, Totals]
    differences: list[Difference]
    receipts: list[ReceiptDifference]
    content: bool = False
    id: int | None = None  # under which it is kept

    @property
    def agrees(self) -> bool:
        """Say whether both systems show the same."""
        return not self.differences and not self.receipts


def document(certificate: Certificate) -> dict[str, Any]:
    """Put a certificate into a document: every cell, both sides, and the receipts with their reasons."""
    cells = sorted(certificate.till.keys() | certificate.crm.keys())
    return {
        "id": certificate.id,
        "first": certificate.first,
        "last": certificate.last,
        "content": certificate.content,
        "agrees": certificate.agrees,
        "cells": [
            {
                **_named(cell),
                "till": _figures(certificate.till.get(cell)),
                "crm": _figures(certificate.crm.get(cell)),
            }
            for cell in cells
        ],
        "differences": [
            {**_named(d.cell), "measure": d.measure, "till": _told(d.till), "crm": _told(d.crm)}
            for d in certificate.differences
        ],
        "receipts": [
            {
                "key": r.key,
                **_named(r.cell),
                "what": r.what,
                "measures": list(r.measures),
                "reason": r.reason,
                "note": r.note,
                "fields": list(r.fields),
                "missed": r.missed,
            }
            for r in certificate.receipts
        ],
    }


def _named(cell: Cell) -> dict[str, Any]:
    return {"store": cell.store_code, "day": cell.business_date, "currency": cell.currency}


def _figures(totals: Totals | None) -> dict[str, Any] | None:
    if totals is None:
        return None
    figures = msgspec.structs.asdict(totals)
    payments: dict[str, Decimal] = figures.pop("payments")
    return {
        **{name: _told(figure) for name, figure in figures.items()},
        "payments": {tender: _told(amount) for tender, amount in sorted(payments.items())},
    }


def _told(figure: Decimal | int) -> str | int:
    return figure if isinstance(figure, int) else f"{figure:.2f}"


def from_document(body: Mapping[str, Any]) -> Certificate:
    """Read a certificate back from its document."""
    sides: dict[str, dict[Cell, Totals]] = {"till": {}, "crm": {}}
    for row in body["cells"]:
        for side, cells in sides.items():
            if row[side] is not None:
                cells[_cell(row)] = msgspec.convert(row[side], Totals)
    differences = [
        Difference(
            _cell(d), d["measure"], *(f if isinstance(f, int) else Decimal(f) for f in (d["till"], d["crm"]))
        )
        for d in body["differences"]
    ]
    receipts = [
        msgspec.convert({**r, "cell": _cell(r)}, ReceiptDifference, from_attributes=True)
        for r in body["receipts"]
    ]
    first, last = (date.fromisoformat(body[n]) if body[n] else None for n in ("first", "last"))
    return Certificate(
        first, last, sides["till"], sides["crm"], differences, receipts, body["content"], body["id"]
    )


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(row["store"], date.fromisoformat(row["day"]), row["currency"])
