"""Carry what a check or the sweep has read again, and write down what the feed had missed.

It writes nothing by itself: the one pipeline does, and digests decide what goes
out. Where the CRM turns out to hold something else than it once confirmed, the
digest of that row is forgotten; where it holds nothing any more, the link is.

What a reader would get wrong: a difference is "missed" only if the till shows
what it had not shown before, and the feed had passed that by. What the next poll
would bring anyway is repaired without a word; what our own field map, settings
or links make different is carried across and counted, and nobody missed it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from tillbridge.engine import mapbook
from tillbridge.engine.catalog import stock_rows
from tillbridge.engine.connection import Connection
from tillbridge.engine.mapping import mapped
from tillbridge.engine.resolve import Resolver
from tillbridge.engine.rows import Given, Row, Standing
from tillbridge.engine.sales import plan_sales
from tillbridge.engine.streams import CUSTOMERS, OVERLAP, PRODUCTS, SALES, STOCK, parse
from tillbridge.engine.sync import Slice, carry, not_refused, read_parents
from tillbridge.model.answers import HeldAsk
from tillbridge.model.records import Customer, Kind, Sale
from tillbridge.model.sale import Ref
from tillbridge.model.writing import FieldFacts, ObjectFacts, Value
from tillbridge.store.raw import Kind as Kept
from tillbridge.store.state import Known, Settled
from tillbridge.store.verified import Missed, Verified
from tillbridge.sync.remedies import read

_STREAM_OF = {"sale": SALES, "customer": CUSTOMERS, "product": PRODUCTS, "stock": STOCK}
_NUMBERS = frozenset({"double", "currency", "percent", "int"})
_GONE = "deleted in Salesforce"
_NEW = "never carried across"

# What is counted of things that the till shows as before, and that we write otherwise than before.
MAPPED_ANEW = "mapped anew"

# A line of the diary names so many rows of a sale.
_WORDS_MAX = 10

Thing = tuple[str, str]
HeldRow = Mapping[str, str | None]


class Outcome(msgspec.Struct):
    """What became of rows, and what the feed had missed. `stopped`: why the rest was not looked at."""

    counts: Counter[str]
    missed: list[Missed]
    stopped: str | None = None

    def add(self, other: Outcome) -> None:
        """Take in another one."""
        self.counts.update(other.counts)
        self.missed += other.missed
        self.stopped = self.stopped or other.stopped


def nothing() -> Outcome:
    """Return an outcome of nothing."""
    return Outcome(Counter(), [])


def repair(connection: Connection, again: Slice, found_by: str, *, ask_crm: bool) -> Outcome:
    """Carry a slice that was read again; log what the feed had missed of it.

    `ask_crm` compares with what the CRM holds too, for one call a hundred sales
    (of up to 400 keys a kind); else the CRM is asked only for what has moved.
    """
    state, verified = connection.state, Verified(connection.state)
    again.sales = {sale.id: sale for sale in _fit_to_compare(connection, list(again.sales.values()))}
    people = not_refused(state, "customer", list(again.customers.values()))
    again.customers = {customer.id: customer for customer in people}
    read_parents(connection, again)
    memory = _Memory(connection, again)
    sources = _Sources(connection, again)
    review = _Review(connection, memory, sources)
    review.rows(_sale_rows(connection, again), ask_crm=ask_crm)
    review.rows(stock_rows(connection, again.stock), ask_crm=ask_crm)
    if ask_crm:
        review.existence(again)
    logged = _passed_by(connection, again, memory, review.findings(found_by))
    with state.begin() as c:
        for kind, ids in review.doubted.items():
            state.doubt(c, kind, ids)
        for kind, ids in review.gone.items():
            verified.unlink(c, kind, ids)
        state.settle(c, review.lost)
        verified.log(c, logged)
    counts = carry(connection, again)
    late = _passed_by(connection, again, memory, _moved(connection, again, memory, sources, review, found_by))
    with state.begin() as c:
        verified.log(c, late)
        for kind, read in again_ids(again).items():
            verified.mark(c, kind, read)
    counts[MAPPED_ANEW] += len(sources.mapped_anew)
    return Outcome(counts, [*logged, *late])


def _fit_to_compare(connection: Connection, sales: Sequence[Sale]) -> list[Sale]:
    """Leave out what stands elsewhere: refused as it is, or on its way in a bulk job."""
    known = connection.state.known("sale", [sale.id for sale in sales])
    return [
        sale
        for sale in not_refused(connection.state, "sale", sales)
        if sale.id not in known or known[sale.id].state != "staged"
    ]


def again_ids(again: Slice) -> dict[str, Collection[str]]:
    """Return what a slice has read of the till, by kind."""
    return {
        "sale": again.sales.keys(),
        "customer": again.customers.keys(),
        "product": again.products.keys(),
        "stock": {f"{level.product_id}-{level.store_id}" for level in again.stock},
    }


def _sale_rows(connection: Connection, again: Slice) -> list[Row]:
    seen_at = again.seen_at or connection.clock.now()
    return plan_sales(connection, list(again.sales.values()), history=False, seen_at=seen_at).rows


class _Memory:
    """What we knew of a slice's things before it was carried."""

    def __init__(self, connection: Connection, again: Slice) -> None:
        self.known: dict[Thing, Known] = {}
        state = connection.state
        for kind, ids in again_ids(again).items():
            self.known.update({(kind, i): known for i, known in state.known(kind, list(ids)).items()})
        self.known.update(state.children(list(again.sales)))
        prices = state.known("price", list(again.products))
        self.known.update({("price", i): known for i, known in prices.items()})
        self.shadows = connection.people.shadows(list(again.customers))
        self.stamps = {
            i: customer.changed_at.timestamp()
            for i, customer in again.customers.items()
            if customer.changed_at is not None
        }


