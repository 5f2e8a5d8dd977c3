"""One receipt: as the till shows it, as it was sent, where it stands and since when, what came back of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.alerts import INSTANCE
from tillbridge.config import Config
from tillbridge.model.records import Sale
from tillbridge.model.sale import BuyerStanding, Ref, Surroundings, lands, sale_facts
from tillbridge.store import schema
from tillbridge.store.lists import among
from tillbridge.store.receipts import Receipt, Receipts
from tillbridge.sync.fieldmap import KEY_LETTERS, FieldMap, Mapped, key
from tillbridge.views.books import Books, Names
from tillbridge.views.customers import name_of
from tillbridge.views.figures import Stores, moment, moment_of, money, quantity
from tillbridge.views.kinds import Kind, kinds_of, maps_of
from tillbridge.views.problems import ProblemLine, problem_line
from tillbridge.views.sales import SaleLine, lines_of

_receipt, _line, _record, _article = schema.receipt, schema.receipt_line, schema.record, schema.article


class Good(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a receipt."""

    id: str
    product_id: str | None
    sku: str | None
    title: str | None
    seller: str | None
    quantity: Decimal
    unit_price: Decimal | None  # None: what the till showed is kept no longer
    discount: Decimal | None
    tax: Decimal | None
    total: Decimal
    comes_back_from: str | None  # the sale of the line that it gives back


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of a receipt."""

    id: str
    tender: str
    amount: Decimal
    tip: Decimal
    paid_at: datetime | None
    taken_back: bool


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Another record that a field leads to. `place`: its page behind the connection's own, if it has one."""

    kind: str
    id: str
    name: str | None
    place: str | None


class SentField(msgspec.Struct, frozen=True, kw_only=True):
    """One field as the field map writes it. `leads_to`: the record that a reference means.

    `waits`: that record is not in the CRM, so the field is empty there until it is.
    """

    field: str
    kind: Kind
    value: str | None
    leads_to: Named | None
    waits: bool


class SentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the CRM that a receipt becomes."""

    kind: str
    id: str
    key: str | None
    object: str
    crm_id: str | None
    link: str | None
    state: str | None
    reason: str | None
    fields: list[SentField]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a receipt's way. `done` None: it has gone wrong there."""

    what: str  # rung up, read, confirmed, verified, proven
    at: datetime | None
    done: bool | None
    told: str | None


class ReceiptPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one receipt."""

    head: SaleLine
    key: str | None
    link: str | None
    register: str | None
    channel: str
    subtotal: Decimal | None
    discount: Decimal | None
    tax: Decimal
    net: Decimal
    notes: list[str]
    goods: list[Good]
    tenders: list[Tender]
    sent: list[SentRow]
    stages: list[Stage]
    waits_for: list[str]
    comes_back_from: list[SaleLine]
    came_back_with: list[SaleLine]
    problems: list[ProblemLine]
    is_kept: bool  # what the till showed is kept in full


def receipt(books: Books, sale_id: str, *, stores: Stores = None) -> ReceiptPage | None:
    """Return a receipt; None when it was never read, or is of a store that is not to be seen."""
    with books.look() as c:
        row = c.execute(sa.select(_receipt).where(_receipt.c.till_id == sale_id)).first()
        if row is None or (stores is not None and row.store not in stores):
            return None
        held = Receipts(books.state).read(c, [sale_id])[sale_id]
        columns = ("kind", "till_id", "object", "crm_id", "state", "reason", "moved_at", "verified_at", "run")
        asked = sa.select(*(_record.c[name] for name in columns))
        own = c.execute(asked.where(_record.c.kind == "sale", _record.c.till_id == sale_id)).first()
        parts = c.execute(asked.where(_record.c.parent == sale_id)).all()
        # Goods that come back name the line that they were sold with.
        origins = _sold_with(c, [line.original for line in held.lines if line.original is not None])
        back = _came_back(c, held)
    waits_for = books.state.missing_for([sale_id]).get(sale_id, [])
    kept = books.raw.sales([sale_id]).get(sale_id)
    sale = kept[0] if kept else None
    names, around = books.names(), books.around()
    related = _lines(books, {*origins.values(), *back}, stores)
    origins = {line: sale_id for line, sale_id in origins.items() if stores is None or sale_id in related}
    link = (books.state.fact(INSTANCE) or "").rstrip("/")
    problems = [problem_line(p) for p in books.journal.problems_of("sale", sale_id)]
    return ReceiptPage(
        head=lines_of(books, [row])[0],
        key=_key(books, "sale", sale_id),
        link=f"{link}/{own.crm_id}" if link and own and own.crm_id else None,
        register=row.register,
        channel=row.channel,
        subtotal=sale.subtotal if sale else None,
        discount=sale.discount if sale else None,
        tax=money(row.tax),
        net=money(row.net),
        notes=[note for note in (sale.printed_note, sale.internal_note) if note] if sale else [],
        goods=list(_goods(books, held, sale, names, origins)),
        tenders=list(_tenders(sale)) if sale else [],
        sent=list(
            _sent(
                books,
                sale,
                around,
                {(r.kind, r.till_id): r for r in (*parts, own) if r},
                link,
                waits_for,
                stores,
            )
        ),
        stages=list(_stages(books, row, own, kept[1] if kept else None, problems)),
        waits_for=waits_for,
        comes_back_from=[related[i] for i in sorted(set(origins.values())) if i in related],
        came_back_with=[related[i] for i in back if i in related],
        problems=problems,
        is_kept=sale is not None,
    )


def _sold_with(c: sa.Connection, lines: Collection[str]) -> dict[str, str]:
    """Return the sale that each of these lines stands in."""
    asked = sa.select(_line.c.till_id, _line.c.sale).where(among(_line.c.till_id, lines))
    return {row.till_id: row.sale for row in c.execute(asked)} if lines else {}


def _came_back(c: sa.Connection, held: Receipt) -> list[str]:
    """Return the sales with which goods of this one came back."""
    own = [line.till_id for line in held.lines]
    asked = sa.select(_line.c.sale).distinct()
    given = _line.c.original.isnot(None)
    return sorted(c.execute(asked.where(given, among(_line.c.original, own))).scalars()) if own else []


def _lines(books: Books, ids: Collection[str], stores: Stores) -> dict[str, SaleLine]:
    if not ids:
        return {}
    with books.look() as c:
        rows = c.execute(sa.select(_receipt).where(among(_receipt.c.till_id, ids))).all()
    seen = [row for row in rows if stores is None or row.store in stores]
    return {line.id: line for line in lines_of(books, seen)}


def _goods(
    books: Books, held: Receipt, sale: Sale | None, names: Names, origins: Mapping[str, str]
) -> Iterator[Good]:
    products = [line.product for line in held.lines if line.product is not None]
    called = _articles(books, products)
    shown = {line.id: line for line in sale.lines} if sale else {}
    for line in held.lines:
        article, full = called.get(line.product or ""), shown.get(line.till_id)
        yield Good(
            id=line.till_id,
            product_id=line.product,
            sku=article.sku if article else full.sku if full else None,
            title=article.title if article else full.description if full else None,
            seller=names.employee(line.seller),
            quantity=quantity(line.units),
            unit_price=full.unit_price if full else None,
            discount=full.discount if full else None,
            tax=full.tax1 + full.tax2 if full else None,
            total=money(line.total),
            comes_back_from=origins.get(line.original or ""),
        )


def _tenders(sale: Sale) -> Iterator[Tender]:
    for each in sale.payments:
        yield Tender(
            id=each.id,
            tender=each.tender,
            amount=each.amount,
            tip=each.tip,
            paid_at=each.paid_at,
            taken_back=each.archived,
        )


def _sent(
    books: Books,
    sale: Sale | None,
    around: Surroundings | None,
    standing: Mapping[tuple[str, str], Any],
    link: str,
    waits_for: Collection[str],
    stores: Stores,
) -> Iterator[SentRow]:
    """Map what the till showed as it is mapped when it is sent; the org's own cuts come on top of it."""
    facts: dict[tuple[str, str], msgspec.Struct] = {}
    if sale is not None and around is not None and lands(sale):
        whole = sale_facts(sale, around)
        facts = {("sale", sale.id): whole}
        facts |= {("line", line.id): line for line in whole.lines}
        facts |= {("payment", payment.id): payment for payment in whole.payments}
    config = books.config
    maps = {table.name: table for table in maps_of(config).all()}
    payloads = {(kind, i): _written(maps[kind], fact, config) for (kind, i), fact in facts.items()}
    names = _leads(
        books, [v for each in payloads.values() for v in each.values() if isinstance(v, Ref)], stores
    )
    for kind, till_id in sorted({*facts, *standing}, key=lambda k: (_ORDER.index(k[0]), len(k[1]), k[1])):
        record, payload = standing.get((kind, till_id)), payloads.get((kind, till_id), {})
        crm_id, kinds = record.crm_id if record else None, kinds_of(maps[kind], config)
        yield SentRow(
            kind=kind,
            id=till_id,
            key=_key(books, kind, till_id),
            object=(record.object if record else None) or maps[kind].object,
            crm_id=crm_id,
            link=f"{link}/{crm_id}" if link and crm_id else None,
            state=record.state if record else None,
            reason=record.reason if record else None,
            fields=[
                SentField(
                    field=n,
                    kind=kinds.get(n, "text"),
                    value=t,
                    leads_to=_lead(v, names),
                    waits=isinstance(v, Ref) and f"{v.kind} {v.id}" in waits_for,
                )
                for n, v in payload.items()
                if (t := _text(v)) is not None
            ],
        )


