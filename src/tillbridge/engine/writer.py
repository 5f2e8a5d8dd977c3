"""Send rows to the CRM in as few calls as can be, and settle what it confirms, row by row.

The one thing a reader would get wrong: nothing here trusts a call that went
well. A row is settled by its own ack, in the transaction that follows its call;
a row that waits for a refused parent goes out again without that lookup; a row
that the CRM refuses becomes a problem and holds up nobody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from tillbridge.engine.connection import Connection
from tillbridge.engine.lost import GONE, follow_lost
from tillbridge.engine.preflight import forget_objects
from tillbridge.engine.resolve import Resolver
from tillbridge.engine.rows import LAYERS, Row, Standing
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.errors import BadRequest, Busy, ConfigurationInvalid, Halted, LimitReached, SyncError
from tillbridge.model.records import Kind
from tillbridge.model.sale import Ref
from tillbridge.model.writing import Slot
from tillbridge.store.journal import NewProblem
from tillbridge.store.state import Link, Missing, Settled
from tillbridge.sync.plan import PlannedRow, pack
from tillbridge.sync.problems import advice_for, cause_of, class_of

# A row that is refused for now (a lock, a parent that was refused in the same call) is tried again within
# one delivery, a few rounds long; then it is a problem like any other.
# Each round sends smaller slots, sorted by sale: locks are held by neighbours, and a row that makes its whole
# slot fail is found by cutting the slot down to it.
ROUNDS = (200, 50, 10, 1)

# These fail every row of a slot for the sake of one.
_WHOLE_SLOT = frozenset(
    {"JSON_PARSER_ERROR", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "UNKNOWN_EXCEPTION", "APEX_ERROR"}
)

# These are sent again by themselves when their parents come (see engine.sync.read_waiting).
_FOLLOWS_PARENTS = frozenset({"stock", "identity"})

Extra = Callable[[sa.Connection, Sequence[tuple[Standing, Ack]]], None]


class Delivery:
    """What became of a set of rows. `acks` by thing; unchanged rows are counted, not listed."""

    def __init__(self) -> None:
        self.acks: dict[tuple[str, str], Ack] = {}
        self.counts: Counter[str] = Counter()

    def refused(self, thing: tuple[str, str]) -> bool:
        """Say whether the CRM refused a thing."""
        return isinstance(self.acks.get(thing), Refused)


class Writer:
    """Delivers rows of one connection by composite calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state = connection.state
        self._rank = {kind: rank for rank, kind in enumerate(LAYERS)}
        self.sent_at = 0.0  # when the last call went out

    def deliver(self, rows: Sequence[Row], *, extra: Extra | None = None, force: bool = False) -> Delivery:
        """Send what differs from what the CRM last confirmed; `force` sends the rest too.

        `extra` joins each settling transaction.
        """
        delivery = Delivery()
        resolver = Resolver(self._state, self._connection.maps, self._connection.account.id)
        resolver.look_up(rows)
        changed = list(rows) if force else self._changed(rows, resolver, delivery)
        sales = _Sales(changed)
        todo = changed
        for attempt, slot_rows_max in enumerate(ROUNDS):
            if not todo:
                break
            if attempt:
                todo.sort(key=lambda row: _sale_of(row) or "")
                self._connection.clock.sleep(self._connection.rng.uniform(0.5, 1.5) * attempt)
            todo = self._round(todo, resolver, delivery, sales, extra, slot_rows_max)
        return delivery

    def _changed(self, rows: Sequence[Row], resolver: Resolver, delivery: Delivery) -> list[Row]:
        """Leave out the rows that the CRM holds already, as its last ack said."""
        by_kind: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_kind[row.kind].append(row.till_id)
        known = {(k, i): v for k, ids in by_kind.items() for i, v in self._state.known(k, ids).items()}
        changed, same = [], []
        for row in rows:
            before = known.get(row.thing)
            if before is not None and before.digest is not None and before.crm_id is not None:
                standing = resolver.resolve(row)
                if standing.digest == before.digest and before.state != "problem":
                    same.append(standing)
                    continue
            changed.append(row)
        delivery.counts["unchanged"] += len(same)
        if same:
            # Nothing to send, but what they wait for may have come without changing them.
            with self._state.begin() as c:
                self._state.wait(c, [s.row.thing for s in same], missing_of(same), sent=False)
                self._connection.journal.resolve(c, [s.row.thing for s in same])
        return changed

    def _round(
        self,
        rows: Sequence[Row],
        resolver: Resolver,
        delivery: Delivery,
        sales: _Sales,
        extra: Extra | None,
        slot_rows_max: int,
    ) -> list[Row]:
        """Send rows once, in as few calls as can be; return those worth sending again."""
        fresh = {row.thing: row.object for row in rows if resolver.link(*row.thing) is None}
        planned = [self._planned(row, resolver.resolve(row, fresh)) for row in rows]
        again: list[Row] = []
        for call in pack(planned, slot_rows_max=slot_rows_max):
            groups = [[rows[at] for at in slot] for slot in call.rows]
            slots, standings = self._ready(groups, resolver, delivery, sales)
            if not slots:
                continue
            answers = self._send(slots)
            again += self._whole_failures(standings, answers)
            acked = [
                (standing, ack)
                for group, acks in zip(standings, answers, strict=True)
                for standing, ack in zip(group, acks, strict=True)
            ]
            again += self._settle(acked, resolver, delivery, sales, extra, last=slot_rows_max == 1)
        return again

    def _send(self, slots: list[Slot]) -> list[list[Ack]]:
        """Make one call. A call that is refused as a whole is a refusal of each of its rows."""
        self.sent_at = self._state.now()
        try:
            return self._connection.crm.write(slots)
        except BadRequest as error:
            if error.code not in _WHOLE_SLOT:
                raise
            return [[Refused(error.code, str(error), error.fields)] * len(slot.rows) for slot in slots]

    def _whole_failures(self, standings: list[list[Standing]], answers: list[list[Ack]]) -> list[Row]:
        """Take out the slots that failed as a whole and have more than one row: they are cut down."""
        again: list[Row] = []
        for at in reversed(range(len(answers))):
            codes = {ack.code if isinstance(ack, Refused) else None for ack in answers[at]}
            if len(answers[at]) > 1 and len(codes) == 1 and codes <= _WHOLE_SLOT:
                again += [standing.row for standing in standings.pop(at)]
                answers.pop(at)
        return again

    def _planned(self, row: Row, standing: Standing) -> PlannedRow:
        return PlannedRow(
            object=row.object,
            operation=row.operation,
            payload=standing.payload,
            layer=self._rank[row.kind],
            key=row.crm_id if row.operation == "update" else _key_of(row),
            key_field=row.key_field if row.operation == "upsert" else None,
        )

    def _ready(
        self, groups: Sequence[Sequence[Row]], resolver: Resolver, delivery: Delivery, sales: _Sales
    ) -> tuple[list[Slot], list[list[Standing]]]:
        """Resolve one call's rows. A detail whose master was refused stays behind with it."""
        fresh = {
            row.thing: row.object for group in groups for row in group if resolver.link(*row.thing) is None
        }
        slots, standings = [], []
        for group in groups:
            ready = [resolver.resolve(row, fresh) for row in group]
            for standing in ready:
                if standing.lost:
                    delivery.counts["held"] += 1
                    sales.drop(standing.row)
            if ready := [standing for standing in ready if not standing.lost]:
                slots.append(_slot(ready))
                standings.append(ready)
        return slots, standings

    def _settle(
        self,
        acked: Sequence[tuple[Standing, Ack]],
        resolver: Resolver,
        delivery: Delivery,
        sales: _Sales,
        extra: Extra | None,
        *,
        last: bool,
    ) -> list[Row]:
        """Write down one call's acks in one transaction; return the rows to send again."""
        again: list[Row] = []
        written: list[tuple[Standing, Written]] = []
        refused: list[tuple[Standing, Refused]] = []
        gone: list[tuple[Standing, Refused]] = []
        stopped: Refused | None = None
        headless = {s.row.till_id for s, ack in acked if s.row.kind == "sale" and isinstance(ack, Refused)}
        for standing, ack in acked:
            if isinstance(ack, Refused) and class_of(ack) == "halted":
                stopped = ack
                continue
            if isinstance(ack, Refused) and _org_has_changed(ack):
                forget_objects(self._state)
                path = f"map.{standing.row.kind}"
                raise ConfigurationInvalid([(path, f"Salesforce takes no such row any more: {ack.message}")])
            if isinstance(ack, Written):
                written.append((standing, ack))
            elif standing.row.sale in headless:
                # Refused for its header's sake, whatever it says: it goes, or stays behind, with that.
                if last:
                    delivery.counts["held"] += 1
                    sales.drop(standing.row)
                else:
                    again.append(standing.row)
                continue
            elif not last and (class_of(ack) in {"transient", "waiting"} or self._degraded(standing, ack)):
                again.append(standing.row)
                if ack.code in GONE:
                    gone.append((standing, ack))
                continue
            else:
                refused.append((standing, ack))
            delivery.acks[standing.row.thing] = ack
        linked = {s.row.thing for s, _ in written if resolver.link(*s.row.thing) is not None}
        for standing, ack in written:
            row = standing.row
            resolver.learn(row.thing, Link(ack.id, row.object, self._crm_parent(row, resolver)))
        # Rows may have named parents by key; now that ids are known, the digest is of the ids.
        standings = [(resolver.resolve(s.row), ack) for s, ack in written]
        with self._state.begin() as c:
            self._state.settle(c, [self._standing_of(s, ack, resolver) for s, ack in standings])
            self._state.wait(c, [s.row.thing for s, _ in standings], missing_of([s for s, _ in standings]))
            self._connection.journal.refuse(
                c, [problem_of(s, ack) for s, ack in refused if class_of(ack) != "review"]
            )
            self._connection.journal.resolve(c, [s.row.thing for s, _ in standings])
            self._state.settle(c, [_refused_standing(s.row, ack) for s, ack in refused])
            self._state.settle(c, sales.after(written, refused))
            if extra is not None:
                extra(c, [*standings, *refused])
        for standing, ack in written:
            # Not every version says on an upsert what became of the row; then a link says that it was there.
            new = ack.created if ack.created is not None else standing.row.thing not in linked
            delivery.counts["created" if new and not standing.row.crm_id else "updated"] += 1
        delivery.counts["refused"] += len(refused)
        if stopped is not None:
            raise stop_for(stopped)
        if gone:
            follow_lost(self._connection, resolver, gone)
        return again

    def _degraded(self, standing: Standing, ack: Refused) -> bool:
        """Make a row acceptable by leaving out a field, never the record; say whether that helped."""
        row = standing.row
        if ack.code == "INVALID_EMAIL_ADDRESS":
            # The target knows better than our check what it takes for an address.
            bad = [name for name in ack.fields if name in row.payload]
        elif ack.code == "INVALID_FIELD_FOR_INSERT_UPDATE" and row.sale is not None:
            # A master-detail that may not be reparented refuses even its own master repeated
            # (fact sheet Salesforce, trap 26).
            bad = [
                name
                for name, value in row.payload.items()
                if isinstance(value, Ref) and value.kind == Kind.SALE
            ]
        else:
            bad = []
        left_out = self._connection.journal.decided().left_out(cause_of(row.object, ack))
        bad += [name for name in sorted(left_out) if name in row.payload and name not in bad]
        if not bad:
            return False
        row.payload = {name: value for name, value in row.payload.items() if name not in bad}
        row.digest = row.digest or standing.digest
        told = f"{', '.join(bad)} left out: {ack.message}"
        row.reason = f"{row.reason}; {told}" if row.reason else told
        return True

    def _crm_parent(self, row: Row, resolver: Resolver) -> str | None:
        if row.kind != "customer" or row.object != "Contact":
            return None
        account = resolver.link("account", row.till_id)
        return account.crm_id if account else None

    def _standing_of(self, standing: Standing, ack: Written, resolver: Resolver) -> Settled:
        row = standing.row
        state, reason = row.state, row.reason
        if row.kind == "sale":
            state, reason = "staged", "its lines and payments are on their way"
        elif standing.missing and row.kind in _FOLLOWS_PARENTS:
            state, reason = standing_for([f"{ref.kind} {ref.id}" for _, ref in standing.missing])
        return Settled(
            kind=row.kind,
            till_id=row.till_id,
            state=state,
            reason=reason,
            crm_id=ack.id,
            object=row.object,
            crm_parent=self._crm_parent(row, resolver),
            digest=standing.digest,
            parent=row.sale,
            till_stamp=row.till_stamp,
            history=row.history,
            role=row.role,
        )


