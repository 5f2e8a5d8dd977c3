"""Whether a till customer is somebody the CRM already knows: link, ask a person, or create.

Rules in their order: an external id on either side, then e-mail, phone and
address, each with a like name. One candidate: link. Several: review, never a
guess. Differing birth dates veto. What a reader would get wrong: the same
e-mail with an unlike name does not create either; it waits for a person, for
half of those are one human being. Unless the e-mail's holder came from the
till as well: then the staff themselves keep two records of two people.

Pure: candidates are looked up by the caller, by `match_keys` of the person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Literal

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.countries import country_code
from tillbridge.model.customer import CustomerFacts, nameless
from tillbridge.model.emails import fold_email
from tillbridge.model.names import Likeness, fold, like_company, like_name
from tillbridge.model.phones import e164
from tillbridge.model.records import Customer

Rule = Literal["external_id", "email", "phone", "address"]
RULES: tuple[Rule, ...] = ("external_id", "email", "phone", "address")
_LETTER: dict[Rule, str] = {"external_id": "x", "email": "e", "phone": "p", "address": "a"}
_WORDS: dict[Rule, str] = {
    "external_id": "external id",
    "email": "e-mail",
    "phone": "phone",
    "address": "address",
}

# A key that so many records share is a front desk's or a placeholder: it says nothing about anybody.
SHARERS_MAX = 12
# A mailbox that staff type when the till insists on one; nobody's.
_NOBODYS_MAILBOX = re.compile(
    r"no-?e?-?mail|none|na|nil|null|unknown|no-?reply|nobody|geen|keine|sans|geenmail|x+|test|noaddress|refused"
)
_NUMBER = re.compile(r"\d+")
_US_ZIP = re.compile(r"(\d{5})\d{4}")
# Mailboxes and doors that are remembered: some batches of customers, since a chain has millions.
_KEPT_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody, on either side, as far as matching looks at it.

    `external_ids` are keys of ours and whatever ids of the other side it carries.
    """

    id: str
    first: str | None = None
    last: str | None = None
    company: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()  # E.164
    street: str | None = None
    zip: str | None = None
    city: str | None = None
    birth_date: date | None = None
    external_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate(Person):
    """Somebody in the CRM. `object` holds the record; a converted Lead is nobody to link to.

    Our key in its slot comes as an external id: the same key is the strongest match there is.
    """

    object: Literal["Account", "Contact", "Lead"] = "Account"
    converted: bool = False
    linked_to: tuple[str, ...] = ()  # till customers it is linked to already
    ours: bool = False  # we created it from one of them


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate that was looked at: by which rule it came up, how its name compares, what became of it."""

    candidate: Candidate
    rule: Rule
    name: Likeness
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """The person is this candidate; `second`: one more identity of it, for another till customer has it."""

    candidate: Candidate
    rule: Rule | Literal["person"]  # a person has decided it
    evidence: str
    second: bool = False
    rejected: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """A person has to choose; nobody is created meanwhile."""

    candidates: tuple[Considered, ...]
    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class Create:
    """Nobody in the CRM is this person. `rejected` tells who was looked at and why not."""

    rejected: tuple[Considered, ...] = ()


Decision = Link | Review | Create


@dataclass(frozen=True, slots=True)
class MatchRules:
    """Which rules are on, in order; which of them only suggest; which may link a second till record.

    The defaults are measured: see bench/matching.py.
    """

    order: Sequence[Rule] = RULES
    review: frozenset[Rule] = frozenset()
    second: frozenset[Rule] = frozenset({"external_id", "email", "phone"})


DEFAULT_RULES = MatchRules()


def person_of(customer: Customer, facts: CustomerFacts, key: str) -> Person:
    """Return what matching looks at of a till customer. `key` is our key for it."""
    no_name = nameless(customer)
    return Person(
        id=customer.id,
        first=None if no_name else customer.first_name,
        last=None if no_name else customer.last_name,
        company=customer.company,
        emails=tuple(email.address for email in customer.emails),
        phones=tuple(
            number
            for number in (facts.mobile_phone, facts.home_phone, facts.work_phone)
            if number and number.startswith("+")
        ),
        street=customer.address.street if customer.address else None,
        zip=customer.address.zip if customer.address else None,
        city=customer.address.city if customer.address else None,
        birth_date=facts.birth_date,
        external_ids=(key,),
    )


def candidate_of(
    row: CrmPersonRow, region: str | None, *, linked_to: tuple[str, ...] = (), ours: bool = False
) -> Candidate:
    """Return a person of the CRM as matching looks at it.

    A phone without a plus is read as dialled where the person lives, else in `region`.
    """
    home = country_code(row.country) if row.country else None
    return Candidate(
        id=row.id,
        first=row.first,
        last=row.last,
        company=row.company,
        emails=row.emails,
        phones=phones_of(row.phones, home or region),
        street=row.street,
        zip=row.zip,
        city=row.city,
        birth_date=row.birth_date,
        external_ids=(row.key,) if row.key else (),
        object=row.object,  # type: ignore[arg-type]  # people live in these three objects only
        converted=row.converted,
        linked_to=linked_to,
        ours=ours,
    )


def phones_of(numbers: Iterable[str | None], region: str | None) -> tuple[str, ...]:
    """Return a CRM record's phones as matching compares them."""
    return tuple(dict.fromkeys(found for number in numbers if number and (found := e164(number, region))))