class _Sources:
    """Tells what the till has changed from what our field map, settings or links make different.

    Sales and customers are compared with what was kept of them; of what is not
    kept, the map that was in force when it last moved tells.
    """

    def __init__(self, connection: Connection, again: Slice) -> None:
        self._connection = connection
        self._records: Mapping[Kept, Mapping[str, Sale | Customer]] = {
            "sale": again.sales,
            "customer": again.customers,
        }
        raw = connection.raw
        self._shown = {kind: raw.shown_before(kind, held.values()) for kind, held in self._records.items()}
        self._loaded: dict[Kept, Mapping[str, bool]] = {}
        kinds = again_ids(again)
        self._moved_at = {kind: connection.state.moved_at(kind, ids) for kind, ids in kinds.items()}
        self._moved_at["price"] = connection.state.moved_at("price", again.products)
        self.mapped_anew: set[Thing] = set()

    def is_ours(self, thing: Thing, fields: Collection[str] = ()) -> bool:
        """Say whether we, and not the till, make a thing different, and count it then.

        `fields`: those that differ, if that is known.
        """
        shown = self._shown_as_now(thing)
        if shown is None:
            moved_at = self._moved_at.get(thing[0], {}).get(thing[1])
            moved = mapbook.fields_moved(self._connection, thing[0], moved_at)
            shown = bool(moved) and moved is not None and moved.issuperset(fields)
        if shown:
            self.mapped_anew.add(thing)
        return shown

    def _shown_as_now(self, thing: Thing) -> bool | None:
        """Say whether the till shows of a thing what it showed before; None where nothing was kept."""
        of, till_id = thing
        kind = next((each for each in self._records if each == of), None)
        if kind is None:
            return None
        shown = self._shown[kind].get(till_id)
        return self._loaded_as(kind).get(till_id) if shown is None else shown

    def _loaded_as(self, kind: Kept) -> Mapping[str, bool]:
        """Look up, once and only where it is asked for, what the first load kept of the slice's others."""
        if kind not in self._loaded:
            others = [each for i, each in self._records[kind].items() if i not in self._shown[kind]]
            self._loaded[kind] = self._connection.raw.loaded_as(kind, others)
        return self._loaded[kind]


# --- what differs --------------------------------------------------------------------------------


