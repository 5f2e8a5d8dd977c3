"""Who shops here: persons and families, and the till records a busy staff made of them.

A person is the truth; a customer row is what somebody typed. One person may have up to three rows, two
persons may share a name, a family may share an e-mail, a phone and a door. Persons come first, rows second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from tillbridge.simulators.retailer import names, phones
from tillbridge.simulators.retailer.phones import Phone
from tillbridge.simulators.retailer.plan import Plan, Row

MAIL_DOMAINS = ("example.com", "mail.example.com", "post.example.org", "inbox.example.net", "example.org")
PLACEHOLDER_EMAIL = "noemail@example.com"  # What staff type when the till insists.
BROKEN_EMAILS = ("none", "n/a", "anna.example.com", "name@", "@example.com", "two words@example.com")
FAMILY_SHARE, FAMILY_EMAIL_SHARE = 0.22, 0.4
SECOND_RECORD_SHARE, THIRD_RECORD_SHARE = 0.06, 0.012

# Each of these is somebody in every world that has room for them; names nobody was ready for.
HOSTILE_NAMES = (
    ("Robert'); DROP TABLE Customers;--", "Tables"),
    ("<script>alert(1)</script>", "O'Hara"),
    ('Anne "Annie"', 'D"Angelo'),
    ("Zoë 💍", "Ångström-Núñez"),
    ("=HYPERLINK(1)", "+Formula"),
    ("null", "NULL"),
    ("Maximiliana", "Langenfeldhausenberghofer" * 4),
    ("美咲", "佐々木"),
    ("  Padded ", " Spaces  "),
    ("Line\nBreak", "Tab\tStop"),
    ("AT&amp;T", "Back\\slash/Solidus"),
    ("X", "Æ"),
)


@dataclass(slots=True)
class Address:
    """Where a household lives."""

    street: str
    street2: str
    town: names.Town
    zip: str


@dataclass(slots=True)
class Person:
    """One human being, or one company that buys as itself (`first` and `last` empty)."""

    number: int
    shop_id: int
    first: str
    last: str
    female: bool
    dob: date | None
    email: str
    email2: str
    mobile: Phone | None
    home: Phone | None
    address: Address
    company: str = ""
    title: str = ""
    family: int = 0  # Persons with one number share a door; 0: alone
    shares_email: bool = False
    namesake: bool = False  # somebody in the family has the very same name
    odd: bool = False  # hostile, blank or company-only: never respelled
    spellings: list[str] = field(default_factory=list)  # one a till record, in the order the rows were made

    @property
    def country(self) -> str:
        """Two-letter country of the household."""
        return self.address.town.country_code


@dataclass(slots=True)
class Entry:
    """One till record of a person before it has an id: how the name, e-mail and phones were typed."""

    person: Person
    spelling: str  # same, nickname, typo, swapped, case, accents, blank_last, company, nothing
    first: str
    last: str
    email: str
    email2: str = ""
    phones: list[tuple[str, str]] = field(default_factory=list)  # (number, useType)
    address: Address | None = None
    archived: bool = False
    merged: bool = False
    anonymised: bool = False


class Population:
    """Draws persons one after the other; e-mails and phones of strangers never collide."""

    def __init__(self, rng: Random, zones: dict[int, str]) -> None:
        self._rng = rng
        self._zones = zones  # shopID -> zone
        self._shop_ids = list(zones)
        self._emails: set[str] = set()
        self._phones: set[str] = set()
        self._families = 0
        self.persons: list[Person] = []

    def single(self, *, shop_id: int = 0) -> Person:
        """Add somebody who lives alone."""
        rng = self._rng
        shop_id = shop_id or rng.choice(self._shop_ids)
        female = rng.random() < 0.62
        address = self._address(shop_id)
        country = address.town.country_code
        return self._add(
            shop_id,
            names.first_name(rng, country, female=female),
            names.last_name(rng, country),
            address,
            female=female,
        )

    def stranger_named_like(self, other: Person) -> Person:
        """Add somebody else of the same name: other door, other e-mail, other phone, other birthday."""
        shop_id = self._rng.choice(self._shop_ids)
        twin = self._add(shop_id, other.first, other.last, self._address(shop_id), female=other.female)
        if twin.dob == other.dob and twin.dob:
            twin.dob += timedelta(days=400)
        return twin

    def company(self) -> Person:
        """Add a company that buys as itself."""
        shop_id = self._rng.choice(self._shop_ids)
        address = self._address(shop_id)
        firm = self._add(shop_id, "", "", address, female=False)
        firm.company = names.company_name(self._rng, firm.country)
        firm.dob, firm.odd = None, True
        return firm

    def family(self) -> list[Person]:
        """Add two to four people behind one door, often with one e-mail or phone; first initials differ."""
        rng = self._rng
        head = self.single()
        self._families += 1
        head.family = self._families
        members = [head]
        shared_email = rng.random() < FAMILY_EMAIL_SHARE
        head.home = head.home or self._phone(head)
        if shared_email and not head.email:
            head.email = self.email_for(head)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            members.append(self._relative(members, shared_email=shared_email))
        head.shares_email = shared_email
        return members

    def sibling_pair(self) -> list[Person]:
        """Add Maria and Mario: one e-mail, one phone, one door, names one letter apart."""
        pair = [self.single(), self.single()]
        self._families += 1
        maria, mario = pair
        maria.first, maria.female, mario.first, mario.female = "Maria", True, "Mario", False
        maria.email = maria.email or self.email_for(maria)
        mario.last, mario.email, mario.email2, mario.mobile = maria.last, maria.email, "", None
        mario.home = maria.home = maria.home or self._phone(maria)
        mario.address, mario.shop_id = maria.address, maria.shop_id
        for sibling in pair:
            sibling.family, sibling.shares_email = self._families, True
        return pair

    def parent_and_child(self) -> list[Person]:
        """Add two people of one name behind one door, told apart by their birthdays alone, always known."""
        parent, child = self.single(), self.single()
        self._families += 1
        parent.dob = date(1950, 1, 1) + timedelta(days=self._rng.randrange(3000))
        child.dob = parent.dob + timedelta(days=9500 + self._rng.randrange(2000))
        parent.home = parent.home or self._phone(parent)
        child.first, child.last, child.female = parent.first, parent.last, parent.female
        child.home = parent.home
        child.address, child.shop_id = parent.address, parent.shop_id
        for one in (parent, child):
            one.family, one.namesake = self._families, True
        return [parent, child]

    def email_for(self, person: Person) -> str:
        """Draw a fresh e-mail that reads like its owner."""
        rng = self._rng
        first, last = (_mail_word(names.unaccented(part)) for part in (person.first, person.last))
        stem = rng.choice(
            (f"{first}.{last}", f"{first[:1]}{last}", f"{first}{last}", f"{last}.{first}")
        ).strip(".")
        stem = stem[:40] or f"office{person.number}"
        email = f"{stem}@{rng.choice(MAIL_DOMAINS)}"
        while email in self._emails:
            email = f"{stem}{rng.randrange(2, 9999)}@{rng.choice(MAIL_DOMAINS)}"
        self._emails.add(email)
        return email

    def phone_for(self, person: Person) -> Phone:
        """Draw a fresh mobile number of the person's country."""
        return self._phone(person)

    def _relative(self, members: list[Person], *, shared_email: bool) -> Person:
        rng, head = self._rng, members[0]
        taken = {member.first[0] for member in members}
        female = rng.random() < 0.5
        first = next(
            (
                name
                for _ in range(30)
                if (name := names.first_name(rng, head.country, female=female))[0] not in taken
            ),
            "Quinn" if "Q" not in taken else "Umberto",
        )
        one = self._add(head.shop_id, first, head.last, head.address, female=female)
        one.family, one.home = head.family, head.home
        if shared_email:
            one.email, one.email2, one.shares_email = head.email, "", True
        return one

    def _add(self, shop_id: int, first: str, last: str, address: Address, *, female: bool) -> Person:
        rng = self._rng
        person = Person(
            number=len(self.persons) + 1,
            shop_id=shop_id,
            first=first,
            last=last,
            female=female,
            dob=date(1941, 1, 1) + timedelta(days=rng.randrange(24_000)) if rng.random() < 0.35 else None,
            email="",
            email2="",
            mobile=None,
            home=None,
            address=address,
        )
        if rng.random() < 0.8:
            person.email = self.email_for(person)
            if rng.random() < 0.12:
                person.email2 = self.email_for(person)
        if rng.random() < 0.75:
            person.mobile = self._phone(person)
        if rng.random() < 0.2:
            person.home = self._phone(person)
        if rng.random() < 0.06:
            person.company, person.title = (
                names.company_name(rng, person.country),
                rng.choice(names.JOB_TITLES),
            )
        self.persons.append(person)
        return person

    def _address(self, shop_id: int) -> Address:
        rng = self._rng
        town = rng.choice(names.TOWNS[self._zones[shop_id]])
        flat = rng.choice(("Apt 4B", "Unit 12", "c/o Reception", "3rd floor")) if rng.random() < 0.15 else ""
        return Address(names.street(rng, town.country_code), flat, town, names.zip_code(rng, town))

    def _phone(self, person: Person) -> Phone:
        tries = 1
        phone = phones.draw(self._rng, person.address.town)
        while phone.e164 in self._phones:
            phone = phones.draw(self._rng, person.address.town, crowded=tries > 20)
            tries += 1
        self._phones.add(phone.e164)
        return phone


