"""Everybody, to be searched as somebody types: an index in memory of what lies sealed in the tables.

Names may not be readable in the file, and a sealed column cannot be searched.
So whoever opens the books opens every entry once and keeps the words that people
type: folded names, e-mails, the digits of phones, the ids of both sides. Words
stand in long texts, many people to a text, which are searched by `str.find`.
What has changed since is read again by its stamps (see ADR 14).

What a reader would get wrong: a row is a customer of the till with its record in
the CRM, or somebody of the CRM whom the till does not know; nothing here is
shown, rows are read again for that.
"""

from __future__ import annotations

import re
import threading
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from heapq import nlargest
from itertools import islice
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.clock import Clock
from tillbridge.model.names import fold
from tillbridge.store import schema
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.people import People
from tillbridge.store.state import State
from tillbridge.sync.match import Person

Filter = Literal["linked", "review", "conflict", "problem", "unsynced"]
FILTERS: tuple[Filter, ...] = ("linked", "review", "conflict", "problem", "unsynced")

# So many people stand in one text: a change writes its text anew, a search calls `find` once for each.
_TOGETHER = 4_096

# So many hits are ranked; whoever types so little is still typing.
_RANKED = 1_000

# Fewer rows than these are looked at one by one rather than looked for in everybody.
_FEW = 20_000

# Who moved last is found among so many who did; else everybody is looked at.
_LOOKED_BACK = 5_000

# Of somebody's stores people are counted so often at most.
_COUNTED_SECONDS = 10.0

# A stamp is set before its transaction ends: so much of the past is looked at once more.
_OVERLAP_SECONDS = 30.0

# Looked at so often at most; and within a request so many changes are read at most.
_LOOK_SECONDS = 1.0
_TAKEN_AT_ONCE = 500
_READ_AT_ONCE = 5_000
_STAMPS_MAX = 20_000

_NUMBER = re.compile(r"[+\d][\d\s()./-]{3,}")
_WORDS = re.compile(r"\S+")
_record, _news, _bought = schema.record, schema.people_news, schema.bought

# As a word of the statement: a bound value would keep SQLite from the index over customers alone.
_IS_CUSTOMER = _record.c.kind == sa.literal_column("'customer'")


class Row:
    """One person as the index knows them. `shops` is a set of stores, a bit each."""

    __slots__ = ("at", "crm_id", "gone", "moved_at", "shops", "state", "text", "till_id")

    def __init__(self, till_id: str | None, crm_id: str | None) -> None:
        self.till_id = till_id
        self.crm_id = crm_id
        self.state = ""
        self.moved_at = 0.0
        self.shops = 0
        self.text: _Text | None = None
        self.at = 0
        self.gone = False

    @property
    def filter(self) -> Filter:
        """Return under which filter the row stands."""
        match self.state:
            case "review" | "conflict" | "problem":
                return self.state
        return "linked" if self.till_id is not None and self.crm_id is not None else "unsynced"


