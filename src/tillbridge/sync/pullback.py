"""Turn the field map round: which fields of the CRM go back to the till, to which slot, and as what.

A line goes back when it does nothing but spell one plain attribute: `Email =
"email"`, `Phone = "work_phone | e164"`. Constants, lists, custom fields of the
till and everything that is derived stay one way. Where two lines write the same
attribute, the first one is the way back: one slot cannot follow two fields.

Four things a reader would get wrong. The till's name and e-mail may be derived
(a lone first name shows as the last name, a lone secondary e-mail as the
e-mail): an edit of a derived one writes both slots, else the other slot would
shine through. A state and a country have two slots each, the name and its
letters, which always move together. A phone number is read as dialled in the
country of the address, so that it may have to be spelt with its own. And
nothing is made to fit: what the till cannot hold is refused with the reason.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from tillbridge.model.countries import country_code
from tillbridge.model.customer import display_names, region_of
from tillbridge.model.phones import e164
from tillbridge.model.records import Address, Customer
from tillbridge.model.states import state_code, state_name
from tillbridge.model.times import birth_midnight
from tillbridge.model.writing import TILL_SLOTS, ObjectFacts, TillSlot, TillValue
from tillbridge.sync.alike import same_email
from tillbridge.sync.fieldmap import FieldMap, steps_of
from tillbridge.sync.fit import coded_addresses
from tillbridge.sync.functions import RESPELLING

# The flags by which somebody says no. False proves no consent, and blank says nothing at all.
OPT_OUTS: frozenset[TillSlot] = frozenset({"no_email", "no_phone", "no_mail"})

EMAILS: frozenset[TillSlot] = frozenset({"email", "secondary_email"})

PHONES: dict[TillSlot, Literal["home", "work", "mobile", "pager", "fax"]] = {
    "home_phone": "home",
    "work_phone": "work",
    "mobile_phone": "mobile",
    "pager": "pager",
    "fax": "fax",
}

# A function that is at home with some slots only: what it makes of another is no spelling of it.
_AT_HOME: dict[str, frozenset[TillSlot]] = {
    "bool": OPT_OUTS,
    "date": frozenset({"birth_date"}),
    "email": frozenset({"email", "secondary_email"}),
    "e164": frozenset(PHONES),
    "country_code": frozenset({"country", "country_code"}),
}

_CODES: dict[TillSlot, TillSlot] = {"state": "state_code", "country": "country_code"}
_NAMED = "nothing else names this person, and Lightspeed needs a name"
_NO_ZONE = "UTC"
_NOBODY = Customer(id="")


class Unfit(ValueError):
    """A value that the till cannot hold. `str(error)` says why, in half a sentence."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a field of the CRM belongs in the till. `twin` is the field that shows the same place's name."""

    field: str
    slot: TillSlot
    twin: str | None = None

    @property
    def opt_out(self) -> bool:
        """Whether the field says that somebody does not want to be called, written or mailed to."""
        return self.slot in OPT_OUTS


@dataclass(slots=True)
class Pulled:
    """What is to be written of one till customer, and which fields of the CRM cannot be, with the reason."""

    slots: dict[TillSlot, TillValue] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


# --- which fields ----------------------------------------------------------------------------------


def writable(table: FieldMap, facts: ObjectFacts) -> dict[str, Way]:
    """Return the fields of the CRM that may be written back; `facts` are of the table's object.

    An org holds states and countries either as free text or by their codes, never both.
    """
    coded = coded_addresses(table.targets, facts)
    ways: dict[str, Way] = {}
    taken: set[TillSlot] = set()
    for target in table.targets:
        slot = slot_of(table.lines[target])
        if slot is None or slot in taken or target not in facts.fields:
            continue
        if target in coded.silent:
            continue
        taken.add(slot)
        ways[target] = Way(target, slot, coded.names.get(target))
    return ways


def slot_of(line: str) -> TillSlot | None:
    """Return the slot of the till that a line merely spells; None where it has no way back."""
    source, functions = steps_of(line)
    slot = next((slot for slot in TILL_SLOTS if slot == source), None)
    if slot is None or any(
        name not in RESPELLING or slot not in _AT_HOME.get(name, {slot}) for name in functions
    ):
        return None
    return slot


# --- one value -------------------------------------------------------------------------------------