def settle(rng: Random, plan: Plan, zones: dict[int, str]) -> tuple[Population, list[Entry]]:
    """Make exactly as many till entries as the plan has customers, every oddity once, then whoever comes."""
    town = Population(rng, zones)
    entries: list[Entry] = []
    for batch in _arrivals(rng, town):
        entries += batch
        if len(entries) >= plan.customers:
            break
    return town, entries[: plan.customers]


def customer_rows(
    rng: Random, plan: Plan, zones: dict[int, str], entries: list[Entry]
) -> tuple[list[Row], dict[int, int]]:
    """Turn entries into Customer rows, ids in order of creation; also say who was merged into whom."""
    first_day = plan.end - timedelta(days=round(365 * plan.years) + 365)
    span = int((plan.end - first_day).total_seconds()) - 3600
    rng.shuffle(entries)
    stamps = sorted(first_day + timedelta(seconds=rng.randrange(span)) for _ in entries)
    rows: list[Row] = []
    merged: dict[int, int] = {}
    kept: dict[int, int] = {}
    for customer_id, (entry, created) in enumerate(zip(entries, stamps, strict=True), 1):
        rows.append(_row(rng, plan, zones, customer_id, entry, created))
        if not entry.archived:
            kept.setdefault(entry.person.number, customer_id)
    for row, entry in zip(rows, entries, strict=True):
        if entry.merged and entry.person.number in kept:
            merged[row["customerID"]] = kept[entry.person.number]
    return rows, merged


