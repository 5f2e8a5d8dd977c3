"""`certify`, and the tables that prove that both systems agree.

A long table is folded: totals of each store, the newest days, and every day
that differs. The JSON document holds all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_books, open_parts
from tillbridge.cli.status import moment
from tillbridge.model.errors import SyncError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from tillbridge.engine.certificate import Certificate
    from tillbridge.store.certificates import Made
    from tillbridge.sync.certify import Cell, Totals
    from tillbridge.wiring import Parts

# A table of up to so many lines is shown whole.
_LINES_MAX = 24

# Of a longer one, so many of the newest days are shown beside the totals.
_DAYS_SHOWN = 5

# A person looks into so many receipts at once; the document holds all.
_RECEIPTS_SHOWN = 40

# And at so many names of what differs in one of them.
_NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What `certify` was asked for: business days (None: from the beginning, to the end), and what to do."""

    first: date | None = None
    last: date | None = None
    content: bool | None = None  # None: of a single day everything, of more than one day sums
    repair: bool = False


def run_certify(desk: Desk, home: Path, asked: Asked, *, as_json: bool) -> int:
    """Compare both systems; repair what differs if that is wanted, and compare once more."""
    from tillbridge.engine.certificate import certify, document, repair
    from tillbridge.engine.sync import send_waiting

    repaired: dict[str, Any] = {}
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, "certify", writes=asked.repair) as counts:
            connection = parts.connect()
            if asked.repair:
                send_waiting(connection, counts)
            certificate = certify(connection, asked.first, asked.last, content=asked.content)
            if asked.repair and certificate.receipts:
                sent = repair(connection, certificate)
                before = certificate
                certificate = certify(connection, asked.first, asked.last, content=asked.content)
                repaired = {"before": document(before), "rows": {name: n for name, n in sent.items() if n}}
            counts["receipts"] = sum(totals.sales for totals in certificate.till.values())
            counts["differences"] = len(certificate.differences) + len(certificate.receipts)
        names = store_names(connection.around.stores.values(), connection.around.store_code)
        calls = {"lightspeed_calls": parts.till.calls, "salesforce_calls": parts.crm.calls}
    if as_json:
        more = {"repaired": repaired} if asked.repair else {}
        desk.screen.document({**document(certificate), **more, **calls})
    else:
        if repaired:
            _show_repair(desk, before, repaired["rows"])
        show(desk, certificate, names)
    return words.DONE if certificate.agrees else words.NEEDS_PERSON


def run_daily(desk: Desk, home: Path, *, mend: bool, as_json: bool) -> int:
    """Prove every business day that is over in its store and not yet proven; repair it if that is wanted."""
    from tillbridge.engine.certificate import document

    made: list[Certificate] = []
    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        with noted(parts, "certify") as counts:
            try:
                names = _prove_due(parts, made, counts, mend=mend)
            except SyncError as error:
                _note_held_up(parts, error)
                raise
        calls = {"lightspeed_calls": parts.till.calls, "salesforce_calls": parts.crm.calls}
    if as_json:
        desk.screen.document({"certificates": [document(each) for each in made], **calls})
    elif not made:
        desk.screen.result.print("Every business day that is over has its certificate already.")
    else:
        for each in made:
            show(desk, each, names)
    return words.DONE if all(each.agrees for each in made) else words.NEEDS_PERSON


def _prove_due(parts: Parts, made: list[Certificate], counts: Counter[str], *, mend: bool) -> dict[str, str]:
    """Poll, so that what is on its way has come; then prove day by day. Return the stores' names."""
    from tillbridge.engine.certificate import due, prove, repair
    from tillbridge.engine.sync import sync

    connection = parts.connect()
    if days := due(connection):
        counts.update(sync(connection))
    for day, stores in days.items():
        certificate = prove(connection, day, stores)
        if mend and certificate.receipts:
            counts.update(repair(connection, certificate))
            certificate = prove(connection, day, stores)
        made.append(certificate)
        counts["receipts"] += sum(totals.sales for totals in certificate.till.values())
        counts["differences"] += len(certificate.differences) + len(certificate.receipts)
    return store_names(connection.around.stores.values(), connection.around.store_code)


