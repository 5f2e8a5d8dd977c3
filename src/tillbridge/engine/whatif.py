"""Try other match rules on what both sides have shown so far: no remote is asked, and nothing is written.

The people of both sides come from the local indexes. What the CRM holds
because of us must not decide anew about those whom we made it for: people whom
we created count as they are in the till, and a key that we wrote when we linked
somebody counts for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tillbridge.engine.connection import Settings
from tillbridge.engine.directory import dial_region, kept_directory
from tillbridge.engine.identities import confirmed_by
from tillbridge.engine.people import rules_of
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.people import People
from tillbridge.store.state import State
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import Candidate, MatchRules, Person, candidate_of, match_keys
from tillbridge.sync.whatif import FRESH, Around, Difference, Fate, Kind, Tally, Trial, differences

# So many customers are decided together; their neighbours on both sides are read at once.
_AT_ONCE = 2_000

# How verdicts say that no rule made a link: a person did, or the customer was created from this very record.
_NO_RULE = frozenset({"person", "created", "merged"})


class Pair(msgspec.Struct, frozen=True):
    """One difference, as a person can judge it. `stands`: how it is now, whatever the rules."""

    kind: Kind
    till_id: str
    name: str
    before: Fate
    after: Fate
    others: Mapping[str, str]  # whom either fate names: id -> name
    stands: str
    crm_id: str | None


class WhatIf(msgspec.Struct):
    """What other rules would change."""

    customers: int = 0
    decided: int = 0  # by people: no rule has a say
    now: Tally = msgspec.field(default_factory=Tally)
    then: Tally = msgspec.field(default_factory=Tally)
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    pairs: list[Pair] = []


class Books(msgspec.Struct, frozen=True):
    """What is read: the state and both indexes."""

    state: State
    people: People
    arrivals: Arrivals
    settings: Settings


def what_if(
    books: Books,
    rules: MatchRules,
    *,
    limit: int | None,
    tell: Callable[[int], None] = lambda _count: None,
) -> WhatIf:
    """Compare the rules of now with others. All differences are counted, of each kind `limit` listed."""
    pool = _Pool(books)
    found = WhatIf(decided=len(pool.settled))
    creates = books.settings.mode not in {"link_only", "crm_to_till"}
    now, then = (
        Trial(each, creates=creates, linked=pool.links, created=pool.created)
        for each in (rules_of(books.settings), rules)
    )
    kept: list[Difference] = []
    for people in books.arrivals.everybody(_AT_ONCE):
        persons = [person for person in people if person.id not in pool.settled]
        around = pool.around(persons)
        was, becomes = now.decide(persons, around), then.decide(persons, around)
        found.customers += len(people)
        found.now.count(was)
        found.then.count(becomes)
        for each in differences(was, becomes):
            found.counts[each.kind] += 1
            if limit is None or found.counts[each.kind] <= limit:
                kept.append(each)
        tell(len(people))
    found.pairs = _told(books, kept)
    return found


class _Pool:
    """The people of both sides as they would be if nothing had been linked or created by rules."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._region = dial_region(kept_directory(books.people), books.settings)
        self._account = books.state.fact("till_account") or ""
        self.links: dict[str, list[str]] = {}
        self.created: set[str] = set()
        self.settled: set[str] = set()
        self._made_by_us: set[str] = set()
        self._key_is_theirs: set[str] = set()
        self._read_verdicts()

    def _read_verdicts(self) -> None:
        """Take in what people have decided, and for whom we made or marked records of the CRM."""
        for verdict in self._books.people.all_verdicts():
            by_person = verdict.rule in _NO_RULE or confirmed_by(verdict) is not None
            if verdict.rule == "external_id":
                self._key_is_theirs.add(verdict.till_id)
            if verdict.outcome == "created":
                self._made_by_us.add(verdict.till_id)
                if by_person:
                    self.created.add(verdict.till_id)
            elif verdict.outcome == "linked" and by_person and (crm_id := verdict.detail.get("crm_id")):
                self.links.setdefault(crm_id, []).append(verdict.till_id)
            if by_person and verdict.outcome != "review":
                self.settled.add(verdict.till_id)

    def around(self, persons: Sequence[Person]) -> Around:
        """Return whoever shares a key with somebody of a batch."""
        keys = {each for person in persons for each in match_keys(person)}
        rows = self._books.people.find({each: (each,) for each in keys})
        candidates: dict[str, Candidate | None] = {}
        crm: dict[str, list[Candidate]] = {}
        for each, holders in rows.items():
            for row in holders:
                if row.id not in candidates:
                    candidates[row.id] = self._candidate(row)
                if (candidate := candidates[row.id]) is not None:
                    crm.setdefault(each, []).append(candidate)
        return Around(crm, self._books.arrivals.sharing(keys))

    def _candidate(self, row: Any) -> Candidate | None:
        candidate = candidate_of(row, self._region)
        own = next(iter(candidate.external_ids), "")
        till_id = own.removeprefix(key(self._account, "customer", ""))
        if till_id == own:
            return candidate
        if till_id in self._made_by_us:
            return None
        if till_id in self._key_is_theirs:
            return candidate
        return candidate_of(msgspec.structs.replace(row, key=None), self._region)


def _told(books: Books, found: Sequence[Difference]) -> list[Pair]:
    """Add names, and how it is now."""
    ids = {each.till_id for each in found}
    targets = {to for each in found for fate in (each.before, each.after) for to in fate.to}
    fresh = {to.removeprefix(FRESH) for to in targets if to.startswith(FRESH)}
    till = books.arrivals.people(ids | fresh)
    crm = books.people.get(targets)
    names = {i: _name(person) for i, person in crm.items()}
    names |= {FRESH + i: _name(till[i]) for i in fresh if i in till}
    known = books.state.known("customer", ids)
    pairs = []
    for each in found:
        stands = known.get(each.till_id)
        named = {to: names.get(to, "") for fate in (each.before, each.after) for to in fate.to}
        pairs.append(
            Pair(
                each.kind,
                each.till_id,
                _name(till[each.till_id]),
                each.before,
                each.after,
                named,
                stands.state if stands else "unknown",
                stands.crm_id if stands else None,
            )
        )
    return pairs


def _name(who: Any) -> str:
    return " ".join(filter(None, (who.first, who.last))) or who.company or ""