def till_value(slot: TillSlot, text: str | None, zone: str | None) -> TillValue:
    """Return what the CRM's text is in that slot; a blank empties it. Raises Unfit.

    `zone` is the first shop's, whose midnight a birthday is.
    """
    if slot in OPT_OUTS:
        return _flag(text)
    if text is None or not text.strip():
        return None
    if slot == "birth_date":
        return _birthday(text, zone)
    lines = [" ".join(line.split()) for line in text.replace("\r\n", "\n").split("\n")]
    kept = [line for line in lines if line]
    if any(unicodedata.category(ch) in {"Cc", "Cs"} for line in kept for ch in line):
        raise Unfit("it holds control characters")
    return ("\n" if slot == "street" else " ").join(kept)


def _flag(text: str | None) -> bool:
    match (text or "").strip().casefold():
        case "true":
            return True
        case "false":
            return False
        case "":
            raise Unfit("a blank is neither yes nor no")
        case _:
            raise Unfit("it is neither yes nor no")


def _birthday(text: str, zone: str | None) -> TillValue:
    try:
        return birth_midnight(date.fromisoformat(text.strip()[:10]), zone or _NO_ZONE)
    except (ValueError, OverflowError) as error:
        raise Unfit("it is no date") from error


# --- one customer ----------------------------------------------------------------------------------


def pulled(
    changes: Mapping[str, str | None],
    ways: Mapping[str, Way],
    now: Customer,
    shown: Mapping[str, str],
    *,
    zone: str | None,
    region: str | None,
) -> Pulled:
    """Return what these changes of the CRM mean for a till customer that is `now` so.

    `changes` are the fields to be pulled, with the CRM's text (None: it was
    cleared); `shown` is all that the CRM shows of the person. `region` is where
    people dial who have no country.
    """
    found = Pulled()
    _take(changes, ways, zone, found)
    _move_names(now, found)
    _move_emails(now, ways, shown, found)
    _move_street(now, ways, found)
    shown_in = _country_of(shown, ways)
    _move_places(found, ways, shown, shown_in or _country_now(now) or region)
    _keep_numbers(now, found, shown_in or region_of(now, region), region)
    _keep_a_name(now, ways, found)
    return found


def new_customer(
    shown: Mapping[str, str], ways: Mapping[str, Way], *, zone: str | None, region: str | None
) -> Pulled:
    """Return a till customer for a person of the CRM. Nothing in `slots`: the person cannot be created.

    The opt-outs are always there and false unless the CRM says that somebody
    opted out: the till would take their absence for a no (fact sheet A8.1).
    """
    found = Pulled()
    for slot in sorted(OPT_OUTS):
        found.slots[slot] = False
    _take({name: text for name, text in shown.items() if name in ways and text.strip()}, ways, zone, found)
    shown_in = _country_of(shown, ways) or region
    _move_places(found, ways, shown, shown_in)
    _keep_numbers(_NOBODY, found, shown_in, region)
    if not any(found.slots.get(slot) for slot in ("first_name", "last_name", "company")):
        found.slots.clear()
        found.refused.setdefault(_field_of("last_name", ways), _NAMED)
    return found


def _take(
    changes: Mapping[str, str | None], ways: Mapping[str, Way], zone: str | None, found: Pulled
) -> None:
    for name, text in changes.items():
        way = ways.get(name)
        if way is None:
            found.refused[name] = "the field map has no way back for it"
            continue
        try:
            found.slots[way.slot] = till_value(way.slot, text, zone)
        except Unfit as error:
            found.refused[name] = str(error)


def _move_names(now: Customer, found: Pulled) -> None:
    """Write both names where the till shows a last name that it does not have."""
    derived = not now.last_name
    edited = {"first_name", "last_name"} & found.slots.keys()
    if not derived or not (edited or ("company" in found.slots and not now.first_name)):
        return
    first, last = display_names(now)
    found.slots.setdefault("first_name", first)
    found.slots.setdefault("last_name", last)


