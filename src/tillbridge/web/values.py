"""How a field's value is shown: yes or no, a moment in the reader's time, an amount with thousands parted.

The value as the other system holds it is the title of what is shown in its place.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation

from markupsafe import Markup

from tillbridge.views.kinds import Kind
from tillbridge.web import words
from tillbridge.web.differences import differing

_NOTHING = Markup('<span class="text-secondary">–</span>')  # noqa: RUF001  The dash that stands for nothing.
_FLAGS = {"true": "Yes", "false": "No", "1": "Yes", "0": "No"}


def shown(text: str | None, kind: Kind = "text") -> Markup:
    """Return a value, escaped, as people read it."""
    if text is None or text == "":
        return _NOTHING
    match kind:
        case "flag" if said := _FLAGS.get(text.strip().casefold()):
            return Markup('<span title="{}">{}</span>').format(text, said)
        case "moment" if (at := _moment(text)) is not None:
            return Markup('<time datetime="{}" title="{}" data-raw="{}">{}</time>').format(
                at.isoformat(), text, text, words.clock(at)
            )
        case "amount" if (amount := _decimal(text)) is not None:
            return Markup('<span class="num-left" title="{}">{:,.2f}</span>').format(text, amount)
        case "number" if (amount := _decimal(text)) is not None:
            return Markup('<span class="num-left" title="{}">{:,f}</span>').format(
                text, _without_zeros(amount)
            )
        case "id":
            return Markup('<span class="mono-small">{}</span>').format(text)
        case "day":
            return Markup('<span class="num-left">{}</span>').format(text)
    return Markup("{}").format(text)


def beside(text: str | None, other: str | None, kind: Kind = "text") -> Markup:
    """Return a value as people read it, with what the other side's says otherwise marked."""
    if kind in {"text", "id", "day"} and text and other:
        return differing(text, other)
    if text is None or text == "" or _means(text, kind) == _means(other or "", kind):
        return shown(text, kind)
    return Markup('<mark class="differs">{}</mark>').format(shown(text, kind))


def _means(text: str, kind: Kind) -> object:
    """Return what a value is, whatever its spelling."""
    match kind:
        case "flag":
            return _FLAGS.get(text.strip().casefold(), text)
        case "moment":
            return _moment(text) or text
        case "amount" | "number":
            return text if (found := _decimal(text)) is None else found
    return text


def _moment(text: str) -> datetime | None:
    try:
        return words.moment(text.strip())
    except ValueError:
        return None


def _decimal(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _without_zeros(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()