class _Review:
    """Compares planned rows with what we remember of them and with what the CRM holds."""

    def __init__(self, connection: Connection, memory: _Memory, sources: _Sources) -> None:
        self._connection = connection
        self._sources = sources
        self._known = memory.known
        self._stamps = memory.stamps
        self.doubted: dict[str, list[str]] = defaultdict(list)
        self.gone: dict[str, list[str]] = defaultdict(list)
        self.lost: list[Settled] = []
        self.products: dict[str, HeldRow] = {}
        self._by_hand: dict[Thing, dict[str, str | None]] = {}
        self._words: dict[Thing, list[str]] = defaultdict(list)  # by sale, or by the thing itself

    def rows(self, rows: Sequence[Row], *, ask_crm: bool) -> None:
        """Compare the rows of sales or of stock."""
        connection = self._connection
        resolver = Resolver(connection.state, connection.maps, connection.account.id)
        resolver.look_up(rows)
        standings = [resolver.resolve(row) for row in rows]
        moved = {s.row.thing for s in standings if self._has_moved(s)}
        asked = [s for s in standings if self._is_linked(s.row.thing) and (ask_crm or s.row.thing in moved)]
        held = self._held(asked)
        self._note_hands(asked)
        theirs: dict[Thing, list[tuple[Standing, str]]] = defaultdict(list)
        for standing in standings:
            thing = standing.row.thing
            words, is_gone = self._words_of(standing, held, asked=thing in held, moved=thing in moved)
            if is_gone:
                self.gone[thing[0]].append(thing[1])
                self._words[_whole(standing.row)].append(words)
            elif thing in moved:
                if not self._sources.is_ours(_whole(standing.row), self._fields_of(standing, held)):
                    self._words[_whole(standing.row)].append(words)
            elif words:
                theirs[_whole(standing.row)].append((standing, words))
        self._parents_exist(standings, held)
        self._take_theirs(theirs)

    def _has_moved(self, standing: Standing) -> bool:
        """Say whether the till shows something else than the CRM last confirmed, as far as we remember."""
        known = self._known.get(standing.row.thing)
        if known is None or known.crm_id is None:
            return True
        # After a relink nothing is remembered: only the CRM can tell.
        return known.digest is not None and known.digest != standing.digest

    def _is_linked(self, thing: Thing) -> bool:
        known = self._known.get(thing)
        return known is not None and known.crm_id is not None

    def _held(self, standings: Sequence[Standing]) -> dict[Thing, HeldRow | None]:
        """Ask the CRM for these rows by their ids, all kinds in one call; None where it holds nothing."""
        ids: dict[str, dict[str, Thing]] = defaultdict(dict)
        fields: dict[str, dict[str, None]] = defaultdict(dict)
        for standing in standings:
            row = standing.row
            crm_id = self._known[row.thing].crm_id
            assert crm_id is not None
            ids[row.kind][crm_id] = row.thing
            fields[row.kind].update(dict.fromkeys(_compared(row, self._facts(row.object))))
        kinds = list(ids)
        asks = [
            HeldAsk(self._connection.maps[kind].object, "Id", tuple(ids[kind]), tuple(fields[kind]))
            for kind in kinds
        ]
        answers = self._connection.questions.held(asks) if asks else []
        return {
            thing: answer.get(crm_id)
            for kind, answer in zip(kinds, answers, strict=True)
            for crm_id, thing in ids[kind].items()
        }

    def _words_of(
        self, standing: Standing, held: Mapping[Thing, HeldRow | None], *, asked: bool, moved: bool
    ) -> tuple[str, bool]:
        """Say what is different of one row, "" for nothing, and whether the CRM has lost it."""
        row = standing.row
        name = "" if row.sale is None else f"{row.kind} {row.till_id}"
        if moved and not asked:
            return f"{name} {_NEW}".strip(), False
        if not asked:
            return "", False
        shown = held[row.thing]
        if shown is None:
            return f"{name} {_GONE}".strip(), True
        fields = self._differing(standing, shown)
        if not fields:
            return ((name or "other fields") if moved else ""), False
        told = ", ".join(fields) if moved else f"{', '.join(fields)} in Salesforce"
        return f"{name}: {told}".removeprefix(": "), False

    def _note_hands(self, standings: Sequence[Standing]) -> None:
        """Learn what people have set for these rows on the problems desk: it stays as they set it."""
        ids: dict[str, list[str]] = defaultdict(list)
        for standing in standings:
            ids[standing.row.kind].append(standing.row.till_id)
        for kind, of in ids.items():
            by_hand = self._connection.journal.set_by_hand(kind, of)
            self._by_hand.update({(kind, i): fields for i, fields in by_hand.items()})

    def _fields_of(self, standing: Standing, held: Mapping[Thing, HeldRow | None]) -> list[str]:
        shown = held.get(standing.row.thing)
        return [] if shown is None else self._differing(standing, shown)

    def _differing(self, standing: Standing, shown: HeldRow) -> list[str]:
        facts = self._facts(standing.row.object)
        by_hand = self._by_hand.get(standing.row.thing, {})
        return [
            name
            for name in _differing(standing, shown, facts)
            if name not in by_hand
            or not same_value(read(by_hand[name], facts.fields[name]), shown.get(name), facts.fields[name])
        ]

    def _facts(self, name: str) -> ObjectFacts:
        return self._connection.objects[name]

    def _take_theirs(self, theirs: Mapping[Thing, Sequence[tuple[Standing, str]]]) -> None:
        """Take in what only the CRM shows otherwise, unless it keeps coming back.

        A flow of the org may rewrite what we send. It is put right once; then the org has the last word.
        """
        last: dict[Thing, str] = {}
        for kind in {kind for kind, _ in theirs}:
            said = Verified(self._connection.state).last_words(kind, [i for k, i in theirs if k == kind])
            last.update({(kind, i): what for i, what in said.items()})
        for whole, rows in theirs.items():
            what = _sentence([words for _, words in rows])
            if whole not in self._words and last.get(whole) == what:
                continue
            for standing, words in rows:
                self._words[whole].append(words)
                self.doubted[standing.row.kind].append(standing.row.till_id)

    def _parents_exist(self, standings: Sequence[Standing], held: Mapping[Thing, HeldRow | None]) -> None:
        """Look whether a parent is gone where the CRM has emptied a lookup: its id would be refused."""
        wanted: dict[str, dict[str, Ref]] = defaultdict(dict)
        for standing in standings:
            shown = held.get(standing.row.thing)
            if standing.row.kind != "sale" or shown is None:
                continue
            facts = self._facts(standing.row.object)
            for name in self._differing(standing, shown):
                ref, crm_id = standing.row.payload[name], standing.payload[name]
                if isinstance(ref, Ref) and isinstance(crm_id, str) and shown.get(name) is None:
                    wanted[facts.fields[name].references[0]][crm_id] = ref
        asks = [HeldAsk(name, "Id", tuple(ids)) for name, ids in wanted.items()]
        answers = self._connection.questions.held(asks) if asks else []
        for ids, answer in zip(wanted.values(), answers, strict=True):
            for crm_id in ids.keys() - answer.keys():
                self._lose_parent(ids[crm_id])

    def _lose_parent(self, ref: Ref) -> None:
        if ref.kind == Kind.CUSTOMER:
            for known in self._connection.state.known("customer", [ref.id]).values():
                self._lose_person(known)
        elif ref.kind != "sale_of_line":  # A sale that is gone is found when its own turn comes.
            self.gone[ref.kind].append(ref.id)

    def existence(self, again: Slice) -> None:
        """Look whether the CRM still holds the people and products that these are linked to."""
        self._people_exist([i for i in again.customers if self._is_linked(("customer", i))])
        self._products_exist([i for i in again.products if self._is_linked(("product", i))])

    def _people_exist(self, ids: Sequence[str]) -> None:
        by_object: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for i in ids:
            known = self._known["customer", i]
            by_object[known.object or ""][known.crm_id or ""].append(i)
        asks = [HeldAsk(name, "Id", tuple(found)) for name, found in by_object.items()]
        answers = self._connection.questions.held(asks) if asks else []
        for found, answer in zip(by_object.values(), answers, strict=True):
            for crm_id in found.keys() - answer.keys():
                for i in found[crm_id]:
                    self._lose_person(self._known["customer", i])

    def _lose_person(self, known: Known) -> None:
        if known.till_id in self.gone["customer"]:
            return
        # Deleted on purpose, perhaps: nobody comes back by themselves, but an edit in the till counts more.
        reason = (
            f"the {known.object} {known.crm_id} that it was linked to was deleted or merged in Salesforce; "
            "it is looked for again when it changes in the till"
        )
        self.lost.append(
            Settled(
                kind="customer",
                till_id=known.till_id,
                state="left_out",
                reason=reason,
                till_stamp=self._stamps.get(known.till_id),
            )
        )
        self.gone["customer"].append(known.till_id)
        self._words["customer", known.till_id].append(f"its {known.object} is gone from Salesforce")

    def _products_exist(self, ids: Sequence[str]) -> None:
        table = self._connection.maps["product"]
        facts = self._facts(table.object)
        links = {self._known["product", i].crm_id or "": i for i in ids}
        fields = tuple(name for name in table.targets if name in facts.fields)
        answer = self._connection.questions.held([HeldAsk(table.object, "Id", tuple(links), fields)])[0]
        self.products = {links[crm_id]: row for crm_id, row in answer.items()}
        for crm_id in links.keys() - answer.keys():
            self.gone["product"].append(links[crm_id])
            # Its price and stock went with it; a price is found or made again by product and book.
            self.gone["price"].append(links[crm_id])
            self._words["product", links[crm_id]].append(_GONE)

    def findings(self, found_by: str) -> list[Missed]:
        """Return what was found, one entry a thing."""
        return [
            Missed(kind=kind, till_id=i, found_by=found_by, what=_sentence(words))
            for (kind, i), words in self._words.items()
        ]