def match_keys(person: Person) -> set[str]:
    """Return what a person can be looked up by: equal keys make two records candidates for each other.

    They tell who somebody is, so they are stored as keyed hashes only.
    """
    keys = {f"x:{external}" for external in person.external_ids}
    keys |= {f"e:{folded}" for email in person.emails if (folded := _mailbox(email))}
    keys |= {f"p:{number}" for number in person.phones if not _nobodys_number(number)}
    if door := _door(person):
        keys.add(f"a:{door}")
    return keys


def match(person: Person, candidates: Sequence[Candidate], rules: MatchRules = DEFAULT_RULES) -> Decision:
    """Decide about one till customer. `candidates` share a match key with it, in any order."""
    keys = match_keys(person)
    seen: list[Considered] = []
    for rule in rules.order:
        hits = _hits(rule, keys, candidates)
        if rule == "external_id" and (living := [hit for hit in hits if not hit.converted]):
            return _by_external_id(living, person)
        looked = [_consider(person, hit, rule, crowded=len(hits) > SHARERS_MAX) for hit in hits]
        fit = [each for each in looked if each.text == _FITS]
        if fit:
            return _settle(fit, rule, rules, [each for each in (*seen, *looked) if each not in fit])
        seen += looked
    doubtful = [each for each in seen if each.text in _DOUBTS]
    if doubtful:
        return Review(_once(doubtful), doubtful[0].rule, f"{_WORDS[doubtful[0].rule]}: {doubtful[0].text}")
    return Create(_once(seen))


def match_batch(
    persons: Iterable[Person],
    look_up: Callable[[set[str]], Sequence[Candidate]],
    become: Callable[[Person], Candidate],
    rules: MatchRules = DEFAULT_RULES,
) -> list[tuple[Person, Decision]]:
    """Decide about many, so that two till records of one person do not create two people.

    Oldest id first, whatever order they came in: the same people always get
    the same decisions. `become` says what a created person looks like in the CRM.
    """
    fresh: dict[str, list[Candidate]] = {}
    taken: dict[str, Candidate] = {}
    decided: list[tuple[Person, Decision]] = []
    for person in sorted(persons, key=lambda person: (len(person.id), person.id)):
        keys = match_keys(person)
        found = {candidate.id: candidate for candidate in look_up(keys)}
        found.update((each.id, each) for key in sorted(keys) for each in fresh.get(key, ()))
        decision = match(person, [taken.get(name, each) for name, each in found.items()], rules)
        decided.append((person, decision))
        if isinstance(decision, Create):
            created = become(person)
            for key in match_keys(created):
                fresh.setdefault(key, []).append(created)
        elif isinstance(decision, Link):
            linked = decision.candidate
            taken[linked.id] = replace(linked, linked_to=(*linked.linked_to, person.id))
    return decided


_FITS = "fits"
_SHARED_BY_MANY = "too many people share this to tell"
_VETO = "birth dates differ"
_CONVERTED = "this Lead was converted"
_ELSEWHO = "another customer of the till with another name"
_UNLIKE_EMAIL = "same e-mail, another name"
_VETO_EMAIL = "same e-mail and name, but birth dates differ"
_NEAR = "the names are near, but not alike"
_DOUBTS = frozenset({_UNLIKE_EMAIL, _VETO_EMAIL, _NEAR})
_NO_DOUBT = "another name"


