"""What the org held before we came: the till's people and products in other spellings, and look-alikes.

A known person always shares something a careful reader could go by with each of their till records: an
e-mail, or a phone or address together with a name that is alike. Whoever shares less is left out of the CRM
(unless the plan asks for such riddles), so that "nobody is created twice, nobody is linked to somebody else"
can be demanded. Families, namesakes and siblings make it hard enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from tillbridge.simulators.retailer import names, people, phones
from tillbridge.simulators.retailer.people import Address, Entry, Person, Population
from tillbridge.simulators.retailer.phones import Phone
from tillbridge.simulators.retailer.plan import CrmRow, Plan, Row, Tables

# Salesforce's lengths (fact sheet §7.1); a name beyond them cannot have got in.
FIRST_MAX, LAST_MAX, NAME_MAX = 40, 80, 255
PRODUCT_SHARE, AMBIGUOUS_SHARE = 0.30, 0.03
LOOK_ALIKE_SHARE, TWICE_SHARE, CONVERTED_SHARE = 0.03, 0.015, 0.03

# A reader tells these are one name; of two records at most one may be more than plainly respelt.
_PLAIN = frozenset({"same", "case", "accents"})
_LIKE = _PLAIN | {"nickname", "typo", "swapped", "initial"}

# How often the CRM holds which kind of contact data of somebody.
_CONTACTS = (
    ("all", 45),
    ("email_only", 20),
    ("email_and_other_phone", 10),
    ("phone_only", 13),
    ("old_email_same_phone", 7),
    ("address_only", 5),
)


@dataclass(slots=True)
class Office:
    """The CRM's rows as they are made, and the truth about them."""

    end: datetime
    rows: list[CrmRow] = field(default_factory=list)
    person_of: dict[str, int] = field(default_factory=dict)
    look_alikes: set[str] = field(default_factory=set)
    spelling_of: dict[str, str] = field(default_factory=dict)
    without_evidence: set[str] = field(default_factory=set)
    product_of: dict[str, int] = field(default_factory=dict)
    ambiguous_products: set[str] = field(default_factory=set)
    companies: dict[str, str] = field(default_factory=dict)  # company name -> ref of its Account

    def add(self, type_: str, fields: Row) -> str:
        """Store a row and return its ref. The org is some years old, and so are its rows."""
        number = len(self.rows) + 1
        ref = f"crm-{number}"
        given = {name: value for name, value in fields.items() if value is not None and value != ""}
        created = self.end - timedelta(days=60 + number * 37 % 1400, seconds=number * 4999 % 86_400)
        self.rows.append(CrmRow(ref, type_, {**given, "CreatedDate": created.strftime("%Y-%m-%dT%H:%M:%SZ")}))
        return ref


@dataclass(slots=True)
class Card:
    """A person as the CRM writes them, before it is known which object holds the card."""

    person: Person
    spelling: str
    first: str
    last: str
    email: str = ""
    mobile: Phone | None = None
    home: Phone | None = None
    address: Address | None = None
    birth_date: date | None = None
    title: str = ""
    description: str = ""


def furnish(rng: Random, plan: Plan, town: Population, entries: list[Entry], till: Tables) -> Office:
    """Put people and products into the org."""
    office = Office(plan.end)
    by_person: dict[int, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.person.number):
        if not entry.anonymised and entry.spelling not in {"nothing", "company", "blank_last"}:
            by_person.setdefault(entry.person.number, []).append(entry)
    _people(rng, plan, town, by_person, office)
    _look_alikes(rng, town, by_person, office, plan)
    _products(rng, till, office)
    return office


def has_evidence(entry: Entry, card: Card) -> bool:
    """Tell whether a careful reader could find this card from this till record, or at least hesitate."""
    if card.email and card.email.lower() in _emails(entry):
        return True
    alike = {entry.spelling, card.spelling} <= _LIKE and bool({entry.spelling, card.spelling} & _PLAIN)
    if not alike:
        return False
    person = entry.person
    phone_shared = any(
        number is not None and number == its and any(use == label for _, use in entry.phones)
        for number, its, label in ((card.mobile, person.mobile, "Mobile"), (card.home, person.home, "Home"))
    )
    return phone_shared or (card.address is not None and card.address is entry.address)