def _sentence(words: Sequence[str]) -> str:
    """Put what was different of one thing into a line; of a whole sale, its rows need not be told."""
    if words[0] in {_NEW, _GONE}:
        return words[0]
    more = f"; and {len(words) - _WORDS_MAX} more" if len(words) > _WORDS_MAX else ""
    return "; ".join(words[:_WORDS_MAX]) + more


def _whole(row: Row) -> Thing:
    """Return the thing that a person would name: a sale for its lines and payments."""
    return ("sale", row.sale) if row.sale is not None else row.thing


def _compared(row: Row, facts: ObjectFacts) -> list[str]:
    """Return which fields are compared: all of a sale's header, else the amounts."""
    names = [name for name in row.payload if name in facts.fields]
    if row.kind == "sale":
        return names
    return [name for name in names if facts.fields[name].type in _NUMBERS]


def _differing(standing: Standing, shown: HeldRow, facts: ObjectFacts) -> list[str]:
    waiting = {field for field, _ in standing.missing}
    return [
        name
        for name in _compared(standing.row, facts)
        if name not in waiting and not same_value(standing.payload[name], shown.get(name), facts.fields[name])
    ]


def same_value(ours: Value, theirs: str | None, facts: FieldFacts) -> bool:
    """Say whether the CRM holds what we sent, in whatever spelling it answers."""
    if ours is None or ours == "" or theirs is None:
        # A checkbox has no empty state, and nothing was sent means false.
        return (ours in {None, ""} or ours is False) and theirs in {None, "", "false"}
    if isinstance(ours, bool):
        return theirs == ("true" if ours else "false")
    if isinstance(ours, Decimal | int):
        step = Decimal(1).scaleb(-facts.scale)
        return Decimal(theirs).quantize(step) == Decimal(ours).quantize(step)
    if isinstance(ours, datetime):
        return datetime.fromisoformat(theirs).replace(microsecond=0) == ours.replace(microsecond=0)
    if facts.type in {"reference", "id"}:
        return theirs[:15] == str(ours)[:15]
    return " ".join(theirs.split()) == " ".join(str(ours).split())