def _arrivals(rng: Random, town: Population) -> Iterator[list[Entry]]:
    """First one of every kind, so that a small world has them all; then the crowd, for ever."""
    for first, last in HOSTILE_NAMES[:4]:
        yield [_hostile(rng, town, first, last)]
    yield _records(rng, town, town.single(), 3)
    yield [_record(rng, town, person) for person in town.sibling_pair()]
    yield [_record(rng, town, person) for person in town.parent_and_child()]
    yield [_company_entry(rng, town)]
    yield [_blank_last(rng, town), _nothing(town), _anonymised(town)]
    for email in (PLACEHOLDER_EMAIL, PLACEHOLDER_EMAIL, BROKEN_EMAILS[2]):
        yield [_badly_mailed(rng, town, email)]
    yield _merged_pair(rng, town)
    known = town.single()
    yield [_record(rng, town, known), _record(rng, town, town.stranger_named_like(known))]
    for first, last in HOSTILE_NAMES[4:]:
        yield [_hostile(rng, town, first, last)]
    while True:
        yield _somebody(rng, town)


def _somebody(rng: Random, town: Population) -> list[Entry]:
    draw = rng.random()
    if draw < FAMILY_SHARE * 0.5:
        return [_record(rng, town, person) for person in town.family()]
    if draw < 0.13:
        return [_record(rng, town, person) for person in town.sibling_pair()] if rng.random() < 0.15 else []
    if draw < 0.135:
        return [_record(rng, town, person) for person in town.parent_and_child()]
    if draw < 0.16:
        return [_company_entry(rng, town)]
    if draw < 0.175:
        return _merged_pair(rng, town)
    if draw < 0.182:
        return [rng.choice((_blank_last, _hostile_copy))(rng, town)]
    if draw < 0.186:
        return [rng.choice((_nothing, _anonymised))(town)]
    if draw < 0.2:
        return [_record(rng, town, town.stranger_named_like(rng.choice(town.persons[20:] or town.persons)))]
    person = town.single()
    many = rng.random()
    return _records(
        rng, town, person, 3 if many < THIRD_RECORD_SHARE else 2 if many < SECOND_RECORD_SHARE else 1
    )


def _records(rng: Random, town: Population, person: Person, count: int) -> list[Entry]:
    """One person typed in `count` times: the first time well, then in a hurry."""
    entries = [_record(rng, town, person)]
    for _ in range(count - 1):
        entries.append(respelt(rng, town, entries[0]))
    if count == 1 and rng.random() < 0.02:
        entries[0].archived = True
    return entries