def _people(
    rng: Random, plan: Plan, town: Population, by_person: dict[int, list[Entry]], office: Office
) -> None:
    wanted = round(plan.crm_share * len(by_person))
    riddles = round(plan.crm_without_evidence * wanted)
    known = 0
    for number in rng.sample(list(by_person), len(by_person)):
        if known >= wanted:
            break
        entries = by_person[number]
        if known < riddles:
            person = entries[0].person
            ref = _file(rng, plan, Card(person, "name_only", person.first, person.last or "Unknown"), office)
            office.without_evidence.add(ref)
        elif card := _card(rng, town, entries):
            _file(rng, plan, card, office)
        else:
            continue
        known += 1


def _card(rng: Random, town: Population, entries: list[Entry]) -> Card | None:
    """Write a card that every till record of the person can be told by; None where there is no such card."""
    person = entries[0].person
    if not _fits(person):
        return None
    for _ in range(6):
        card = _draw(rng, town, person)
        if all(has_evidence(entry, card) for entry in entries):
            return card
    plain = _respelt(rng, person, "same")
    _give_all(plain)
    return plain if all(has_evidence(entry, plain) for entry in entries) else None


def _draw(rng: Random, town: Population, person: Person) -> Card:
    kind = "same"
    draw = rng.random()
    if not person.odd and draw > 0.42:
        kind = "married" if draw > 0.96 else "typo_first" if draw > 0.93 else "respelt"
    card = _respelt(rng, person, kind)
    match rng.choices([name for name, _ in _CONTACTS], [share for _, share in _CONTACTS])[0]:
        case "all":
            _give_all(card)
        case "email_only":
            card.email = person.email
        case "email_and_other_phone":
            card.email, card.mobile = person.email, town.phone_for(person)
        case "phone_only":
            card.mobile, card.home = person.mobile, person.home
        case "old_email_same_phone":
            card.email, card.mobile, card.home = town.email_for(person), person.mobile, person.home
        case _:
            card.address = person.address
    _staff_edits(rng, card)
    return card


def _respelt(rng: Random, person: Person, kind: str) -> Card:
    first, last = person.first.strip(), person.last.strip()
    match kind:
        case "respelt":
            kind, first, last = people.respell(rng, person)
            if not person.last or not last:
                kind, first, last = "same", person.first, person.last
        case "married":
            last = next(
                name
                for _ in range(99)
                if (name := names.last_name(rng, person.country))[0] != person.last[:1]
            )
        case "typo_first":
            first = names.typo(rng, first)
            kind = "same" if first == person.first.strip() else kind
        case _:
            pass
    # Only the birthday tells namesakes apart, so it is always there.
    known_birthday = person.dob if person.namesake or rng.random() < 0.5 else None
    return Card(person, kind, first, last, birth_date=known_birthday, title=person.title)


def _give_all(card: Card) -> None:
    person = card.person
    card.email, card.mobile, card.home, card.address = (
        person.email,
        person.mobile,
        person.home,
        person.address,
    )


def _staff_edits(rng: Random, card: Card) -> None:
    """Type what the office learnt since: things the till never knew, or knows otherwise."""
    if card.email and rng.random() < 0.08:
        local, _, domain = card.email.partition("@")
        card.email = f"{local.title()}@{domain}"
    if rng.random() < 0.12:
        card.description = rng.choice(
            ("Met at the bridal fair", "Prefers calls after 17:00", "Ask about <watch> & repair")
        )
    if rng.random() < 0.05:
        card.title = rng.choice(names.JOB_TITLES)
    if card.birth_date is None and card.person.dob is None and rng.random() < 0.08:
        card.birth_date = date(1950, 1, 1) + timedelta(days=rng.randrange(18_000))