class _Sales:
    """Which sales still have rows on their way: a sale is settled when its last row is."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._open: Counter[str] = Counter()
        self._refused: dict[str, str] = {}
        self._missing: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if sale := _sale_of(row):
                self._open[sale] += 1

    def drop(self, row: Row) -> None:
        """Give up a row whose header was refused."""
        self._open[_sale_of(row) or ""] -= 1

    def after(
        self, written: Iterable[tuple[Standing, Written]], refused: Iterable[tuple[Standing, Refused]]
    ) -> list[Settled]:
        """Take in acks; return the new standing of every sale that is complete by them."""
        touched: dict[str, None] = {}
        for standing, _ in written:
            if sale := _sale_of(standing.row):
                self._missing[sale] += [f"{ref.kind} {ref.id}" for _, ref in standing.missing]
                self._open[sale] -= 1
                touched[sale] = None
        for standing, ack in refused:
            if sale := _sale_of(standing.row):
                self._refused.setdefault(sale, f"{standing.row.object}: {ack.message}")
                self._open[sale] -= 1
                touched[sale] = None
        return [self._standing(sale) for sale in touched if self._open[sale] <= 0]

    def _standing(self, sale: str) -> Settled:
        if sale in self._refused:
            return Settled(kind="sale", till_id=sale, state="problem", reason=self._refused[sale])
        state, reason = standing_for(self._missing[sale])
        return Settled(kind="sale", till_id=sale, state=state, reason=reason)


def standing_for(missing: Sequence[str]) -> tuple[str, str | None]:
    """Return state and reason of a sale that landed, by what its lookups wait for."""
    if not missing:
        return "settled", None
    names = ", ".join(dict.fromkeys(missing))
    return "waiting", f"landed; these lookups are empty until they are in the CRM: {names}"


def missing_of(standings: Iterable[Standing]) -> list[Missing]:
    """Say what these rows wait for, and which sale is to be sent again when it comes."""
    return [
        Missing(
            kind=s.row.kind,
            till_id=s.row.till_id,
            field=field,
            parent_kind="line" if ref.kind == "sale_of_line" else ref.kind,
            parent_id=ref.id,
            sale=_sale_of(s.row),
        )
        for s in standings
        for field, ref in s.missing
    ]


def problem_of(standing: Standing, ack: Refused) -> NewProblem:
    """Describe a refusal for the problems desk."""
    row = standing.row
    return NewProblem(
        kind=row.kind,
        till_id=row.till_id,
        sale=row.sale,
        object=row.object,
        cause=cause_of(row.object, ack),
        code=ack.code,
        message=ack.message,
        fields=ack.fields,
        payload=standing.payload,
    )


def _org_has_changed(ack: Refused) -> bool:
    """Say whether a field or object is gone, or hidden from us: every row would be refused alike."""
    return ack.code in {"INVALID_FIELD", "INVALID_TYPE"} and "no such column" in ack.message.lower()


def stop_for(ack: Refused) -> SyncError:
    """Return the error that ends a run for a refusal that every further row would meet too."""
    if ack.code == "REQUEST_LIMIT_EXCEEDED":
        return LimitReached("Salesforce takes no more API calls for now.", quota="salesforce day")
    if ack.code == "STORAGE_LIMIT_EXCEEDED":
        return Busy(f"Salesforce has no room for more rows. {advice_for(ack)}")
    return Halted(f"Salesforce takes no more rows ({ack.code}: {ack.message}). {advice_for(ack)}")


def _refused_standing(row: Row, ack: Refused) -> Settled:
    state = "review" if class_of(ack) == "review" else "problem"
    return Settled(
        kind=row.kind,
        till_id=row.till_id,
        state=state,
        reason=ack.message,
        parent=row.sale,
        till_stamp=row.till_stamp,
    )


def _sale_of(row: Row) -> str | None:
    return row.till_id if row.kind == "sale" else row.sale


def _key_of(row: Row) -> str | None:
    return str(row.payload[row.key_field]) if row.key_field else None


def _slot(standings: Sequence[Standing]) -> Slot:
    row = standings[0].row
    rows = [
        {"Id": s.row.crm_id, **s.payload} if row.operation == "update" else dict(s.payload) for s in standings
    ]
    return Slot(row.operation, row.object, rows, row.key_field if row.operation == "upsert" else None)