def _record(rng: Random, town: Population, person: Person) -> Entry:
    """Type a record with care, as far as the customer told."""
    entry = Entry(person, "same", person.first, person.last, person.email, person.email2)
    if person.email and rng.random() < 0.06:
        entry.email = rng.choice(
            (person.email.upper(), person.email.title(), f" {person.email}", f"{person.email} ")
        )
    elif not person.email and rng.random() < 0.04:
        entry.email = rng.choice((*BROKEN_EMAILS, PLACEHOLDER_EMAIL))
    if rng.random() < 0.6 or person.namesake or person.family:
        entry.address = person.address
    if not entry.address and not person.email and not person.mobile and rng.random() < 0.8:
        person.mobile = town.phone_for(person)
    _write_phones(rng, entry)
    if rng.random() < 0.02:
        entry.first, entry.last, entry.spelling = entry.first.upper(), entry.last.upper(), "case"
    return entry


def respelt(rng: Random, town: Population, first_entry: Entry) -> Entry:
    """Type the same person again, later: other spelling, other e-mail or none, but something in common."""
    person = first_entry.person
    spelling, first, last = respell(rng, person)
    entry = Entry(person, spelling, first, last, person.email if rng.random() < 0.5 else person.email2)
    if rng.random() < 0.3:
        entry.address = person.address
    if not entry.email and not entry.address:
        person.mobile = person.mobile or town.phone_for(person)
    if entry.email and rng.random() < 0.4:
        entry.email = entry.email.title()
    _write_phones(rng, entry)
    return entry


def respell(rng: Random, person: Person) -> tuple[str, str, str]:
    """Return (kind, first, last): how else somebody may write this person's name."""
    first, last = person.first, person.last
    ways = {"case": (first.lower(), last.lower())}
    weights = {"nickname": 14, "typo": 4, "accents": 4, "swapped": 2, "initial": 2, "case": 1}
    if (wrong := names.typo(rng, last)) != last:
        ways["typo"] = first, wrong
    if (plain := (names.unaccented(first), names.unaccented(last))) != (first, last):
        ways["accents"] = plain
    if not person.family:  # In a family a short form or an initial could mean another member.
        ways["initial"] = f"{first[0]}.", last
        ways["swapped"] = last, first
        if short := names.nickname(rng, first):
            ways["nickname"] = short, last
    kind = rng.choices(list(ways), [weights[way] for way in ways])[0]
    return kind, *ways[kind]


def _write_phones(rng: Random, entry: Entry) -> None:
    """Write the person's phones the way the counter writes them. A foreign-looking number without its country
    is only written where the address tells the country.
    """  # noqa: D205
    person = entry.person
    tells_country = entry.address is not None
    if person.mobile:
        entry.phones.append((phones.spell(rng, person.mobile, national_is_clear=tells_country), "Mobile"))
    elif rng.random() < 0.01:
        entry.phones.append((rng.choice(phones.NO_PHONES), "Mobile"))
    if person.home:
        entry.phones.append((phones.spell(rng, person.home, national_is_clear=tells_country), "Home"))
    if person.company and rng.random() < 0.5:
        work = person.mobile or person.home
        if work:
            entry.phones.append(
                (phones.spell(rng, work, national_is_clear=tells_country, extension=True), "Work")
            )


def _hostile(rng: Random, town: Population, first: str, last: str) -> Entry:
    person = town.single()
    person.first, person.last, person.odd = first, last, True
    return _record(rng, town, person)


def _hostile_copy(rng: Random, town: Population) -> Entry:
    return _hostile(rng, town, *rng.choice(HOSTILE_NAMES))


def _blank_last(rng: Random, town: Population) -> Entry:
    person = town.single()
    person.last, person.odd = "", True
    return replace(_record(rng, town, person), spelling="blank_last")


def _badly_mailed(rng: Random, town: Population, email: str) -> Entry:
    """Type somebody whose e-mail is none, or is what staff type for everybody."""
    person = town.single()
    person.email = person.email2 = ""
    return replace(_record(rng, town, person), email=email)


def _company_entry(rng: Random, town: Population) -> Entry:
    return replace(_record(rng, town, town.company()), spelling="company")


def _nothing(town: Population) -> Entry:
    """Make a record with no name, no company, nothing."""
    person = town.single()
    person.first = person.last = person.company = person.email = ""
    person.mobile = person.home = person.dob = None
    person.odd = True
    return Entry(person, "nothing", "", "", "")


def _anonymised(town: Population) -> Entry:
    """Make a record that was erased in the till: archived, and called "Customer [id]" (fact sheet A10)."""
    return replace(_nothing(town), anonymised=True, archived=True)