def _fits(person: Person) -> bool:
    first, last = person.first, person.last
    printable = all(ch.isprintable() for ch in first + last)
    return bool(last.strip()) and len(first) <= FIRST_MAX and len(last) <= LAST_MAX and printable


def _emails(entry: Entry) -> set[str]:
    given = {entry.email.strip().lower(), entry.email2.strip().lower()}
    return given & {entry.person.email.lower(), entry.person.email2.lower()} - {""}


def _file(rng: Random, plan: Plan, card: Card, office: Office) -> str:
    """File a known person's card; sometimes there is a second one, or a converted Lead behind it."""
    ref = _store(rng, _holder(rng, plan, card), card, office)
    office.person_of[ref], office.spelling_of[ref] = card.person.number, card.spelling
    held_by = office.rows[-1].type
    if held_by != "Lead" and not card.person.namesake:
        if rng.random() < TWICE_SHARE and card.email:
            again = _store(rng, _lead, card, office)
            office.person_of[again], office.spelling_of[again] = card.person.number, "twice"
        elif rng.random() < CONVERTED_SHARE:
            _convert(rng, card, office, ref, held_by)
    return ref


Holder = Callable[[Random, Card, Office], tuple[str, Row]]


def _store(rng: Random, holder: Holder, card: Card, office: Office) -> str:
    type_, fields = holder(rng, card, office)
    return office.add(type_, fields)


def _holder(rng: Random, plan: Plan, card: Card) -> Holder:
    """Choose the object by the org's model. Leads know no birthday, so namesakes never are one."""
    draw = rng.random()
    lead_fits = not card.person.namesake and bool(card.email or card.mobile)
    match plan.crm_model:
        case "person_account":
            if draw < 0.12 and lead_fits:
                return _lead
            return _contact if draw > 0.93 else _person_account
        case "contact":
            return _lead if draw < 0.15 and lead_fits else _contact
        case "lead":
            return _lead if draw < 0.7 and lead_fits else _contact


def _person_account(rng: Random, card: Card, office: Office) -> tuple[str, Row]:  # noqa: ARG001  A Holder.
    return "Account", {
        "RecordTypeId": {"record_type": "PersonAccount"},
        "FirstName": card.first,
        "LastName": card.last,
        "PersonEmail": card.email,
        "PersonMobilePhone": _written(rng, card, card.mobile),
        "PersonHomePhone": _written(rng, card, card.home),
        "PersonBirthdate": _iso(card.birth_date),
        "PersonTitle": card.title,
        "Description": card.description,
        **_address_fields(card.address, "PersonMailing"),
    }


def _contact(rng: Random, card: Card, office: Office) -> tuple[str, Row]:
    """Write a Contact under its company's Account, or under one named after the person."""
    company = card.person.company or f"{card.first} {card.last}".strip()
    account = office.companies.get(company)
    if account is None:
        account = office.add("Account", {"Name": company[:NAME_MAX]})
        if card.person.company:
            office.companies[company] = account
    return "Contact", {
        "AccountId": {"ref": account},
        "FirstName": card.first,
        "LastName": card.last,
        "Email": card.email,
        "MobilePhone": _written(rng, card, card.mobile),
        "HomePhone": _written(rng, card, card.home),
        "Birthdate": _iso(card.birth_date),
        "Title": card.title,
        "Description": card.description,
        **_address_fields(card.address, "Mailing"),
    }


def _lead(rng: Random, card: Card, office: Office) -> tuple[str, Row]:  # noqa: ARG001  A Holder.
    return "Lead", {
        "FirstName": card.first,
        "LastName": card.last,
        "Company": card.person.company or "[not provided]",
        "Status": "Open - Not Contacted",
        "Email": card.email,
        "MobilePhone": _written(rng, card, card.mobile),
        "Phone": _written(rng, card, card.home),
        "Title": card.title,
        "Description": card.description,
        **_address_fields(card.address, ""),
    }


