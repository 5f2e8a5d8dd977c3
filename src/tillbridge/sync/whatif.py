"""What other match rules would change: the same people decided twice, by the rules of now and by new ones.

Each set of rules is tried as a first load would go: oldest id first, a customer
whom nobody knows is created and can be found by the next. What a person has
decided stands under both. So the difference is the rules' alone, and nothing
that has happened since the real load is mistaken for it.

Pure: people come in batches, in the order of their ids, with whoever shares a
match key. Of those who are through, only ids are remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tillbridge.sync.match import (
    Candidate,
    Considered,
    Create,
    Decision,
    Link,
    MatchRules,
    Person,
    Review,
    match_batch,
)

Outcome = Literal["linked", "review", "created", "nobody"]

# How somebody who is created goes by in a trial: there is no record of theirs yet.
FRESH = "new:"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one customer under one set of rules. `to`: whom it is linked to, or may be."""

    outcome: Outcome
    to: tuple[str, ...] = ()
    rule: str | None = None
    why: str | None = None
    second: bool = False

    @property
    def linked_to(self) -> str | None:
        """Return whom the customer is linked to."""
        return self.to[0] if self.outcome == "linked" else None


@dataclass(frozen=True, slots=True)
class Around:
    """Whoever shares a match key with a batch: people of the CRM, and other customers of the till."""

    crm: Mapping[str, Sequence[Candidate]]
    till: Mapping[str, Sequence[Person]]


class Trial:
    """One set of rules, tried on batch after batch."""

    def __init__(
        self,
        rules: MatchRules,
        *,
        creates: bool = True,
        linked: Mapping[str, Sequence[str]] | None = None,
        created: Collection[str] = (),
    ) -> None:
        """Begin with what people decided: `linked` CRM ids with their customers, and who was `created`."""
        self._rules = rules
        self._creates = creates
        self._linked: dict[str, tuple[str, ...]] = {i: tuple(ids) for i, ids in (linked or {}).items()}
        self._created = set(created)

    def decide(self, persons: Sequence[Person], around: Around) -> dict[str, Fate]:
        """Decide about the next customers, given in the order of their ids."""

        def look_up(keys: set[str]) -> list[Candidate]:
            return self._candidates(keys, around)

        decided = match_batch(persons, look_up, self._become, self._rules)
        for person, decision in decided:
            self._remember(person, decision)
        return {person.id: self._fate(decision) for person, decision in decided}

    def _candidates(self, keys: set[str], around: Around) -> list[Candidate]:
        found = {each.id: each for key in keys for each in around.crm.get(key, ())}
        for key in keys:
            for person in around.till.get(key, ()):
                if person.id in self._created:
                    fresh = self._become(person)
                    found[fresh.id] = fresh
        return [self._with_links(each) for _, each in sorted(found.items())]

    def _with_links(self, candidate: Candidate) -> Candidate:
        links = self._linked.get(candidate.id)
        return replace(candidate, linked_to=(*candidate.linked_to, *links)) if links else candidate

    def _become(self, person: Person) -> Candidate:
        if not self._creates:
            return Candidate(id=FRESH + person.id)  # Whoever is not created can be found by nobody.
        fields = {name: getattr(person, name) for name in Person.__dataclass_fields__}
        return Candidate(**{**fields, "id": FRESH + person.id}, linked_to=(person.id,), ours=True)

    def _remember(self, person: Person, decision: Decision) -> None:
        match decision:
            case Link(candidate=candidate):
                self._linked[candidate.id] = (*self._linked.get(candidate.id, ()), person.id)
            case Create() if self._creates:
                self._created.add(person.id)

    def _fate(self, decision: Decision) -> Fate:
        match decision:
            case Link():
                to = (decision.candidate.id,)
                return Fate("linked", to, decision.rule, decision.evidence, decision.second)
            case Review():
                return Fate("review", _ids(decision.candidates), decision.rule, decision.reason)
            case Create():
                return Fate("created" if self._creates else "nobody")


def _ids(considered: Sequence[Considered]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.candidate.id for each in considered))


Kind = Literal["gained", "lost", "to_review", "from_review"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A customer who fares otherwise. A pair may be lost to another one: then it is there twice."""

    kind: Kind
    till_id: str
    before: Fate
    after: Fate


@dataclass(slots=True)
class Tally:
    """What is counted of one set of rules: links by rule, and the rest by outcome."""

    links: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    second: int = 0

    def count(self, fates: Mapping[str, Fate]) -> None:
        """Take in a batch."""
        for fate in fates.values():
            self.outcomes[fate.outcome] += 1
            if fate.outcome == "linked":
                self.links[fate.rule or ""] += 1
                self.second += fate.second


def differences(before: Mapping[str, Fate], after: Mapping[str, Fate]) -> list[Difference]:
    """Say who fares otherwise: pairs gained and lost, and who comes into review or out of it."""
    found = []
    for till_id, was in before.items():
        becomes = after[till_id]
        if becomes.linked_to != was.linked_to:
            if was.linked_to is not None:
                found.append(Difference("lost", till_id, was, becomes))
            if becomes.linked_to is not None:
                found.append(Difference("gained", till_id, was, becomes))
        if (becomes.outcome == "review") != (was.outcome == "review"):
            kind: Kind = "to_review" if becomes.outcome == "review" else "from_review"
            found.append(Difference(kind, till_id, was, becomes))
    return found