def _merged_pair(rng: Random, town: Population) -> list[Entry]:
    """Type one person twice; the second record was merged into the first and is archived."""
    first, second = _records(rng, town, town.single(), 2)
    first.archived = False
    second.archived = second.merged = True
    return [first, second]


def _row(
    rng: Random, plan: Plan, zones: dict[int, str], customer_id: int, entry: Entry, created: datetime
) -> Row:
    person = entry.person
    edited = created + timedelta(seconds=rng.randrange(int((plan.end - created).total_seconds())))
    contact_edited = created if rng.random() < 0.6 else created + (edited - created) * rng.random()
    contact_edited = contact_edited.replace(microsecond=0)
    first, last = entry.first, entry.last
    if entry.anonymised:
        first, last = "Customer", f"[{customer_id}]"
    return {
        "customerID": customer_id,
        "firstName": first,
        "lastName": last,
        "dob": _birth_moment(person, zones),
        "title": person.title,
        "company": person.company,
        "companyRegistrationNumber": "",
        "vatNumber": "",
        "createTime": created,
        "timeStamp": max(edited if entry.archived or rng.random() < 0.5 else created, contact_edited),
        "archived": entry.archived,
        "creditAccountID": 0,
        "customerTypeID": 3 if person.odd and person.company else rng.choice((1, 1, 1, 1, 2, 2, 3, 4, 0)),
        "discountID": 0,
        "taxCategoryID": 0,
        "Contact": _contact(rng, entry, contact_edited),
        "CustomFieldValues": [] if entry.anonymised else _custom_values(rng, customer_id, person, created),
        "Tags": rng.choice(([], [], [], ["vip"], ["bridal", "vip"], ["no gold"])),
        "Note": rng.choice(("", "", "", "", "prefers platinum", 'allergic to nickel; "very" particular')),
    }


def _birth_moment(person: Person, zones: dict[int, str]) -> datetime | None:
    """Return the shop's local midnight in UTC: east of Greenwich that is the day before (fact sheet A6)."""
    if person.dob is None:
        return None
    zone = ZoneInfo(zones[person.shop_id])
    return datetime(person.dob.year, person.dob.month, person.dob.day, tzinfo=zone).astimezone(UTC)


def _contact(rng: Random, entry: Entry, edited: datetime) -> Row:
    """Make the contact. Opt-out flags default to true (fact sheet A8.1); the counter asks some people."""
    asked = rng.random() < 0.6
    emails = [(entry.email, "Primary")] if entry.email else []
    if entry.email2:
        emails.append((entry.email2, "Secondary"))
    return {
        "custom": "",
        "noEmail": not asked or rng.random() < 0.2,
        "noPhone": not asked or rng.random() < 0.5,
        "noMail": not asked or rng.random() < 0.5,
        "Addresses": [_address_row(entry.address)] if entry.address else [],
        "Phones": [{"number": number, "useType": use} for number, use in entry.phones],
        "Emails": [{"address": address, "useType": use} for address, use in emails],
        "Websites": [],
        "timeStamp": edited,
    }


def _address_row(address: Address) -> Row:
    town = address.town
    return {
        "address1": address.street,
        "address2": address.street2,
        "city": town.city,
        "state": town.state,
        "stateCode": town.state_code,
        "zip": address.zip,
        "country": town.country,
        "countryCode": town.country_code,
    }


def _custom_values(rng: Random, customer_id: int, person: Person, created: datetime) -> list[Row]:
    if rng.random() < 0.7:
        return []
    values = [
        (1, "string", "Ring size", rng.choice(("5½", "6", "7.25", "52", "L"))),
        (2, "date", "Anniversary", str(date(1990, 1, 1) + timedelta(days=rng.randrange(12_000)))),
        (3, "boolean", "Pierced ears", rng.choice(("true", "false"))),
        (4, "text", "Wish list", f"pearls\nfor {person.first or 'the office'}"),
        (5, "single_choice", "Preferred metal", rng.choice(("Gold", "Silver", "Platinum"))),
        (6, "float", "Wrist", f"{rng.randrange(140, 220) / 10}"),
    ]
    return [
        {
            "customFieldValueID": customer_id * 10 + field_id,
            "customFieldID": field_id,
            "name": name,
            "type": kind,
            "value": value,
            "deleted": False,
            "timeStamp": created,
        }
        for field_id, kind, name, value in sorted(rng.sample(values, rng.randrange(1, 4)))
    ]


def _mail_word(text: str) -> str:
    return "".join(ch for ch in text.lower() if ch.isascii() and ch.isalnum())