def _convert(rng: Random, card: Card, office: Office, ref: str, held_by: str) -> None:
    """Add the Lead this person once was: read-only now and no candidate, but in the way of a search."""
    _, fields = _lead(rng, card, office)
    if held_by == "Contact":
        account = next(row for row in office.rows if row.ref == ref).fields["AccountId"]
        into: dict[str, Any] = {"ConvertedContactId": {"ref": ref}, "ConvertedAccountId": account}
    else:
        into = {"ConvertedAccountId": {"ref": ref}}
    lead = office.add("Lead", {**fields, "Status": "Closed - Converted", "IsConverted": True, **into})
    office.person_of[lead], office.spelling_of[lead] = card.person.number, "converted_lead"


def _written(rng: Random, card: Card, phone: Phone | None) -> str:
    if phone is None:
        return ""
    return phones.spell(rng, phone, national_is_clear=card.address is not None).strip()


def _address_fields(address: Address | None, prefix: str) -> Row:
    if address is None:
        return {}
    town = address.town
    return {
        f"{prefix}Street": address.street + (f"\n{address.street2}" if address.street2 else ""),
        f"{prefix}City": town.city,
        f"{prefix}State": town.state,
        f"{prefix}PostalCode": address.zip,
        f"{prefix}Country": town.country,
    }


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _look_alikes(
    rng: Random, town: Population, by_person: dict[int, list[Entry]], office: Office, plan: Plan
) -> None:
    """Other people who could be taken for the till's: a namesake, a sibling at the same e-mail, the father of
    the same name, the next owner of a phone number, somebody else behind the same door.
    """  # noqa: D205
    plain = [
        entries[0].person
        for entries in by_person.values()
        # Within a family a look-alike could be another member's double, which nobody could tell.
        if not entries[0].person.odd and not entries[0].person.family and len(entries) == 1
    ]
    makers = (_namesake, _sibling, _father, _next_owner, _housemate)
    wanted = max(len(makers), round(LOOK_ALIKE_SHARE * plan.customers)) if plain else 0
    made, misses, known = 0, 0, list(plain)
    while made < wanted and misses < 50 * len(makers):
        card = makers[made % len(makers)](rng, town, rng.choice(known))
        if card is None or not _fits(card.person):
            misses += 1
            continue
        ref = _store(
            rng, _lead if rng.random() < 0.1 and not card.birth_date else _native(plan), card, office
        )
        office.person_of[ref] = card.person.number
        office.look_alikes.add(ref)
        made += 1


def _native(plan: Plan) -> Holder:
    return _person_account if plan.crm_model == "person_account" else _contact


def _stranger(town: Population, person: Person, first: str, last: str) -> Card:
    other = town.stranger_named_like(person)
    other.first, other.last = first, last
    return Card(other, "look_alike", first, last)


def _namesake(rng: Random, town: Population, person: Person) -> Card | None:
    """Make a card with the same name, and nothing else in common."""
    card = _stranger(town, person, person.first, person.last)
    other = card.person
    card.email = other.email or town.email_for(other)
    card.mobile, card.birth_date = other.mobile, other.dob
    card.address = other.address if rng.random() < 0.5 and other.address.zip != person.address.zip else None
    return card


def _sibling(rng: Random, town: Population, person: Person) -> Card | None:
    """Make a card one letter or a whole first name apart, with the same e-mail."""
    if not person.email:
        return None
    pairs = {"Maria": "Mario", "Mario": "Maria", "Daan": "Dana", "Aiko": "Akiko"}
    first = pairs.get(person.first) or _other_first(rng, person)
    card = _stranger(town, person, first, person.last)
    card.email = person.email
    return card


