"""Certificates as a calendar of stores and days, and one certificate with the receipts that differ."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.views.books import Books
from tillbridge.views.figures import PAGE, Stores, moment, moment_of

_certificate = schema.certificate

Standing = Literal["agrees", "differs", "open"]
_DAYS_MAX = 92
_LOOKS_MAX = 20
# What holds a proof up may be a receipt of any store.
_HELD_UP = "The days to come are not proven yet; somebody who sees all stores can tell why."


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One store's day: both systems' figures of the newest certificate that looked at it."""

    day: str
    standing: Standing
    certificate: int | None
    sales: int
    till: Decimal | None
    crm: Decimal | None
    receipts: int  # that differ


class StoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """A store's days."""

    store_id: str
    code: str
    store: str
    proven_to: str | None
    days: list[Mark]


class MadeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of the list."""

    id: int
    made_at: datetime
    first: str | None
    last: str | None
    differences: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar, and the latest certificates."""

    first: str
    last: str
    stores: list[StoreRow]
    newest: list[MadeLine]
    held_up: str | None
    held_up_since: datetime | None


class DifferingReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt that both systems do not show alike, and why."""

    key: str
    sale: str | None  # the till's number; None: the key was made up by somebody
    store: str
    day: str
    what: str
    reason: str | None
    note: str | None
    fields: list[str]


class DifferingFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a store's day that both systems do not show alike."""

    store: str
    day: str
    currency: str
    measure: str
    till: str
    crm: str


