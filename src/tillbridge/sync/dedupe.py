"""Which records of either side are one person, how sure that is, and what the survivor should hold.

Records meet by the keys of `match` and are compared by its rules, so an e-mail
alone never joins anybody and a key that many share says nothing. What a reader
would get wrong: only sure evidence makes a core; somebody whose evidence is weak
joins at most one core, as a member to look at, and never joins two cores. And
nothing here merges: a cluster is a proposal for a person.

Pure and deterministic: the same records give the same clusters, in whatever order they come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from itertools import combinations
from typing import Literal

import msgspec

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.emails import well_formed
from tillbridge.model.names import like_name
from tillbridge.sync.match import (
    DEFAULT_RULES,
    SHARERS_MAX,
    Candidate,
    Link,
    MatchRules,
    Review,
    Rule,
    match,
    match_keys,
)

Side = Literal["till", "crm"]
# Measured by bench/dedupe.py: an address with a like name is right in 997 of 1,000 pairs, the others in
# more than 999, so that an address alone is for a look.
Tier = Literal["linked", "email", "phone", "address", "look"]
TIERS: tuple[Tier, ...] = ("linked", "email", "phone", "address", "look")

_RULE_OF: dict[str, Rule] = {"x": "external_id", "e": "email", "p": "phone", "a": "address"}
_LETTERS = "xepa"
_TIER_OF: dict[str, Tier] = {
    "external_id": "linked",
    "email": "email",
    "phone": "phone",
    "address": "address",
}

# One person with more records than this is two people whom somebody has mixed up.
CORE_MAX = 12
# Records that are compared are few at a time: those of one key.
_OPENED_MAX = 4_096


class Member(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One record of a person on one side. `keys`: ours, and those of the till customers linked to it."""

    side: Side
    object: str  # of the CRM; "Customer" in the till
    id: str
    first: str | None = None
    last: str | None = None
    company: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()  # E.164 where they can be
    street: str | None = None
    zip: str | None = None
    city: str | None = None
    country: str | None = None
    born: str | None = None  # ISO date
    changed: float | None = None  # that side's own change stamp, epoch seconds
    keys: tuple[str, ...] = ()
    linked: bool = False
    account: str | None = None  # a contact's account

    @property
    def ref(self) -> str:
        """Return what names this record among both sides."""
        return f"{self.side} {self.id}"


class Edge(msgspec.Struct, frozen=True):
    """Why two records may be one person. `sure`: the rules would link them by themselves."""

    one: str
    other: str
    rule: Rule
    sure: bool
    text: str