def _note_held_up(parts: Parts, error: SyncError) -> None:
    from tillbridge.store.days import Days

    Days(parts.state).note_held_up(str(error))


def list_certificates(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Show which certificates are kept, newest first."""
    from tillbridge.store.certificates import Certificates

    with open_books(desk, home) as (state, _journal, _people):
        found = Certificates(state).newest()
    if as_json:
        made = [{**msgspec.structs.asdict(each), "made_at": moment(each.made_at)} for each in found]
        desk.screen.document({"certificates": made})
    elif not found:
        desk.screen.result.print("No certificate has been made yet: `tillbridge certify` makes one.")
    else:
        _show_list(desk, found)
    return words.DONE


def show_certificate(desk: Desk, home: Path, number: int, *, as_json: bool) -> int:
    """Show one certificate as it was made."""
    from tillbridge.engine.certificate import from_document
    from tillbridge.store.certificates import Certificates

    with open_books(desk, home) as (state, _journal, _people):
        body = Certificates(state).body(number)
    if body is None:
        desk.screen.note(f"There is no certificate {number}; `tillbridge certify --list` shows them.")
        return words.NEEDS_PERSON
    if as_json:
        desk.screen.document({**body, "made_at": moment(body["made_at"])})
    else:
        show(desk, from_document(body), {})
    return words.DONE if body["agrees"] else words.NEEDS_PERSON


def store_names(stores: Iterable[Any], code_of: Any) -> dict[str, str]:
    """Return what people call a store, by its code."""
    return {code_of(store.id): store.name for store in stores}


# --- the table -----------------------------------------------------------------------------------


def show(desk: Desk, certificate: Certificate, names: Mapping[str, str]) -> None:
    """Print a certificate."""
    result = desk.screen.result
    if not certificate.till and not certificate.crm:
        result.print("Neither system holds a sale of these days: there is nothing to compare.")
        return
    result.print(table_of(certificate, names))
    result.print()
    if certificate.receipts:
        _show_receipts(desk, certificate)
    result.print(verdict(certificate), soft_wrap=True)


def verdict(certificate: Certificate) -> Text:
    """Say in one sentence whether both systems agree."""
    from rich.text import Text

    sales = sum(totals.sales for totals in certificate.till.values())
    span = f"{certificate.first} to {certificate.last}"
    if certificate.first == certificate.last:
        span = str(certificate.first)
    if certificate.agrees:
        cells = words.number(len(certificate.till))
        return Text(
            f"✓ Both systems agree to the cent: {words.several(sales, 'receipt')}, "
            f"{cells} store days, {span}.",
            "green",
        )
    days = {(d.cell.store_code, d.cell.business_date) for d in certificate.differences}
    figures = words.several(len(certificate.differences), "figure")
    told = f"{figures} of {words.several(len(days), 'store day')} differ, " if days else ""
    receipts = words.several(len(certificate.receipts), "receipt")
    return Text(
        f"✗ {told}{receipts} {'behind them' if days else 'in content'}. `tillbridge certify --repair` sends "
        "them again; `tillbridge replay sale ID --dry-run` shows one field by field.",
        "red",
    )


def table_of(certificate: Certificate, names: Mapping[str, str]) -> Table:
    """Return the folded table: totals a store, the newest days, every day that differs."""
    from rich.table import Table

    wrong = {d.cell for d in certificate.differences}
    cells = sorted(certificate.till.keys() | certificate.crm.keys())
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Store")
    table.add_column("Day")
    for title in ("Sales", "Voided", "Total", "Tax", "Discounts", "Refunds", "Payments"):
        table.add_column(title, justify="right")
    table.add_column("")
    for group in _by_store(cells):
        shown, folded = _folded(group, wrong, whole=len(cells) <= _LINES_MAX)
        store, currency = group[0].store_code, group[0].currency
        name = f"{store} {names[store]}" if names.get(store, store) != store else store
        if folded or len(group) > 1:
            days = f"all {words.number(len(group))} days"
            table.add_row(*_line(certificate, group, f"{name} ({currency})", days, wrong), style="bold")
        for n, cell in enumerate(shown):
            label = "" if folded or len(group) > 1 or n else f"{name} ({currency})"
            table.add_row(*_line(certificate, [cell], label, str(cell.business_date), wrong))
        table.add_section()
    return table


def _by_store(cells: Sequence[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.store_code, cell.currency), []).append(cell)
    return list(groups.values())


def _folded(group: Sequence[Cell], wrong: Collection[Cell], *, whole: bool) -> tuple[list[Cell], bool]:
    """Return the days to show, and whether some stay folded."""
    if whole:
        return list(group), False
    newest = set(group[-_DAYS_SHOWN:])
    shown = [cell for cell in group if cell in newest or cell in wrong]
    return shown, len(shown) < len(group)


def _line(
    certificate: Certificate, cells: Sequence[Cell], store: str, day: str, wrong: Collection[Cell]
) -> list[str | Text]:
    from rich.text import Text

    ours, theirs = _sum(certificate.till, cells), _sum(certificate.crm, cells)
    differing = any(cell in wrong for cell in cells)
    figures = [
        _figure(ours.sales, theirs.sales),
        _figure(ours.voided, theirs.voided),
        _figure(ours.total, theirs.total),
        _figure(ours.tax, theirs.tax),
        _figure(ours.discount, theirs.discount),
        _figure(ours.refunds, theirs.refunds),
        _figure(_paid(ours), _paid(theirs)),
    ]
    mark = Text("✗", "red") if differing else Text("✓", "green")
    return [store, day, *figures, mark]


def _figure(ours: Decimal | int, theirs: Decimal | int) -> Text:
    """Show one number where both sides agree, both where they do not: the till's first."""
    from rich.text import Text

    if ours == theirs:
        return Text(money(ours))
    return Text(f"{money(ours)} ≠ {money(theirs)}", "red")


def money(figure: Decimal | int) -> str:
    """Write a figure with its thousands apart."""
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:,.2f}"


