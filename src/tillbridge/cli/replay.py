"""`replay`: a receipt as it was read, beside what Salesforce holds; or the receipt sent again.

Like `explain` it shows people's data on the screen: whoever looks into one
receipt has to see it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_parts
from tillbridge.cli.runs import run_forced

if TYPE_CHECKING:
    from rich.table import Table

    from tillbridge.engine.replay import FieldRow, Preview


def send(desk: Desk, home: Path, sale: str, *, as_json: bool) -> int:
    """Read a sale from the till again and send it, changed or not."""
    wanted = {"customer": [], "product": [], "sale": [sale]}
    return run_forced(desk, home, wanted, as_json=as_json, kind="replay")


def look(desk: Desk, home: Path, sale: str, mapping: str, at: datetime | None, *, as_json: bool) -> int:
    """Show what a sale would become from what is kept of it, beside what Salesforce holds."""
    from tillbridge import config
    from tillbridge.engine.replay import NothingKept, preview

    when: Any = mapping
    nothing: NothingKept | None = None
    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "replay", writes=False) as counts,
    ):
        connection, own = parts.connect(as_kept=True), config.functions(parts.config)
        try:
            found = preview(connection, sale, mapping=when, at=at, functions=own)
            counts["differences"] = len(found.differences)
        except NothingKept as error:
            nothing = error  # An answer, and no failed run.
    if nothing is not None:
        desk.screen.note(words.sentence(str(nothing)))
        return words.NEEDS_PERSON
    if as_json:
        desk.screen.document(as_document(found))
    else:
        _show(desk, found)
    return words.DONE


def as_document(found: Preview) -> dict[str, Any]:
    """Put a preview into a document: every field, both sides."""
    return {
        "sale": found.sale,
        "key": found.key,
        "payload_since": found.seen_at,
        "mapping": found.mapping,
        "same_map": found.same_map,
        "left_out": found.left_out,
        "in_salesforce": found.in_crm,
        "differences": len(found.differences),
        "fields": [
            {
                "row": field.row,
                "object": field.object,
                "field": field.field,
                "would_send": field.would_send,
                "holds": field.holds,
                "differs": field.differs,
            }
            for field in found.fields
        ],
    }


def _show(desk: Desk, found: Preview) -> None:
    result = desk.screen.result
    which = "now" if found.mapping == "now" else "then"
    same = ", the same as now" if which == "then" and found.same_map else ""
    result.print(
        f"Sale {found.sale} as the till has shown it since {found.seen_at:%Y-%m-%d %H:%M} UTC, "
        f"by the field map of {which}{same}.",
        soft_wrap=True,
    )
    if found.left_out:
        result.print(f"It would not be sent: {found.left_out}.", soft_wrap=True)
    if not found.in_crm:
        result.print("Salesforce does not hold it.")
    if not found.differences:
        fields = words.several(len(found.fields), "field")
        result.print(f"✓ Salesforce holds just that: {fields} compared.", style="green")
        return
    result.print(_table(found.differences))
    differing = words.several(len(found.differences), "field")
    result.print(
        f"{differing} of {words.number(len(found.fields))} differ. Nothing was written; "
        f"`tillbridge replay sale {found.sale}` reads the till again and sends it.",
        soft_wrap=True,
    )


def _table(fields: list[FieldRow]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Row", "Field", "Would send", "Salesforce holds"):
        table.add_column(title)
    for field in fields:
        sides = (Text(_side(field.would_send)), Text(_side(field.holds)))
        table.add_row(field.row, field.field, *sides)
    return table


def _side(value: str | None) -> str:
    return "no such row" if value is None else words.plain(value) or "(empty)"