class Proposed(msgspec.Struct, frozen=True):
    """A value that the survivor should hold, whose it is, and which rule chose it."""

    value: str
    of: str
    why: str


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Records that are probably one person. `unsure` members, and clusters of tier "look", are for a look."""

    id: str
    tier: Tier
    members: tuple[Member, ...]
    edges: tuple[Edge, ...]
    unsure: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()  # why a person has to look
    survivors: Mapping[Side, str] = {}
    proposed: Mapping[str, Proposed] = {}

    @property
    def is_sure(self) -> bool:
        """Say whether the evidence would do without a look."""
        return self.tier != "look"

    def of_side(self, side: Side) -> list[Member]:
        """Return the members of one side."""
        return [member for member in self.members if member.side == side]

    def proposal(self, ref: str) -> Literal["merge", "look"]:
        """Say what is proposed for a member."""
        return "merge" if self.is_sure and ref not in self.unsure else "look"


# --- finding -------------------------------------------------------------------------------------


class Finder:
    """Takes in records one by one, packed, and then finds the clusters among them.

    A quarter of a million people must fit into some hundred megabytes: a record is
    one packed blob, a key is one number.
    """

    def __init__(self, rules: MatchRules = DEFAULT_RULES) -> None:
        self._rules = rules
        self._packed: list[bytes] = []
        self._holders: dict[str, dict[int, int | list[int]]] = {letter: {} for letter in _LETTERS}
        self._open = lru_cache(maxsize=_OPENED_MAX)(self._unpack)

    def __len__(self) -> int:
        return len(self._packed)

    def add(self, member: Member) -> None:
        """Take in one record."""
        number = len(self._packed)
        self._packed.append(_encode(member))
        for key in match_keys(_candidate(member)):
            holders, hashed = self._holders[key[0]], hash(key)
            known = holders.get(hashed)
            if known is None:
                holders[hashed] = number
            elif isinstance(known, int):
                holders[hashed] = [known, number]
            else:
                known.append(number)

    def clusters(self, apart: Collection[frozenset[str]] = ()) -> list[Cluster]:
        """Return the clusters, in the order of their ids. `apart`: pairs that a person has kept apart."""
        sure: list[tuple[int, int, Edge]] = []
        weak: list[tuple[int, int, Edge]] = []
        for one, other, letters in self._pairs():
            edge = self._compare(one, other, letters)
            if edge is not None and frozenset((edge.one, edge.other)) not in apart:
                (sure if edge.sure else weak).append((one, other, edge))
        self._holders.clear()  # Only the pairs count from here on.
        return sorted(self._together(sure, weak), key=lambda cluster: cluster.id)

    def _pairs(self) -> Iterator[tuple[int, int, str]]:
        """Yield each pair that shares a key which says something, with the letters of those keys."""
        shared: dict[int, str] = {}
        for letter in _LETTERS:
            for holders in self._holders[letter].values():
                if isinstance(holders, int) or (letter != "x" and len(holders) > SHARERS_MAX):
                    continue
                for one, other in combinations(holders, 2):
                    pair = one << 32 | other
                    known = shared.get(pair, "")
                    if letter not in known:
                        shared[pair] = known + letter
        for pair, letters in shared.items():
            yield pair >> 32, pair & 0xFFFFFFFF, letters

    def _compare(self, one: int, other: int, letters: str) -> Edge | None:
        first, second = self._open(one), self._open(other)
        if _rank(second[0]) < _rank(first[0]):
            first, second = second, first
        return compare(first, second, letters, self._rules)

    def _unpack(self, number: int) -> tuple[Member, Candidate]:
        member = _decode(self._packed[number])
        return member, _candidate(member)

    def _together(
        self, sure: list[tuple[int, int, Edge]], weak: list[tuple[int, int, Edge]]
    ) -> Iterator[Cluster]:
        groups = _Groups()
        for one, other, _ in sure:
            groups.join(one, other)
        cores = set(groups.roots())
        core_of = {number: groups.root(number) for number in groups.numbers()}
        for one, other, _ in sorted(weak, key=_strength):
            roots = groups.root(one), groups.root(other)
            if roots[0] != roots[1] and not (roots[0] in cores and roots[1] in cores):
                joined = groups.join(one, other)
                if roots[0] in cores or roots[1] in cores:
                    cores -= set(roots)
                    cores.add(joined)
        edges: dict[int, list[tuple[int, int, Edge]]] = defaultdict(list)
        for each in (*sure, *weak):
            if groups.root(each[0]) == groups.root(each[1]):
                edges[groups.root(each[0])].append(each)
        for numbers in groups.all():
            members = [self._open(number)[0] for number in numbers]
            core = {m.ref for m, number in zip(members, numbers, strict=True) if number in core_of}
            found = [edge for _, _, edge in edges[groups.root(numbers[0])]]
            if (cluster := _cluster(members, core, found)) is not None:
                yield cluster


class _Groups:
    """Union-find over record numbers; only those that were joined are known."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, number: int) -> int:
        """Return what stands for the group of a number."""
        parent = self._parent
        while (above := parent.get(number, number)) != number:
            parent[number] = parent.get(above, above)
            number = above
        return number

    def join(self, one: int, other: int) -> int:
        """Make one group of two and return what stands for it."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = self._parent[low] = low
        return low

    def numbers(self) -> list[int]:
        """Return everybody who was joined to somebody."""
        return list(self._parent)

    def roots(self) -> Iterator[int]:
        """Yield what stands for each group."""
        return (number for number in self._parent if self.root(number) == number)

    def all(self) -> Iterator[list[int]]:
        """Yield the numbers of each group."""
        groups: dict[int, list[int]] = defaultdict(list)
        for number in self._parent:
            groups[self.root(number)].append(number)
        yield from groups.values()


def compare(
    first: tuple[Member, Candidate], second: tuple[Member, Candidate], letters: str, rules: MatchRules
) -> Edge | None:
    """Say why two records may be one person by the keys of these letters; None when they are not.

    A till's record comes first. Two records of the till are judged as when a second one
    is linked: an e-mail that two names share is then a household's, and no evidence.
    """
    one, person = first
    other, candidate = second
    if other.account == one.id or one.account == other.id:
        return None  # A contact and its own account.
    order = [rule for rule in rules.order if any(_RULE_OF[letter] == rule for letter in letters)]
    if "x" in letters and one.side != other.side:
        return Edge(one.ref, other.ref, "external_id", sure=True, text="linked")
    if one.side == other.side == "till":
        candidate = _as_linked(candidate)
    asked = MatchRules([rule for rule in order if rule != "external_id"], rules.review, rules.second)
    match match(person, [candidate], asked):
        case Link(rule=rule, evidence=text) if rule != "person":
            return Edge(one.ref, other.ref, rule, sure=True, text=text)
        case Review(rule=rule, reason=text):
            return Edge(one.ref, other.ref, rule, sure=False, text=text)
    return None


def _as_linked(candidate: Candidate) -> Candidate:
    fields = {name: getattr(candidate, name) for name in Candidate.__dataclass_fields__}
    return Candidate(**{**fields, "linked_to": (candidate.id,), "ours": True})


def _candidate(member: Member) -> Candidate:
    return Candidate(
        id=member.ref,
        first=member.first,
        last=member.last,
        company=member.company,
        emails=member.emails,
        phones=tuple(phone for phone in member.phones if phone.startswith("+")),
        street=member.street,
        zip=member.zip,
        city=member.city,
        birth_date=date.fromisoformat(member.born) if member.born else None,
        external_ids=member.keys,
    )


def _rank(member: Member) -> tuple[bool, int, str]:
    return member.side != "till", len(member.id), member.id


def _strength(weak: tuple[int, int, Edge]) -> tuple[int, str, str]:
    edge = weak[2]
    return list(_RULE_OF.values()).index(edge.rule), min(edge.one, edge.other), max(edge.one, edge.other)


# --- one cluster ---------------------------------------------------------------------------------


def _cluster(members: Sequence[Member], core: Collection[str], edges: Sequence[Edge]) -> Cluster | None:
    """Make a cluster of a group; None when no side has two records in it: then nothing is double."""
    members = sorted(members, key=_rank)
    sides = [member.side for member in members]
    if sides.count("till") < 2 and sides.count("crm") < 2:
        return None
    doubts = _doubts([member for member in members if member.ref in core])
    unsure = tuple(member.ref for member in members if member.ref not in core)
    if not core:
        doubts = ("nothing but weak evidence", *doubts)
    # A core without two of a side is an ordinary link; whoever is near it is the whole question.
    elif max(sum(m.ref in core and m.side == side for m in members) for side in ("till", "crm")) < 2:
        doubts = ("the second record has only weak evidence", *doubts)
    tier: Tier = "look" if doubts else _tier(edges, core)
    if tier == "address":
        tier, doubts = "look", ("nothing but a name and an address",)
    survivors = {side: _survivor(members, side, core) for side in ("till", "crm") if side in sides}
    return Cluster(
        id=cluster_id(member.ref for member in members),
        tier=tier,
        members=tuple(members),
        edges=tuple(sorted(edges, key=lambda edge: (edge.one, edge.other))),
        unsure=unsure,
        doubts=doubts,
        survivors=survivors,
        proposed=propose([m for m in members if m.ref in core] or members, set(survivors.values())),
    )


def cluster_id(refs: Iterable[str]) -> str:
    """Return the id of a cluster: the same records have the same one in every scan."""
    return blake2b("\n".join(sorted(refs)).encode(), digest_size=5).hexdigest()


def _doubts(core: Sequence[Member]) -> tuple[str, ...]:
    """Say what speaks against a core as a whole: evidence goes from one to the next, and may lead astray."""
    found = []
    if len(core) > CORE_MAX:
        found.append("too many records for one person")
    pairs = list(combinations(core, 2)) if len(core) <= CORE_MAX else []
    if any(one.born and other.born and one.born != other.born for one, other in pairs):
        found.append("birth dates differ")
    if any(_unlike(one, other) for one, other in pairs):
        found.append("two of them have names that do not go together")
    return tuple(found)


def _unlike(one: Member, other: Member) -> bool:
    if not (one.first or one.last) or not (other.first or other.last):
        return False
    return like_name((one.first, one.last), (other.first, other.last)).degree == "unlike"


def _tier(edges: Sequence[Edge], core: Collection[str]) -> Tier:
    """Return the weakest rule that the core needs: the strongest rules join it first."""
    groups: dict[str, str] = {}

    def root(ref: str) -> str:
        while groups.get(ref, ref) != ref:
            ref = groups[ref]
        return ref

    weakest = 0
    for edge in sorted(edges, key=lambda edge: TIERS.index(_TIER_OF[edge.rule])):
        if edge.sure and edge.one in core and root(edge.one) != root(edge.other):
            groups[root(edge.one)] = root(edge.other)
            weakest = max(weakest, TIERS.index(_TIER_OF[edge.rule]))
    return TIERS[weakest]


_OBJECTS = ("Account", "Contact", "Lead")


def _survivor(members: Sequence[Member], side: Side, core: Collection[str]) -> str:
    """Choose the record that stays: sure, a whole person, linked, most complete, then the oldest.

    Linked comes early, since our key stays with its record when Salesforce merges.
    """

    def rank(member: Member) -> tuple[object, ...]:
        whole = _OBJECTS.index(member.object) if member.object in _OBJECTS else 0
        return (member.ref not in core, whole, not member.linked, -_filled(member), len(member.id), member.id)

    return min((member for member in members if member.side == side), key=rank).ref


def _filled(member: Member) -> int:
    return sum(bool(value) for value in _traits(member).values())


# --- survivorship --------------------------------------------------------------------------------

# What decides between two values of a trait, in this order; docs/operating.md says the same, and a test
# sees to it. Whatever is left equal is decided for the till, whose staff have met the person.
TRAITS: Mapping[str, tuple[str, ...]] = {
    "name": ("longest", "most recent"),
    "company": ("longest", "most recent"),
    "email": ("well formed", "most recent"),
    "phone": ("a whole number", "most recent"),
    "address": ("most complete", "most recent"),
    "birth_date": ("most recent",),
}


class _Value(msgspec.Struct, frozen=True):
    value: str
    parts: int
    of: str
    changed: float
    side: Side
    survives: bool


def propose(members: Sequence[Member], survivors: Collection[str]) -> dict[str, Proposed]:
    """Return the value that each trait should have, by the rules of `TRAITS`."""
    found: dict[str, list[_Value]] = defaultdict(list)
    for member in members:
        for trait, parts in _traits(member).items():
            if parts:
                survives = member.ref in survivors
                value = " ".join(parts) if trait == "name" else ", ".join(parts)
                found[trait].append(
                    _Value(value, len(parts), member.ref, member.changed or 0.0, member.side, survives)
                )
    return {trait: _chosen(trait, values) for trait, values in found.items()}


def _traits(member: Member) -> dict[str, tuple[str, ...]]:
    place = (member.street, " ".join(filter(None, (member.zip, member.city))), member.country)
    return {
        "name": tuple(filter(None, (member.first, member.last))),
        "company": tuple(filter(None, (member.company,))),
        "email": member.emails[:1],
        "phone": member.phones[:1],
        "address": tuple(part for part in place if part),
        "birth_date": tuple(filter(None, (member.born,))),
    }


_SCORES: Mapping[str, Callable[[_Value], float]] = {
    "longest": lambda each: len(each.value),
    "well formed": lambda each: well_formed(each.value),
    "a whole number": lambda each: each.value.startswith("+"),
    "most complete": lambda each: each.parts,
    "most recent": lambda each: each.changed,
}


def _chosen(trait: str, values: Sequence[_Value]) -> Proposed:
    left, why = list(values), "the only value"
    if len({each.value for each in left}) == 1:
        best = min(left, key=lambda each: (not each.survives, each.side != "till", each.of))
        return Proposed(best.value, best.of, why if len(left) == 1 else "all agree")
    for criterion in TRAITS[trait]:
        score = _SCORES[criterion]
        highest = max(map(score, left))
        fewer = [each for each in left if score(each) == highest]
        if len(fewer) < len(left):
            left, why = fewer, criterion
    best = min(left, key=lambda each: (each.side != "till", not each.survives, each.of))
    return Proposed(best.value, best.of, why)


# --- what a merge in the CRM writes --------------------------------------------------------------

# The slots of the field map, by the trait whose rule they follow. Slots of one unit go together:
# half an address of one record and half of another's is nobody's.
_UNITS: Mapping[str, tuple[str, ...]] = {
    "name": ("first_name", "last_name"),
    "address": ("street", "city", "state", "state_code", "zip", "country", "country_code"),
}
_SINGLE: Mapping[str, str] = {
    "company": "company",
    "email": "email",
    "secondary_email": "email",
    "home_phone": "phone",
    "work_phone": "phone",
    "mobile_phone": "phone",
    "fax": "phone",
    "pager": "phone",
    "title": "company",
    "birth_date": "birth_date",
}
_OPT_OUTS = frozenset({"no_email", "no_phone", "no_mail"})


def slots_of(lines: Mapping[str, str]) -> dict[str, str]:
    """Return which of a field map's targets hold which slot of a person; others are not merged by us."""
    known = {*_SINGLE, *_OPT_OUTS, *(slot for slots in _UNITS.values() for slot in slots)}
    named = {target: text.partition("|")[0].partition(",")[0].strip() for target, text in lines.items()}
    return {target: slot for target, slot in named.items() if slot in known}


