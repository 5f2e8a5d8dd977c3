"""Other match rules, tried in the background and kept for a while: a large shop's people take a minute.

One trial of a connection at a time: whoever moves a setting again ends the one
before. Nothing is asked of a remote and nothing is written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tillbridge.engine.whatif import Books as Tried
from tillbridge.engine.whatif import Pair, WhatIf, what_if
from tillbridge.sync.match import MatchRules
from tillbridge.sync.whatif import FRESH, Fate, Tally
from tillbridge.views.books import Books
from tillbridge.wiring import settings_of

# Of each kind of difference so many are shown.
EXAMPLES = 5

# People come and link meanwhile: what was tried longer ago is tried anew.
_KEPT_SECONDS = 300.0
_KEPT_MAX = 8

_OUTCOMES = ("linked", "review", "created", "nobody")


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What one set of rules makes of everybody."""

    match: list[str]
    review: list[str]
    linked: int
    links_by_rule: dict[str, int]
    in_review: int
    created: int
    left_out: int
    second_records: int


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One customer who would fare otherwise."""

    till_id: str
    name: str
    others: dict[str, str]  # whom it is about: id -> name; a customer's own number with `new:` before it
    rule: str | None
    why: str | None
    before: str
    after: str
    state: str
    crm_id: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How many fare otherwise in one way, and some of them."""

    kind: str
    total: int
    examples: list[Example]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial; `done` false: so far only how many were tried."""

    done: bool
    tried: int
    total: int
    customers: int = 0
    decided_by_people: int = 0
    now: Side | None = None
    then: Side | None = None
    differences: list[Difference] = []


class _Given(Exception):
    """Somebody has asked for other rules meanwhile."""


@dataclass(slots=True)
class _Running:
    total: int
    begun: float
    tried: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False
    found: WhatIf | None = None
    error: Exception | None = None


class Trials:
    """Trials of all connections."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, object], _Running] = {}
        self._lock = threading.Lock()

    def ask(
        self, books: Books, match: Iterable[str], review: Iterable[str], patience_seconds: float
    ) -> Trial:
        """Return what other rules would change, or how far the trial is after waiting so long."""
        rules = _rules(match, review)
        running = self._begun(books, rules)
        running.ended.wait(patience_seconds)
        if running.error is not None:
            raise running.error
        if running.found is None:
            return Trial(done=False, tried=running.tried, total=running.total)
        return _told(books, rules, running.found)

    def _begun(self, books: Books, rules: MatchRules) -> _Running:
        # The books are opened anew when a setting changes: what was tried with others is no answer.
        key = (books.name, (id(books), tuple(rules.order), frozenset(rules.review)))
        now = books.clock.monotonic()
        with self._lock:
            kept = self._running.get(key)
            if kept is not None and kept.error is None and now - kept.begun < _KEPT_SECONDS:
                return kept
            for (name, _), each in self._running.items():
                each.stopped |= name == books.name
            while len(self._running) >= _KEPT_MAX:
                del self._running[next(iter(self._running))]
            self._running.pop(key, None)
            begun = self._running[key] = _Running(books.arrivals.count_people(), now)
        threading.Thread(target=_try, args=(books, rules, begun), name="trial", daemon=True).start()
        return begun


def _try(books: Books, rules: MatchRules, running: _Running) -> None:
    def tell(count: int) -> None:
        if running.stopped:
            raise _Given
        running.tried += count

    try:
        tried = Tried(books.state, books.people, books.arrivals, settings_of(books.config))
        running.found = what_if(tried, rules, limit=EXAMPLES, tell=tell)
    except Exception as error:  # noqa: BLE001  It is raised to whoever asks.
        running.error = error
    finally:
        running.ended.set()


def _rules(match: Iterable[str], review: Iterable[str]) -> MatchRules:
    order: list[Any] = list(match)
    suggests: frozenset[Any] = frozenset(review)
    return MatchRules(order=order, review=suggests)


def _told(books: Books, rules: MatchRules, found: WhatIf) -> Trial:
    settings = settings_of(books.config)
    kinds = ("gained", "lost", "to_review", "from_review")
    return Trial(
        done=True,
        tried=found.customers,
        total=found.customers,
        customers=found.customers,
        decided_by_people=found.decided,
        now=_side(settings.match, settings.review, found.now),
        then=_side(rules.order, rules.review, found.then),
        differences=[
            Difference(
                kind=kind,
                total=found.counts[kind],
                examples=[_example(each) for each in found.pairs if each.kind == kind],
            )
            for kind in kinds
        ],
    )


def _side(match: Iterable[str], review: Iterable[str], tally: Tally) -> Side:
    linked, in_review, created, left_out = (tally.outcomes[name] for name in _OUTCOMES)
    return Side(
        match=list(match),
        review=sorted(review),
        linked=linked,
        links_by_rule=dict(tally.links),
        in_review=in_review,
        created=created,
        left_out=left_out,
        second_records=tally.second,
    )


def _example(pair: Pair) -> Example:
    fate = pair.before if pair.kind in {"lost", "from_review"} else pair.after
    return Example(
        till_id=pair.till_id,
        name=pair.name,
        others=_others(fate, pair.others),
        rule=fate.rule,
        why=fate.why,
        before=_outcome(pair.before),
        after=_outcome(pair.after),
        state=pair.stands,
        crm_id=pair.crm_id,
    )


def _others(fate: Fate, names: Mapping[str, str]) -> dict[str, str]:
    return {to.removeprefix(FRESH): names.get(to, "") for to in fate.to}


def _outcome(fate: Fate) -> str:
    return f"linked by {fate.rule}" if fate.outcome == "linked" else fate.outcome