class _Text:
    """Some people's words, a line each. Replaced as a whole: a search beside it sees one or the other."""

    __slots__ = ("rows", "view")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.view: tuple[str, array[int]] = ("", array("L"))

    def lines(self) -> list[str]:
        """Return the lines as they are."""
        text = self.view[0]
        return text.split("\n")[:-1] if text else []

    def set(self, lines: Iterable[str]) -> None:
        """Write all lines anew."""
        starts, place = array("L"), 0
        kept = []
        for line in lines:
            starts.append(place)
            kept.append(line)
            place += len(line) + 1
        self.view = ("".join(f"{line}\n" for line in kept), starts)

    def line(self, at: int) -> str:
        """Return one line."""
        text, starts = self.view
        start = starts[at]
        return text[start : text.index("\n", start)]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a search found, the best first. `total` None: more than were counted; `complete`: all are read."""

    rows: list[tuple[str | None, str | None]]
    total: int | None
    complete: bool


class Roll:
    """The index of one connection's people."""

    def __init__(self, state: State, people: People, arrivals: Arrivals, clock: Clock) -> None:
        self._state, self._people, self._arrivals, self._clock = state, people, arrivals, clock
        self._texts: list[_Text] = []
        self._by_till: dict[str, Row] = {}
        self._by_crm: dict[str, list[Row]] = {}
        self._under: dict[Filter, set[Row]] = {name: set() for name in FILTERS}
        self._bits: dict[str, int] = {}
        self._counts: dict[int, tuple[float, dict[Filter, int]]] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked_at = float("-inf")
        self._since = 0.0
        self._bought_since = 0.0
        self._arrived: dict[str, str] = {}
        self._due: set[tuple[str, str]] = set()
        self._stamps: dict[tuple[str, str], float] = {}
        self.complete = False

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Read everybody beside whatever else is done, and go on following the changes."""
        self._thread = threading.Thread(target=self._follow, name="roll", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _follow(self) -> None:
        with self._lock:
            self._read_all()
        while not self._ending.wait(2 * _LOOK_SECONDS):
            with self._lock:
                self._refresh()

    def refresh(self) -> None:
        """Bring the index up to now, as far as that is quick; without a thread of its own, wholly."""
        if not self._lock.acquire(blocking=self._thread is None):
            return  # Somebody is at it.
        try:
            if not self.complete:
                if self._thread is None:
                    self._read_all()
            elif self._thread is None or self._clock.monotonic() - self._looked_at > _LOOK_SECONDS:
                self._refresh(None if self._thread is None else _TAKEN_AT_ONCE)
        finally:
            self._lock.release()

    # --- searching -----------------------------------------------------------------------------

    def search(
        self,
        query: str,
        wanted: Filter | None = None,
        *,
        stores: Collection[str] | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Found:
        """Find whoever has all of these words, or begins them; without words, whoever moved last."""
        self.refresh()
        mask = self._mask(stores)
        needles = needles_of(query)
        complete = self.complete
        if mask == 0:
            return Found(rows=[], total=0, complete=complete)
        if not needles:
            return self._newest(wanted, mask, offset, limit)
        most = max(_RANKED, offset + limit + 1)
        few = self._under[wanted] if wanted else None
        if few is not None and len(few) < _FEW:
            found = (hit for hit in self._one_by_one(few, needles) if _may(hit[0], mask))
            hits = list(islice(found, most))
            is_all = len(hits) < most
        else:
            hits, is_all = self._all_over(needles, wanted, mask, most)
        hits.sort(key=lambda hit: (_rank(hit[1], needles), hit[1]))
        shown = [(row.till_id, row.crm_id) for row, _ in hits[offset : offset + limit]]
        return Found(rows=shown, total=len(hits) if is_all else None, complete=complete)

    def counts(self, stores: Collection[str] | None = None) -> dict[Filter, int]:
        """Count who stands under each filter."""
        self.refresh()
        return self._counted(self._mask(stores))

    def _counted(self, mask: int | None) -> dict[Filter, int]:
        if mask is None:
            return {name: len(rows) for name, rows in self._under.items()}
        now = self._clock.monotonic()
        kept = self._counts.get(mask)
        if kept is None or not 0 <= now - kept[0] < _COUNTED_SECONDS:
            counts = {n: sum(1 for row in list(rows) if row.shops & mask) for n, rows in self._under.items()}
            self._counts = {m: each for m, each in self._counts.items() if now - each[0] < _COUNTED_SECONDS}
            kept = self._counts[mask] = (now, counts)
        return kept[1]

    def _newest(self, wanted: Filter | None, mask: int | None, offset: int, limit: int) -> Found:
        counted = self._counted(mask)
        total = counted[wanted] if wanted else sum(counted.values())
        few = wanted is not None and len(self._under[wanted]) < _FEW
        newest = None if few else self._moved_last(wanted, mask, offset + limit)
        if newest is None:
            rows = self._under[wanted] if wanted else (row for text in list(self._texts) for row in text.rows)
            seen = (row for row in list(rows) if not row.gone and _may(row, mask))
            newest = _first(offset + limit, seen)
        return Found(
            rows=[(row.till_id, row.crm_id) for row in newest[offset:]], total=total, complete=self.complete
        )

    def _moved_last(self, wanted: Filter | None, mask: int | None, count: int) -> list[Row] | None:
        """Return who moved last, by the table's own order; None where they are too far back in it."""
        found: list[Row] = []
        # By their ids as well: of those who moved at one moment each page has to have its own.
        order = (_record.c.moved_at.desc(), _record.c.till_id.desc())
        statement = sa.select(_record.c.till_id).where(_IS_CUSTOMER).order_by(*order)
        with self._state.begin() as c:
            for till_id in c.execute(statement.limit(_LOOKED_BACK)).scalars():
                row = self._by_till.get(till_id)
                if row is None or row.gone or row.text is None or not _may(row, mask):
                    continue
                if wanted is None or row.filter == wanted:
                    found.append(row)
                    if len(found) == count:
                        return found
        return None

    def _one_by_one(self, rows: Iterable[Row], needles: list[str]) -> Iterator[tuple[Row, str]]:
        for row in list(rows):
            if row.gone or row.text is None:
                continue
            line = row.text.line(row.at)
            if all(needle in line for needle in needles):
                yield row, line

    def _all_over(
        self, needles: list[str], wanted: Filter | None, mask: int | None, most: int
    ) -> tuple[list[tuple[Row, str]], bool]:
        longest = max(needles, key=len)
        others = [needle for needle in needles if needle != longest]
        hits: list[tuple[Row, str]] = []
        for text in list(self._texts):
            words, starts = text.view
            rows = text.rows
            place = words.find(longest)
            while place >= 0:
                at = bisect_right(starts, place) - 1
                end = words.find("\n", place)
                row = rows[at]
                if not row.gone and _may(row, mask) and (wanted is None or row.filter == wanted):
                    line = words[starts[at] : end]
                    if all(needle in line for needle in others):
                        hits.append((row, line))
                        if len(hits) >= most:
                            return hits, False
                place = words.find(longest, end)
        return hits, True

    def _mask(self, stores: Collection[str] | None) -> int | None:
        if stores is None:
            return None
        mask = 0
        for store in stores:
            mask |= self._bits.get(store, 0)
        return mask

    # --- reading -------------------------------------------------------------------------------

    def _read_all(self) -> None:
        now = self._state.now()
        self._arrived = self._read_arrivals()
        with self._state.begin() as c:
            statement = sa.select(_record.c.till_id, _record.c.crm_id, _record.c.state, _record.c.moved_at)
            for till_id, crm_id, state, moved_at in c.execute(statement.where(_IS_CUSTOMER)):
                self._stand(till_id, crm_id, state, moved_at)
            for customer, store in c.execute(sa.select(_bought.c.customer, _bought.c.store)):
                self._shop(customer, store)
        words = self._read_words()
        for side_id in words:
            side, _, i = side_id.partition(" ")
            if side == "till":
                self._till_row(i)
            elif i not in self._by_crm:
                self._crm_row(i)
        rows = [
            *self._by_till.values(),
            *(r for rs in self._by_crm.values() for r in rs if r.till_id is None),
        ]
        for start in range(0, len(rows), _TOGETHER):
            text = _Text()
            text.rows = rows[start : start + _TOGETHER]
            for at, row in enumerate(text.rows):
                row.text, row.at = text, at
                self._under[row.filter].add(row)
            text.set([self._line(row, words) for row in text.rows])
            self._texts.append(text)
        self._since = self._bought_since = now - _OVERLAP_SECONDS
        self._looked_at = self._clock.monotonic()
        self.complete = True

    def _read_words(self) -> dict[str, str]:
        """Open everybody's entry; return their words by "side id"."""
        words: dict[str, str] = {}
        for people in self._arrivals.each_person(_READ_AT_ONCE):
            words.update((f"till {person.id}", words_of(person)) for person in people)
            if self._ending.is_set():
                return words
        for rows in self._people.everybody(_READ_AT_ONCE):
            words.update((f"crm {row.id}", crm_words_of(row)) for row in rows if _is_shown(row))
            if self._ending.is_set():
                return words
        return words

    def _read_arrivals(self) -> dict[str, str]:
        arrival = schema.arrival
        with self._state.begin() as c:
            return {row.crm_id: row.state for row in c.execute(sa.select(arrival.c.crm_id, arrival.c.state))}

    def _stand(self, till_id: str, crm_id: str | None, state: str, moved_at: float) -> Row:
        row = self._till_row(till_id)
        if row.crm_id != crm_id:
            if row.crm_id is not None:
                left = [each for each in self._by_crm.get(row.crm_id, ()) if each is not row]
                if left:
                    self._by_crm[row.crm_id] = left
                else:
                    self._by_crm.pop(row.crm_id, None)
            row.crm_id = crm_id
            if crm_id is not None:
                self._by_crm.setdefault(crm_id, []).append(row)
        row.state, row.moved_at = state, moved_at
        return row

    def _till_row(self, till_id: str) -> Row:
        row = self._by_till.get(till_id)
        if row is None:
            row = self._by_till[till_id] = Row(till_id, None)
        return row

    def _crm_row(self, crm_id: str) -> Row:
        row = Row(None, crm_id)
        state = self._arrived.get(crm_id, "")
        row.state = state if state in {"review", "problem"} else "unsynced"
        self._by_crm[crm_id] = [row]
        return row

    def _shop(self, customer: str, store: str) -> Row | None:
        bit = self._bits.setdefault(store, 1 << len(self._bits))
        row = self._by_till.get(customer)
        if row is not None:
            row.shops |= bit
        return row

    def _line(self, row: Row, words: dict[str, str]) -> str:
        own = words.get(f"till {row.till_id}", "") if row.till_id else ""
        other = words.get(f"crm {row.crm_id}", "") if row.crm_id else ""
        ids = " ".join(filter(None, (row.till_id, row.crm_id.lower() if row.crm_id else None)))
        if not own or not other:
            return f" {own or other} {ids}"
        more = [word for word in other.split(" ") if f" {word} " not in f" {own} "]
        return f" {' '.join((own, *more))} {ids}"

    # --- following -----------------------------------------------------------------------------

    def _refresh(self, most: int | None = None) -> None:
        """Read again what has moved since the last look; `most` bounds what one look may cost."""
        self._looked_at = self._clock.monotonic()
        now = self._state.now()
        with self._state.begin() as c:
            moved = c.execute(
                sa.select(_record.c.till_id, _record.c.crm_id, _record.c.state, _record.c.moved_at).where(
                    _IS_CUSTOMER, _record.c.moved_at >= self._since
                )
            ).all()
            news = c.execute(
                sa.select(_news.c.side, _news.c.id, _news.c.moved_at).where(_news.c.moved_at >= self._since)
            ).all()
            bought = c.execute(
                sa.select(_bought.c.customer, _bought.c.store).where(_bought.c.noted_at >= self._bought_since)
            ).all()
        for row in moved:
            self._follow_record(row)
        self._due.update((row.side, row.id) for row in news if self._is_newer(row))
        self._follow_arrivals()
        for customer, store in bought:
            self._shop(customer, store)
        self._since = self._bought_since = now - _OVERLAP_SECONDS
        some = list(self._due)[:most]
        self._take(some)
        self._due.difference_update(some)

    def _is_newer(self, row: Any) -> bool:
        """Say whether an entry was not read since it moved; what is within the overlap comes twice."""
        key = (row.side, row.id)
        if self._stamps.get(key) == row.moved_at:
            return False
        if len(self._stamps) > _STAMPS_MAX:
            self._stamps.clear()  # Whoever is within the overlap is read once more: that is all.
        self._stamps[key] = row.moved_at
        return True

    def _follow_record(self, moved: Any) -> None:
        before = self._by_till.get(moved.till_id)
        if before is not None and (before.crm_id, before.state, before.moved_at) == (
            moved.crm_id,
            moved.state,
            moved.moved_at,
        ):
            return
        was = before.filter if before is not None else None
        crm_before = before.crm_id if before is not None else None
        row = self._stand(moved.till_id, moved.crm_id, moved.state, moved.moved_at)
        if was is not None and not row.gone:
            self._under[was].discard(row)
        if row.text is not None and not row.gone:
            self._under[row.filter].add(row)
        if crm_before != row.crm_id or row.text is None:
            self._due.add(("till", moved.till_id))
            self._due.update(("crm", i) for i in (crm_before, row.crm_id) if i is not None)

    def _follow_arrivals(self) -> None:
        now = self._read_arrivals()
        for crm_id in {i for i, state in now.items() if self._arrived.get(i) != state}:
            for row in self._by_crm.get(crm_id, ()):
                if row.till_id is None and not row.gone:
                    self._under[row.filter].discard(row)
                    row.state = now[crm_id] if now[crm_id] in {"review", "problem"} else "unsynced"
                    self._under[row.filter].add(row)
        self._arrived = now

    def _take(self, due: Collection[tuple[str, str]]) -> None:
        """Read these entries again and write their lines anew."""
        if not due:
            return
        till = {i for side, i in due if side == "till"}
        crm = {i for side, i in due if side == "crm"}
        rows = {row for i in till if (row := self._by_till.get(i)) is not None}
        people = self._arrivals.people(till)
        for i in till & people.keys() - self._by_till.keys():
            rows.add(self._till_row(i))
        shown = {i for i, row in self._people.get(crm).items() if _is_shown(row)}
        for crm_id in crm:
            if crm_id in shown and crm_id not in self._by_crm:
                rows.add(self._crm_row(crm_id))
            rows.update(self._by_crm.get(crm_id, ()))
        self._drop_doubles(crm)
        self._write_lines(rows)

    def _drop_doubles(self, crm_ids: Collection[str]) -> None:
        """Take out the row of somebody of the CRM alone whom the till knows by now."""
        for crm_id in crm_ids:
            rows = self._by_crm.get(crm_id, [])
            if len(rows) > 1:
                for row in rows:
                    if row.till_id is None:
                        self._drop(row)
                self._by_crm[crm_id] = [row for row in rows if row.till_id is not None]

    def _drop(self, row: Row) -> None:
        row.gone = True
        self._under[row.filter].discard(row)

    def _write_lines(self, rows: Collection[Row]) -> None:
        till = self._arrivals.people({row.till_id for row in rows if row.till_id})
        crm = self._people.get({row.crm_id for row in rows if row.crm_id})
        words = {f"till {i}": words_of(person) for i, person in till.items()}
        words |= {f"crm {i}": crm_words_of(row) for i, row in crm.items() if _is_shown(row)}
        changed: dict[int, tuple[_Text, dict[int, str]]] = {}
        for row in rows:
            if row.till_id is None and row.crm_id is not None and f"crm {row.crm_id}" not in words:
                if not row.gone:
                    self._drop(row)
                    self._by_crm.pop(row.crm_id, None)
            elif not row.gone:
                text = row.text or self._append(row)
                self._under[row.filter].add(row)
                changed.setdefault(id(text), (text, {}))[1][row.at] = self._line(row, words)
        for text, lines in changed.values():
            held = text.lines()
            text.set([lines.get(at, held[at] if at < len(held) else "") for at in range(len(text.rows))])

    def _append(self, row: Row) -> _Text:
        if not self._texts or len(self._texts[-1].rows) >= _TOGETHER:
            self._texts.append(_Text())
        text = self._texts[-1]
        row.text, row.at = text, len(text.rows)
        text.rows.append(row)
        return text


