"""Make a payload fit what the org says of its fields: degrade the field, never lose the record.

Notes say what was done, by field and never by value. Two things are left as
they are, so that the target refuses the row and somebody sees it: a value that
a restricted picklist does not know, and a required field with nothing in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Literal

import msgspec

from tillbridge.model.countries import country_code
from tillbridge.model.emails import well_formed
from tillbridge.model.states import state_code as code_of_state
from tillbridge.model.writing import FieldFacts, ObjectFacts, Value

# The most decimals that a number field can have.
_SCALE_MAX = 18
_WIDE = Context(prec=64)  # the ordinary 28 digits are too few for large numbers of many decimals
_STEPS = [Decimal(1).scaleb(-scale) for scale in range(_SCALE_MAX + 1)]

What = Literal["cut", "dropped", "rounded", "moved", "refused value", "missing", "unknown field"]


class Note(msgspec.Struct, frozen=True):
    """What had to be done to one field, or what the target will not like about it."""

    field: str
    what: What
    text: str


# An address's text fields, and how the vendor names their coded twins (fact sheet 7.1).
_STATE, _COUNTRY, _STREET = "State", "Country", "Street"
_CODE = "Code"
_ADDRESSES = {
    f"{prefix}CountryCode": prefix
    for prefix in ("", "PersonMailing", "PersonOther", "Mailing", "Other", "Billing", "Shipping")
}


def fit(
    payload: Mapping[str, Any], facts: ObjectFacts, *, creating: bool = False
) -> tuple[dict[str, Any], list[Note]]:
    """Return the payload as the org can take it, and what was done; `creating` asks for required fields."""
    notes: list[Note] = []
    fitted = _addresses(payload, facts, notes)
    fields = facts.fields
    for name, value in list(fitted.items()):
        field = fields.get(name)
        if field is None:
            if name == "Id" or "." in name:
                continue
            del fitted[name]
            notes.append(Note(name, "unknown field", f"{facts.name} has no field {name} that we may see"))
        elif value is not None:
            kind = type(value)
            if kind is str:
                if field.restricted or field.type == "email" or 0 < field.length < len(value):
                    fitted[name] = _text(value, field, notes)
            elif kind is Decimal:
                fitted[name] = _number(value, field, notes)
            elif kind is datetime and field.type == "date":
                fitted[name] = value.date()
    if creating:
        notes += _missing(fitted, facts)
    return fitted, notes


def _text(value: str, field: FieldFacts, notes: list[Note]) -> Value:
    if field.length and len(value) > field.length:
        notes.append(Note(field.name, "cut", f"cut from {len(value)} to {field.length} characters"))
        value = value[: field.length].rstrip()
    if field.type == "email" and not well_formed(value):
        notes.append(Note(field.name, "dropped", "this is no e-mail address"))
        return None
    if field.restricted and field.values and value not in field.values:
        notes.append(
            Note(field.name, "refused value", "the picklist is restricted and does not have this value")
        )
    return value


def _number(value: Decimal, field: FieldFacts, notes: list[Note]) -> Decimal | int:
    if field.type == "int":
        return int(value.to_integral_value(ROUND_HALF_UP))
    if not field.precision:
        return value
    step = _STEPS[field.scale]
    rounded = value.quantize(step, ROUND_HALF_UP, _WIDE)
    if rounded != value:
        notes.append(Note(field.name, "rounded", f"rounded to {field.scale} decimals"))
    return rounded


def _missing(payload: Mapping[str, Any], facts: ObjectFacts) -> list[Note]:
    return [
        Note(name, "missing", "the org demands a value here")
        for name, field in facts.fields.items()
        if field.required and field.createable and payload.get(name) in {None, ""}
    ]


@dataclass(frozen=True, slots=True)
class CodedAddresses:
    """How an org spells places: fields never written there (`silent`), and whose name a code's field is."""

    silent: frozenset[str]
    names: Mapping[str, str]


def coded_addresses(targets: Collection[str], facts: ObjectFacts) -> CodedAddresses:
    """Say which of an address's twin fields this org is written by: the codes where it has them."""
    silent: set[str] = set()
    names: dict[str, str] = {}
    for field, prefix in _ADDRESSES.items():
        texts = (prefix + _STATE, prefix + _COUNTRY)
        if field not in targets:
            continue
        if field in facts.fields:
            silent.update(texts)
            names.update({text + _CODE: text for text in texts})
        else:
            silent.update(text + _CODE for text in texts)
    return CodedAddresses(frozenset(silent), names)


def _addresses(payload: Mapping[str, Any], facts: ObjectFacts, notes: list[Note]) -> dict[str, Any]:
    """Settle text against codes: an org has either free text or picklists for states and countries."""
    fitted = dict(payload)
    for name, prefix in _ADDRESSES.items():
        if name in payload:
            _one_address(prefix, fitted, facts, notes)
    return fitted


def _one_address(prefix: str, fitted: dict[str, Any], facts: ObjectFacts, notes: list[Note]) -> None:
    state, country = fitted.get(prefix + _STATE), fitted.get(prefix + _COUNTRY)
    state_code = fitted.pop(prefix + _STATE + _CODE, None)
    land_code = fitted.pop(prefix + _COUNTRY + _CODE, None)
    land_facts = facts.fields.get(prefix + _COUNTRY + _CODE)
    if land_facts is None:
        return  # Free text: codes have no place to go.
    fitted.pop(prefix + _STATE, None)
    fitted.pop(prefix + _COUNTRY, None)
    land_code = _known(land_code or (country_code(country) if country else None), land_facts)
    # A state needs its country, and codes win over text (fact sheet 7.1).
    state_code = state_code or (code_of_state(state, land_code) if state else None)
    state_code = _known(state_code, facts.fields.get(prefix + _STATE + _CODE)) if land_code else None
    fitted[prefix + _COUNTRY + _CODE], fitted[prefix + _STATE + _CODE] = land_code, state_code
    homeless = [text for text, code in ((state, state_code), (country, land_code)) if text and not code]
    if homeless:
        fitted[prefix + _STREET] = "\n".join(
            filter(None, (fitted.get(prefix + _STREET), ", ".join(homeless)))
        )
        notes.append(Note(prefix + _STREET, "moved", "the org's lists do not know this state or country"))


def _known(code: str | None, field: FieldFacts | None) -> str | None:
    if not code or field is None:
        return None
    code = code.upper()
    return code if not field.values or code in field.values else None