def _move_emails(now: Customer, ways: Mapping[str, Way], shown: Mapping[str, str], found: Pulled) -> None:
    """Write both e-mails where the till shows its secondary one as the e-mail, having no primary.

    Unless the CRM, too, holds that one as the secondary: then it stays what it is.
    """
    if not EMAILS & found.slots.keys():
        return
    if same_email(shown.get(_field_of("secondary_email", ways)), now.email()):
        return
    if now.emails and all(each.use != "primary" for each in now.emails):
        found.slots.setdefault("email", now.email())
        found.slots.setdefault("secondary_email", None)


def _move_street(now: Customer, ways: Mapping[str, Way], found: Pulled) -> None:
    """Take off the street what we put there: the state or country that the org's lists do not know."""
    street, address = found.slots.get("street"), now.address
    coded = any(way.slot in _CODES.values() for way in ways.values())
    if not coded or address is None or not isinstance(street, str):
        return
    state, country = address.state or address.state_code, address.country or address.country_code
    *before, last = street.split("\n")
    if before and last in {state, country, f"{state}, {country}"}:
        found.slots["street"] = "\n".join(before)


def _move_places(
    found: Pulled, ways: Mapping[str, Way], shown: Mapping[str, str], country: str | None
) -> None:
    """Move a state's or country's name and letters together."""
    for name, code in _CODES.items():
        text, letters = found.slots.get(name), found.slots.get(code)
        if name in found.slots and code in found.slots and bool(text) == bool(letters):
            continue
        if isinstance(letters, str):
            letters = letters.upper()
            found.slots[code] = letters
            found.slots[name] = (
                text or _twin(ways[_field_of(code, ways)], letters, shown) or _name(name, letters, country)
            )
        elif isinstance(text, str):
            found.slots[code] = _letters(name, text, country)
        elif name in found.slots or code in found.slots:
            found.slots[name] = found.slots[code] = None


def _twin(way: Way, letters: str, shown: Mapping[str, str]) -> str | None:
    """Return the name that the CRM shows beside these letters, as long as it shows these."""
    same = shown.get(way.field, "").strip().upper() == letters
    return shown.get(way.twin) if way.twin and same else None


def _name(slot: TillSlot, letters: str, country: str | None) -> str:
    return (state_name(letters, country) if slot == "state" else None) or letters


def _letters(slot: TillSlot, text: str, country: str | None) -> str | None:
    return state_code(text, country) if slot == "state" else country_code(text)


def _keep_numbers(now: Customer, found: Pulled, shown_in: str | None, region: str | None) -> None:
    """Write a number with its country where the till would take it for another one.

    The till's numbers are read as dialled in the country of the address: one that is
    pulled may be meant otherwise, and one that stands there changes with the country.
    """
    before = region_of(now, region)
    after = region_of(Customer(id=now.id, address=_address_after(now, found)), region)
    for slot, use in PHONES.items():
        text, where = (found.slots[slot], shown_in) if slot in found.slots else (now.phone(use), before)
        meant = e164(text, where) if isinstance(text, str) else None
        if isinstance(text, str) and meant and e164(text, after) != meant:
            found.slots[slot] = meant


def _address_after(now: Customer, found: Pulled) -> Address:
    letters = found.slots.get("country_code", now.address.country_code if now.address else None)
    return Address(country_code=letters if isinstance(letters, str) else None)


def _country_of(shown: Mapping[str, str], ways: Mapping[str, Way]) -> str | None:
    """Return the letters of the country that the CRM shows."""
    for slot in ("country_code", "country"):
        text = shown.get(_field_of(slot, ways))
        if text:
            return country_code(text)
    return None


def _country_now(now: Customer) -> str | None:
    text = (now.address.country_code or now.address.country) if now.address else None
    return country_code(text) if text else None


def _keep_a_name(now: Customer, ways: Mapping[str, Way], found: Pulled) -> None:
    """Refuse to clear the last thing that somebody is called by."""
    left = {
        "first_name": now.first_name,
        "last_name": now.last_name,
        "company": now.company,
    } | found.slots
    names: tuple[TillSlot, ...] = ("last_name", "first_name", "company")
    if any(left[slot] for slot in names):
        return
    for slot in names:
        if slot in found.slots:
            del found.slots[slot]
            found.refused[_field_of(slot, ways)] = _NAMED


def _field_of(slot: str, ways: Mapping[str, Way]) -> str:
    """Return the field that goes back to that slot; the slot's own name where none does."""
    return next((name for name, way in ways.items() if way.slot == slot), slot)