def needles_of(query: str) -> list[str]:
    """Return what has to stand in somebody's line: folded words, an address as it is, a number's digits."""
    text = query.strip()
    if not text:
        return []
    if _NUMBER.fullmatch(text):
        digits = "".join(ch for ch in text if ch.isdigit())
        return [digits.lstrip("0") or digits]
    found: list[str] = []
    for word in _WORDS.findall(text[:200]):
        lowered = word.lower()
        found += [lowered] if "@" in word else fold(word).split() or [lowered]
    return list(dict.fromkeys(found))[:8]


def _first(count: int, rows: Iterable[Row]) -> list[Row]:
    """Return so many who moved last."""

    def moved(row: Row) -> tuple[float, str]:
        return row.moved_at, row.till_id or ""

    # Of many, sorting all of them is quicker than keeping the largest so far.
    return sorted(rows, key=moved, reverse=True)[:count] if count > _FEW else nlargest(count, rows, key=moved)


def _rank(line: str, needles: list[str]) -> int:
    """Whole words come before beginnings, and those before what stands somewhere within a word."""
    return sum(0 if f" {n} " in f"{line} " else 1 if f" {n}" in line else 2 for n in needles)


def _may(row: Row, mask: int | None) -> bool:
    return mask is None or bool(row.shops & mask)


def _is_shown(row: CrmPersonRow) -> bool:
    return not row.deleted and not row.converted


def words_of(person: Person) -> str:
    """Return the words by which somebody of the till is found."""
    return _words(person.first, person.last, person.company, person.emails, person.phones)


def crm_words_of(row: CrmPersonRow) -> str:
    """Return the words by which somebody of the CRM is found."""
    return _words(row.first, row.last, row.company, row.emails, row.phones)


def _words(
    first: str | None,
    last: str | None,
    company: str | None,
    emails: Iterable[str],
    phones: Iterable[str],
) -> str:
    digits = ("".join(ch for ch in phone if ch.isdigit()).lstrip("0") for phone in phones)
    words = (fold(first), fold(last), fold(company), *(e.lower() for e in emails), *digits)
    return " ".join(filter(None, words))