class CertificatePage(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate, as far as its stores may be seen."""

    id: int
    made_at: datetime
    first: str | None
    last: str | None
    agrees: bool
    content: bool
    figures: list[DifferingFigure]
    receipts: list[DifferingReceipt]
    cells: list[Mark]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that looked at a day."""

    id: int
    made_at: datetime
    differs: bool


class StoreDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one store, as the newest certificate that looked at it says."""

    store_id: str
    store: str
    currency: str
    mark: Mark
    proven_to: str | None
    content: bool  # every field of every receipt was compared
    figures: list[DifferingFigure]
    receipts: list[DifferingReceipt]
    looks: list[Look]
    before: str
    after: str


def certificates(books: Books, first: date, last: date, *, stores: Stores = None) -> Calendar:
    """Return the days from `first` to `last`, at most a quarter of a year of them."""
    first = max(first, last - timedelta(days=_DAYS_MAX - 1))
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    marks = _marks(books, first, last)
    names, proven = books.names(), books.days.proven()
    differs = {(each.store, each.day) for each in books.days.disagreeing()}
    held_up = books.days.held_up()
    rows = []
    for store_id, title in sorted(names.stores.items(), key=lambda item: item[1]):
        if stores is not None and store_id not in stores:
            continue
        code = names.code(store_id)
        last_proven = proven.get(code)
        to = last_proven.isoformat() if last_proven else None
        rows.append(
            StoreRow(
                store_id=store_id,
                code=code,
                store=title,
                proven_to=to,
                days=[
                    marks.get((code, day))
                    or _unmarked(day, is_over=to is not None and day <= to, differs=(code, day) in differs)
                    for day in days
                ],
            )
        )
    return Calendar(
        first=first.isoformat(),
        last=last.isoformat(),
        stores=rows,
        newest=[
            MadeLine(
                id=made.id,
                made_at=moment_of(made.made_at),
                first=made.first,
                last=made.last,
                differences=made.differences,
            )
            for made in (books.certificates.newest(PAGE) if stores is None else [])
        ],
        held_up=(held_up.why if stores is None else _HELD_UP) if held_up else None,
        held_up_since=moment(held_up.since) if held_up else None,
    )


def _unmarked(day: str, *, is_over: bool, differs: bool) -> Mark:
    """Return the mark of a day without a certificate of its own: one that nothing was sold on, or to come."""
    standing: Standing = "differs" if differs else "agrees" if is_over and not differs else "open"
    return Mark(day=day, standing=standing, certificate=None, sales=0, till=None, crm=None, receipts=0)


def _marks(books: Books, first: date, last: date) -> dict[tuple[str, str], Mark]:
    """Read the certificates that looked at these days; of a store's day the newest counts."""
    where = (
        sa.func.coalesce(_certificate.c.last, "9999-12-31") >= first.isoformat(),
        sa.func.coalesce(_certificate.c.first, "0001-01-01") <= last.isoformat(),
    )
    statement = sa.select(_certificate.c.id, _certificate.c.body).where(*where).order_by(_certificate.c.id)
    with books.look() as c:
        rows = c.execute(statement).all()
    marks: dict[tuple[str, str], Mark] = {}
    for row in rows:
        for code, mark in marks_of(json.loads(row.body), row.id):
            if first.isoformat() <= mark.day <= last.isoformat():
                marks[code, mark.day] = mark
    return marks


def marks_of(body: dict[str, Any], number: int) -> list[tuple[str, Mark]]:
    """Bring a certificate's cells into marks, each with its store's code."""
    wrong: dict[tuple[str, str], int] = {}
    for each in body["differences"]:
        wrong.setdefault((each["store"], each["day"]), 0)
    for each in body["receipts"]:
        place = (each["store"], each["day"])
        wrong[place] = wrong.get(place, 0) + 1
    return [
        (
            cell["store"],
            Mark(
                day=cell["day"],
                standing="differs" if (cell["store"], cell["day"]) in wrong else "agrees",
                certificate=number,
                sales=int((cell["till"] or cell["crm"] or {}).get("sales", 0)),
                till=_total(cell["till"]),
                crm=_total(cell["crm"]),
                receipts=wrong.get((cell["store"], cell["day"]), 0),
            ),
        )
        for cell in body["cells"]
    ]


def _total(figures: dict[str, Any] | None) -> Decimal | None:
    return None if figures is None else Decimal(figures["total"])


def _receipt(each: Mapping[str, Any]) -> DifferingReceipt:
    _, _, number = each["key"].rpartition("-S")
    return DifferingReceipt(
        key=each["key"],
        sale=number if number.isdecimal() else None,
        store=each["store"],
        day=each["day"],
        what=each["what"],
        reason=each["reason"],
        note=each["note"],
        fields=list(each["fields"]),
    )


def _figure(each: Mapping[str, Any]) -> DifferingFigure:
    return DifferingFigure(
        store=each["store"],
        day=each["day"],
        currency=each["currency"],
        measure=each["measure"],
        till=str(each["till"]),
        crm=str(each["crm"]),
    )


# --- one day of one store --------------------------------------------------------------------------


def store_day(books: Books, store_id: str, day: date, *, stores: Stores = None) -> StoreDay | None:
    """Return one day of one store; None when there is no such store, or it is not to be seen."""
    names = books.names()
    if store_id not in names.stores or (stores is not None and store_id not in stores):
        return None
    code, text = names.code(store_id), day.isoformat()
    looks = [(row, json.loads(row.body)) for row in _that_looked_at(books, text)]
    newest = next(
        ((row, body, mark) for row, body in looks if (mark := _mark(body, row.id, code, text))), None
    )
    proven = books.days.proven().get(code)
    to = proven.isoformat() if proven else None
    differs = any((each.store, each.day) == (code, text) for each in books.days.disagreeing())
    body: dict[str, Any] = newest[1] if newest else {"differences": [], "receipts": [], "content": False}
    here = {"store": code, "day": text}
    return StoreDay(
        store_id=store_id,
        store=names.store(store_id),
        currency=names.currency,
        mark=newest[2] if newest else _unmarked(text, is_over=to is not None and text <= to, differs=differs),
        proven_to=to,
        content=bool(body["content"]),
        figures=[_figure(each) for each in body["differences"] if here.items() <= each.items()],
        receipts=[_receipt(each) for each in body["receipts"] if here.items() <= each.items()],
        looks=[
            Look(id=row.id, made_at=moment_of(row.made_at), differs=mark.standing == "differs")
            for row, body in looks
            if (mark := _mark(body, row.id, code, text))
        ],
        before=(day - timedelta(days=1)).isoformat(),
        after=(day + timedelta(days=1)).isoformat(),
    )


def _that_looked_at(books: Books, day: str) -> Sequence[Any]:
    where = (
        sa.func.coalesce(_certificate.c.last, "9999-12-31") >= day,
        sa.func.coalesce(_certificate.c.first, "0001-01-01") <= day,
    )
    columns = (_certificate.c.id, _certificate.c.made_at, _certificate.c.body)
    newest = sa.select(*columns).where(*where).order_by(_certificate.c.id.desc()).limit(_LOOKS_MAX)
    with books.look() as c:
        return c.execute(newest).all()


def _mark(body: dict[str, Any], number: int, code: str, day: str) -> Mark | None:
    cells = [cell for cell in body["cells"] if (cell["store"], cell["day"]) == (code, day)]
    found = marks_of({**body, "cells": cells}, number)
    return found[0][1] if found else None


# --- one certificate -------------------------------------------------------------------------------


def certificate(books: Books, number: int, *, stores: Stores = None) -> CertificatePage | None:
    """Return one certificate; None when there is none of that number."""
    body = books.certificates.body(number)
    if body is None:
        return None
    names = books.names()
    codes: Collection[str] | None = None if stores is None else {names.code(i) for i in stores}

    def is_seen(store: str) -> bool:
        return codes is None or store in codes

    figures = [each for each in body["differences"] if is_seen(each["store"])]
    receipts = [each for each in body["receipts"] if is_seen(each["store"])]
    return CertificatePage(
        id=number,
        made_at=moment_of(body["made_at"]),
        first=body["first"],
        last=body["last"],
        agrees=not figures and not receipts,
        content=body["content"],
        figures=[_figure(each) for each in figures],
        receipts=[_receipt(each) for each in receipts],
        cells=[mark for code, mark in marks_of(body, number) if is_seen(code)],
    )