def _hits(rule: Rule, keys: set[str], candidates: Sequence[Candidate]) -> list[Candidate]:
    letter = _LETTER[rule] + ":"
    wanted = {key for key in keys if key.startswith(letter)}
    if not wanted:
        return []
    return sorted((each for each in candidates if wanted & match_keys(each)), key=lambda each: each.id)


def _by_external_id(hits: list[Candidate], person: Person) -> Decision:
    looked = [Considered(hit, "external_id", _name(person, hit), _FITS) for hit in hits]
    if len(hits) > 1:
        return Review(tuple(looked), "external_id", "several records carry this external id")
    return Link(hits[0], "external_id", "external id", _is_second(hits[0], person))


def _consider(person: Person, candidate: Candidate, rule: Rule, *, crowded: bool) -> Considered:
    name = _name(person, candidate)
    return Considered(candidate, rule, name, _verdict(person, candidate, rule, name, crowded=crowded))


def _verdict(person: Person, candidate: Candidate, rule: Rule, name: Likeness, *, crowded: bool) -> str:
    if candidate.converted:
        return _CONVERTED
    if crowded:
        return _SHARED_BY_MANY
    if _born_apart(person, candidate):
        return _VETO_EMAIL if rule == "email" and name.degree != "unlike" else _VETO
    if name.degree == "like":
        return _FITS
    if name.degree == "near":
        return _NEAR
    if rule != "email":
        return _NO_DOUBT
    return _ELSEWHO if candidate.ours and candidate.linked_to else _UNLIKE_EMAIL


def _settle(fit: list[Considered], rule: Rule, rules: MatchRules, rejected: list[Considered]) -> Decision:
    if len(fit) > 1:
        return Review(tuple(fit), rule, f"{_WORDS[rule]}: several fit")
    best = fit[0]
    if rule in rules.review:
        return Review(tuple(fit), rule, f"{_WORDS[rule]}: this rule only suggests")
    second = bool(best.candidate.linked_to)
    if second and rule not in rules.second:
        return Review(tuple(fit), rule, f"{_WORDS[rule]}: another customer of the till is linked to it")
    evidence = f"{_WORDS[rule]}; {best.name.how}"
    return Link(best.candidate, rule, evidence, second, _once(rejected))


def _once(considered: Iterable[Considered]) -> tuple[Considered, ...]:
    """Leave each candidate with the first thing that was said of it."""
    first: dict[str, Considered] = {}
    for each in considered:
        first.setdefault(each.candidate.id, each)
    return tuple(first.values())


def _is_second(candidate: Candidate, person: Person) -> bool:
    return any(other != person.id for other in candidate.linked_to)


def _born_apart(person: Person, candidate: Candidate) -> bool:
    return bool(person.birth_date and candidate.birth_date and person.birth_date != candidate.birth_date)


def _name(person: Person, candidate: Candidate) -> Likeness:
    if not (person.first or person.last) or not (candidate.first or candidate.last):
        mine = person.company if not (person.first or person.last) else None
        yours = candidate.company or candidate.last
        if mine and like_company(mine, yours):
            return Likeness("like", "same company")
    elif person.company and not candidate.first and like_company(person.company, candidate.last):
        return Likeness("near", "a company's record")
    return like_name((person.first, person.last), (candidate.first, candidate.last))


@lru_cache(maxsize=_KEPT_MAX)
def _mailbox(address: str) -> str | None:
    folded = fold_email(address)
    if folded is None:
        return None
    local, _, domain = folded.rpartition("@")
    if not local or "." not in domain or _NOBODYS_MAILBOX.fullmatch(local):
        return None
    return folded


def _nobodys_number(number: str) -> bool:
    """Say whether somebody leant on one key: +1 000 000 0000."""
    return len(set(number[-7:])) == 1


def _door(person: Person) -> str | None:
    return _door_of(person.street or "", person.zip or "", person.city or "")


@lru_cache(maxsize=_KEPT_MAX)
def _door_of(street: str, zip_code: str, city: str) -> str | None:
    """Fold an address to its post code, house number and street; None without all of them."""
    first_line = fold(street.strip().split("\n")[0])
    numbers = "-".join(_NUMBER.findall(first_line))
    words = sorted(
        (word for word in first_line.split() if word.isalpha()), key=lambda word: (-len(word), word)
    )
    place = fold(zip_code).replace(" ", "") or fold(city)
    if shortened := _US_ZIP.fullmatch(place):
        place = shortened.group(1)
    return f"{place}|{numbers}|{words[0][:5]}" if place and numbers and words else None