# --- what has moved by the time it is carried ------------------------------------------------------


def _moved(
    connection: Connection,
    again: Slice,
    memory: _Memory,
    sources: _Sources,
    review: _Review,
    found_by: str,
) -> list[Missed]:
    """Name the customers and products whose digests the pipeline has moved, and the till had changed."""
    after = _Memory(connection, again)
    found = [
        Missed(kind="customer", till_id=i, found_by=found_by, what=what)
        for i in again.customers
        if (what := _customer_moved(("customer", i), memory, after))
        and not (what != _NEW and sources.is_ours(("customer", i)))
    ]
    for i, product in again.products.items():
        fields: list[str] = []
        if shown := review.products.get(i):
            payload, _ = mapped(connection, "product", product)
            facts = connection.objects[connection.maps["product"].object]
            fields = [
                name
                for name in shown.keys() & payload.keys() & facts.fields.keys()
                if not isinstance(payload[name], Given)
                and not same_value(payload[name], shown[name], facts.fields[name])  # type: ignore[arg-type]
            ]
        what = _product_moved(i, memory, after, sorted(fields), sources)
        if what:
            found.append(Missed(kind="product", till_id=i, found_by=found_by, what=what))
    return found


def _customer_moved(thing: Thing, memory: _Memory, after: _Memory) -> str:
    before, now = memory.known.get(thing), after.known.get(thing)
    if before is None:
        return _NEW if now is not None else ""
    if now is None or now.digest == before.digest or before.digest is None:
        return ""
    was, is_ = (m.shadows.get(thing[1], {}).get("till", {}) for m in (memory, after))
    fields = sorted(name for name in was.keys() | is_.keys() if was.get(name) != is_.get(name))
    return ", ".join(fields) or "archived, or a field that Salesforce does not take"