def merged_fields(
    master: CrmPersonRow, losers: Sequence[CrmPersonRow], slots: Mapping[str, str]
) -> dict[str, str | None]:
    """Return what the master has to be given when the losers go into it: only what would be different.

    A refusal of one is a refusal of the person: opted out stays opted out.
    """
    rows = [master, *losers]
    given: dict[str, str | None] = {}
    for unit, names in _UNITS.items():
        targets = [target for target, slot in slots.items() if slot in names]
        values = {row.id: tuple(v for t in targets if (v := row.fields.get(t))) for row in rows}
        if targets and (best := _best(unit, rows, master.id, values)) is not None:
            given |= {target: best.fields.get(target) for target in targets}
    for target, slot in slots.items():
        if slot in _OPT_OUTS and any(row.fields.get(target) == "true" for row in rows):
            given[target] = "true"
        elif slot in _SINGLE:
            single = {row.id: tuple(filter(None, (row.fields.get(target),))) for row in rows}
            if (best := _best(_SINGLE[slot], rows, master.id, single)) is not None:
                given[target] = best.fields.get(target)
    return {target: value for target, value in given.items() if value != master.fields.get(target)}


def _best(
    trait: str, rows: Sequence[CrmPersonRow], master: str, values: Mapping[str, tuple[str, ...]]
) -> CrmPersonRow | None:
    found = [
        _Value(
            " ".join(values[row.id]),
            len(values[row.id]),
            row.id,
            row.changed_at.timestamp() if row.changed_at else 0.0,
            "crm",
            row.id == master,
        )
        for row in rows
        if values[row.id]
    ]
    if not found:
        return None
    chosen = _chosen(trait, found).of
    return next(row for row in rows if row.id == chosen)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Member).decode