def _father(rng: Random, town: Population, person: Person) -> Card | None:
    """Make a card with the same name, phone and door; a generation older, as both birthdays show."""
    if person.dob is None or person.dob.year < 1962 or not (person.mobile or person.home):
        return None
    card = _stranger(town, person, person.first, person.last)
    card.mobile, card.home, card.address = person.mobile, person.home, person.address
    card.birth_date = person.dob - timedelta(days=9000 + rng.randrange(2500))
    return card


def _next_owner(rng: Random, town: Population, person: Person) -> Card | None:
    """Make a card with a recycled phone number."""
    if not person.mobile:
        return None
    last = next(
        name for _ in range(99) if (name := names.last_name(rng, person.country))[0] != person.last[:1]
    )
    card = _stranger(town, person, _other_first(rng, person), last)
    card.mobile = person.mobile
    return card


def _housemate(rng: Random, town: Population, person: Person) -> Card | None:
    """Make a card of somebody else behind the same door, whom the till has never seen."""
    card = _stranger(town, person, _other_first(rng, person), person.last)
    card.address, card.email = person.address, town.email_for(card.person)
    return card


def _other_first(rng: Random, person: Person) -> str:
    """Draw a first name nobody would take for this person's: another initial, too."""
    return next(
        name
        for n in range(999)
        if (name := names.first_name(rng, person.country, female=bool(n % 2)))[0] != person.first[:1]
    )


def _products(rng: Random, till: Tables, office: Office) -> None:
    """Add a third of the goods, by whichever code was at hand; a few twice; and some of its own."""
    items = till["Item"]
    for item in rng.sample(items, round(len(items) * PRODUCT_SHARE)):
        ref = _product(rng, office, item, _codes(rng, item))
        if item["customSku"] and rng.random() < AMBIGUOUS_SHARE * 2:
            _twice(rng, office, item, ref)
    if items and not office.ambiguous_products:
        item = next(item for item in items if item["customSku"])
        _twice(rng, office, item, _product(rng, office, item, {"StockKeepingUnit": item["customSku"]}))
    for number in range(1, 9):
        office.add(
            "Product2", {"Name": f"Care plan {number}", "ProductCode": f"PLAN-{number:03d}", "IsActive": True}
        )


def _codes(rng: Random, item: Row) -> Row:
    choices: list[Row] = [
        {"ProductCode": item["systemSku"]},
        {"StockKeepingUnit": item["systemSku"]},
        {"ProductCode": item["systemSku"], "StockKeepingUnit": item["customSku"]},
    ]
    if item["customSku"]:
        choices += [
            {"ProductCode": item["customSku"]},
            {"StockKeepingUnit": item["customSku"]},
            {"ProductCode": item["customSku"].lower()},
        ]
    choices += [{"ProductCode": item[code]} for code in ("upc", "ean") if item[code]]
    choices += [{"StockKeepingUnit": item[code]} for code in ("upc", "ean") if item[code]]
    return rng.choice(choices)


def _product(rng: Random, office: Office, item: Row, codes: Row) -> str:
    name = item["description"][:NAME_MAX]
    product = office.add(
        "Product2",
        {"Name": name.title() if rng.random() < 0.2 else name, "IsActive": rng.random() < 0.95, **codes},
    )
    office.product_of[product] = item["itemID"]
    if rng.random() < 0.9:
        price = float(item["Prices"][0]["amount"])
        entry = {"Pricebook2Id": {"pricebook": "standard"}, "Product2Id": {"ref": product}}
        office.add("PricebookEntry", {**entry, "UnitPrice": price, "IsActive": True})
    return product


def _twice(rng: Random, office: Office, item: Row, ref: str) -> None:
    """Two Product2 rows that carry one custom SKU: nobody can say which is the one."""
    row = next(row for row in office.rows if row.ref == ref)
    row.fields.pop("ProductCode", None)
    row.fields["StockKeepingUnit"] = item["customSku"]
    again = _product(rng, office, item, {"StockKeepingUnit": item["customSku"]})
    office.ambiguous_products |= {ref, again}