# Which of a person's records a lookup may lead to, by how customers are kept here.
_PARTS = {
    "person_account": {"account"},
    "contact": {"account", "contact"},
    "lead": {"account", "contact", "lead"},
}


def _written(table: FieldMap, fact: msgspec.Struct, config: Config) -> Mapped:
    """Map a fact; a person is named in the lookups that this model has alone."""
    parts = _PARTS[config.customers.model]
    refs = {name: ref.part for name, ref in table.refs.items()}
    return {n: v for n, v in table(fact).items() if refs.get(n) is None or refs[n] in parts}


# --- the records that fields lead to ---------------------------------------------------------------


def _leads(books: Books, refs: Collection[Ref], stores: Stores) -> dict[Ref, Named]:
    """Return what these records are called, and where their pages are."""
    by_kind: dict[str, set[str]] = {}
    for ref in refs:
        by_kind.setdefault(ref.kind, set()).add(ref.id)
    buyers = books.arrivals.people(by_kind.get("customer", set()))
    with books.look() as c:
        sold_with = _sold_with(c, by_kind.get("line", set()) | by_kind.get("sale_of_line", set()))
    sales = _lines(books, {*by_kind.get("sale", ()), *sold_with.values()}, stores)
    goods = _articles(books, by_kind.get("product", set()))
    names = books.names()
    found: dict[Ref, Named] = {}
    name: str | None
    place: str | None
    for ref in refs:
        match ref.kind:
            case "customer":
                name = name_of(buyers[ref.id]) if ref.id in buyers else None
                place = f"customers/{ref.id}"
            case "store":
                name, place = names.stores.get(ref.id), f"stores?store={ref.id}"
            case "employee":
                name, place = names.employees.get(ref.id), None
            case "product":
                name = goods[ref.id].title if ref.id in goods else None
                place = f"products/{ref.id}"
            case "sale" | "line" | "sale_of_line":
                sale = ref.id if ref.kind == "sale" else sold_with.get(ref.id, "")
                line = f"Line {ref.id} of " if ref.kind == "line" else ""
                name = f"{line}Ticket {sales[sale].ticket or sale}" if sale in sales else None
                place = f"sales/{sale}" if sale in sales else None
            case _:
                name = place = None
        found[ref] = Named(kind=ref.kind, id=ref.id, name=name, place=place)
    return found


def _lead(value: object, names: Mapping[Ref, Named]) -> Named | None:
    return names.get(value) if isinstance(value, Ref) else None


def _articles(books: Books, products: Collection[str]) -> dict[str, Any]:
    with books.look() as c:
        asked = sa.select(_article.c.till_id, _article.c.sku, _article.c.title)
        return {row.till_id: row for row in c.execute(asked.where(among(_article.c.till_id, products)))}


_ORDER = ("sale", "line", "payment")


def _text(value: object) -> str | None:
    match value:
        case None | BuyerStanding():
            return None  # How the buyer stands is found out when the receipt is sent.
        case Ref():
            return f"{value.kind.replace('_', ' ')} {value.id}"
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
    return str(value)


def _key(books: Books, kind: str, till_id: str) -> str | None:
    return key(books.config.lightspeed.account_id, kind, till_id) if kind in KEY_LETTERS else None


def _stages(
    books: Books, row: Any, own: Any, seen_at: float | None, problems: Collection[ProblemLine]
) -> Iterator[Stage]:
    """Say where a receipt is: each step with its time, up to the proof of its day."""
    yield Stage(what="rung up", at=moment_of(row.at), done=True, told=None)
    first = row.read_at if seen_at is None else min(row.read_at, seen_at)
    yield Stage(what="read", at=moment_of(first), done=True, told=None)
    is_wrong = own is not None and own.state == "problem"
    is_there = own is not None and own.crm_id is not None
    stays = own is not None and own.state in {"left_out", "open"}
    told = own.reason if own is not None else "it is on its way"
    open_problem = next((p for p in problems if p.state != "resolved"), None)
    yield Stage(
        what="confirmed",
        at=moment(own.moved_at) if is_there and not is_wrong else None,
        done=None if is_wrong else is_there,
        told=open_problem.message if is_wrong and open_problem else told,
    )
    if stays:
        return
    yield Stage(
        what="verified",
        at=moment(own.verified_at) if own else None,
        done=own is not None and own.verified_at is not None,
        told=None,
    )
    yield _proof(books, row)


def _proof(books: Books, row: Any) -> Stage:
    code = books.names().code(row.store)
    proven = books.days.proven().get(code)
    is_over = proven is not None and row.day <= proven.isoformat()
    differs = next((d for d in books.days.disagreeing() if (d.store, d.day) == (code, row.day)), None)
    told = f"{differs.receipts} receipts of that day differ" if differs else None
    return Stage(what="proven", at=None, done=None if differs else is_over, told=told)