def _product_moved(
    product_id: str, memory: _Memory, after: _Memory, fields: Sequence[str], sources: _Sources
) -> str:
    before, now = memory.known.get(("product", product_id)), after.known.get(("product", product_id))
    if before is None:
        return _NEW if now is not None else ""
    words = []
    is_other = now is not None and before.crm_id and before.digest not in {None, now.digest}
    if is_other and not sources.is_ours(("product", product_id), fields):
        words.append(", ".join(fields) or "other fields")
    price, priced = memory.known.get(("price", product_id)), after.known.get(("price", product_id))
    is_other = price is not None and priced is not None and price.digest not in {None, priced.digest}
    if is_other and not sources.is_ours(("price", product_id)):
        words.append("price")
    return "; ".join(words)


# --- did the feed pass it by? ----------------------------------------------------------------------


class _Feed(msgspec.Struct, frozen=True):
    """How far a stream's polls have come, in the till's own time."""

    since: datetime | None  # the newest stamp that they have shown
    polled_at: datetime | None  # what the till's clock said about when the last one had read everything

    def passed(self, stamp: datetime | None, known: Known | None) -> bool:
        """Say whether no poll will bring something with this stamp any more."""
        if stamp is None or (known is not None and known.till_stamp == stamp.timestamp()):
            return True
        if self.since is not None and stamp <= self.since:
            return True
        # A register's clock may lag: only what is older than the overlap should have been there.
        return self.polled_at is not None and stamp + OVERLAP <= self.polled_at


def _feeds(connection: Connection, again: Slice) -> dict[str, _Feed]:
    """Return where the polls stand, by kind.

    When they ran is known by our clock only; how far the till's is from ours
    has just been seen, so two clocks are never compared.
    """
    state = connection.state
    ahead = again.seen_at - connection.clock.now() if again.seen_at else None
    feeds = {}
    for kind, stream in _STREAM_OF.items():
        position = parse(state.cursor(stream))
        moved_at = state.cursor_moved_at(stream)
        polled_at = None
        if ahead is not None and moved_at is not None and position.resume is None:
            polled_at = datetime.fromtimestamp(moved_at, UTC) + ahead
        feeds[kind] = _Feed(position.since, polled_at)
    return feeds


def _passed_by(
    connection: Connection, again: Slice, memory: _Memory, found: Sequence[Missed]
) -> list[Missed]:
    """Keep what no poll would have brought: its stamp did not move, or the polls are beyond it."""
    # While history is being loaded, what is not there yet is not missed.
    if not found or connection.state.cursor("backfill sales") not in {None, "done"}:
        return []
    stamps, feeds = _stamps(again), _feeds(connection, again)
    return [
        each
        for each in found
        if feeds[each.kind].passed(
            stamps.get((each.kind, each.till_id)), memory.known.get((each.kind, each.till_id))
        )
    ]


def _stamps(again: Slice) -> dict[Thing, datetime | None]:
    stamps: dict[Thing, datetime | None] = {("sale", i): sale.changed_at for i, sale in again.sales.items()}
    stamps |= {("customer", i): customer.changed_at for i, customer in again.customers.items()}
    stamps |= {("product", i): product.changed_at for i, product in again.products.items()}
    stamps |= {("stock", f"{level.product_id}-{level.store_id}"): level.changed_at for level in again.stock}
    return stamps