def _paid(totals: Totals) -> Decimal:
    return sum(totals.payments.values(), Decimal(0))


def _sum(side: Mapping[Cell, Totals], cells: Iterable[Cell]) -> Totals:
    from tillbridge.sync.certify import NOTHING

    total = NOTHING
    for cell in cells:
        if cell in side:
            total += side[cell]
    return total


def _show_receipts(desk: Desk, certificate: Certificate) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Receipt", "Store", "Day", "What differs", "Why"):
        table.add_column(title)
    for receipt in certificate.receipts[:_RECEIPTS_SHOWN]:
        differing = receipt.measures or receipt.fields
        named = f" ({words.joined(differing, _NAMES_SHOWN)})" if differing else ""
        why = f"{receipt.reason}: {words.plain(receipt.note)}" if receipt.reason else ""
        cell = receipt.cell
        where = Text(receipt.key), Text(cell.store_code), str(cell.business_date)
        table.add_row(*where, Text(receipt.what + named), Text(why))
    desk.screen.result.print(table)
    if len(certificate.receipts) > _RECEIPTS_SHOWN:
        more = len(certificate.receipts) - _RECEIPTS_SHOWN
        desk.screen.result.print(f"and {words.several(more, 'more receipt')}; --json lists all.")
    desk.screen.result.print()


def _show_repair(desk: Desk, before: Certificate, rows: Mapping[str, int]) -> None:
    """Say what was found first, and what was done about it."""
    found = Counter(receipt.reason or receipt.what for receipt in before.receipts)
    reasons = ", ".join(f"{words.number(n)} {reason}" for reason, n in found.most_common())
    receipts = words.several(len(before.receipts), "receipt")
    desk.screen.result.print(
        f"{receipts} differed: {reasons}. Sent again: {words.counted(rows)}.", soft_wrap=True
    )
    desk.screen.result.print()


def _show_list(desk: Desk, found: Sequence[Made]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Certificate", "Made at", "First day", "Last day", "Differences"):
        table.add_column(title, justify="right" if title in {"Certificate", "Differences"} else "left")
    for made in found:
        count = Text(words.number(made.differences), "red" if made.differences else "green")
        table.add_row(str(made.id), moment(made.made_at), made.first or "", made.last or "", count)
    desk.screen.result.print(table)
