"""What a set of customers becomes: rows for the CRM, edits of the till, and what is remembered of both.

What needs no ack is written down before anything leaves (`begin`); shadows and
the index of people move in the transaction that settles their rows (`after`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.engine import compare as comparing
from tillbridge.engine.arrivals import index_seen
from tillbridge.engine.compare import (
    Seen,
)
from tillbridge.engine.connection import Connection
from tillbridge.engine.heirs import pass_on
from tillbridge.engine.identities import identity_of, identity_row, standing_linked, verdict_of
from tillbridge.engine.linked import BEFORE, attach
from tillbridge.engine.people import UNCONFIRMED
from tillbridge.engine.rows import Row, Standing
from tillbridge.engine.tillwrites import TillEdit, carry_edits, changes_of, refuse
from tillbridge.engine.writer import Writer
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import BadRequest
from tillbridge.store.changes import Change, Contested
from tillbridge.store.people import Verdict
from tillbridge.store.state import Settled
from tillbridge.sync import match as matching
from tillbridge.sync.match import candidate_of, match_keys
from tillbridge.sync.problems import class_of

# Whoever stands so is still waited for: by a person, or by somebody's ack.
_UNDECIDED = frozenset({"review", "waiting", "conflict", "problem"})


class CustomerPlan:
    """What a set of customers becomes. Hand `after` to the writer; call `finish` when it is done."""

    def __init__(self, connection: Connection, *, history: bool = False) -> None:
        self.history = history
        self.seen: Sequence[Seen] = ()
        self.looked_at: set[str] = set()  # those of them who have not stayed as they were
        self.links: Mapping[str, Verdict] = {}  # why those who are linked already are
        self.cleared: dict[str, Verdict] = {}  # the same, of those who stand in review all the same
        self.rows: list[Row] = []
        self.settled: list[Settled] = []
        self.verdicts: list[Verdict] = []
        self.counts: Counter[str] = Counter()
        self.followers: list[tuple[Seen, str, matching.Link]] = []
        self.quiet: dict[tuple[str, str], Mapping[str, str]] = {}  # shadows that need no ack
        self.edits: dict[str, TillEdit] = {}
        self.unfit: dict[str, Mapping[str, str]] = {}  # fields that the till cannot hold, and why
        self.written: dict[str, Sequence[comparing.Written]] = {}  # what the rows change, for the diary
        self.contested: list[Contested] = []
        self.outlived: dict[str, Collection[str]] = {}
        self.theirs: set[str] = set()  # whose person was in the CRM before us
        self.fresh: set[str] = set()  # who is being linked just now
        self.names: dict[str, str] = {}
        self.people: dict[str, CrmPersonRow] = {}
        self.held: dict[str, str] = {}  # what waits for a person, and why
        self.off: set[str] = set()  # what waits until the whole of a large change is seen
        self._connection = connection
        self._shadows: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {}
        self._shown: dict[str, CrmPersonRow] = {}

    def expect(
        self,
        till_id: str,
        till: Mapping[str, str],
        crm: Mapping[str, str],
        person: CrmPersonRow,
        pushed: Collection[str],
        unsettled: Collection[str] = (),
    ) -> None:
        """Remember what both sides will show once the CRM has confirmed this customer's row.

        `unsettled` are fields of which the till has yet to hear, or a person to decide: the CRM's side of
        them is what it was when both last agreed, blank perhaps, and not what the CRM shows now.
        """
        shown, crm = crm, {n: v for n, v in crm.items() if n not in unsettled}
        self._shadows[till_id] = (till, {**crm, UNCONFIRMED: ",".join(sorted(pushed))})
        self._shown[till_id] = msgspec.structs.replace(person, fields=shown, changed_at=None)

    def begin(self) -> None:
        """Write down what needs no ack: verdicts, standings, shadows of sides that only spell differently."""
        connection = self._connection
        with connection.state.begin() as c:
            index_seen(connection, c, self.seen)
            connection.state.settle(c, self.settled)
            connection.people.decide(c, self.verdicts)
            connection.people.cast(c, self.quiet)
            connection.changes.notice(c, self.contested)
            for till_id, fields in self.outlived.items():
                connection.changes.outlive(c, till_id, fields)
            done = [("customer", each.till_id) for each in self.settled if each.state not in _UNDECIDED]
            connection.journal.resolve(c, done)
            held = [
                Settled(kind="customer", till_id=i, state="held", reason=reason)
                for i, reason in self.held.items()
            ]
            connection.state.settle(c, held)
            # Until the till has confirmed, whoever is to be edited there is compared again in every slice.
            connection.state.doubt(c, "customer", {*self.edits, *self.held, *self.off})
            for till_id, refused in self.unfit.items():
                told = "; ".join(f"{name}: {why}" for name, why in refused.items())
                error = BadRequest(
                    f"Lightspeed cannot hold what Salesforce shows: {told}",
                    code="UNFIT_FOR_TILL",
                    status=0,
                    fields=tuple(refused),
                )
                refuse(connection, till_id, error, {}, c)

    def hold(self, keys: Collection[tuple[str, str]], reason: str) -> None:
        """Take out the updates of these customers, given as (side, till id): they stand as held."""
        self._take_out(keys)
        self.held.update(dict.fromkeys(sorted({i for _, i in keys}), reason))

    def put_off(self, till_ids: Collection[str]) -> None:
        """Take out the updates of these customers: they are compared again later."""
        self._take_out([(side, i) for side in ("crm", "till") for i in till_ids])
        self.off |= set(till_ids)

    def _take_out(self, keys: Collection[tuple[str, str]]) -> None:
        crm = {i for side, i in keys if side == "crm"}
        self.rows = [row for row in self.rows if not (_updates(row) and row.till_id in crm)]
        for side, till_id in keys:
            self._shadows.pop(till_id, None)
            if side == "till":
                self.edits.pop(till_id, None)
            else:
                self.written.pop(till_id, None)
        out = {i for _, i in keys}
        self.quiet = {key: shadow for key, shadow in self.quiet.items() if key[0] not in out}

    def carry_edits(self) -> Counter[str]:
        """Write to the till what the CRM has moved: after the CRM has had its rows."""
        return carry_edits(self._connection, list(self.edits.values()))

    def after(self, transaction: sa.Connection, acked: Sequence[tuple[Standing, Ack]]) -> None:
        """Move shadows and the index of people in the transaction that settles their rows."""
        shadows: dict[tuple[str, str], Mapping[str, Any]] = {}
        people: list[tuple[CrmPersonRow, Collection[str]]] = []
        changes: list[Change] = []
        for standing, ack in acked:
            till_id = standing.row.till_id
            if standing.row.kind != "customer" or till_id not in self._shadows:
                continue
            if isinstance(ack, Written):
                shadows[till_id, "till"], shadows[till_id, "crm"] = self._shadows[till_id]
                person = msgspec.structs.replace(self._shown[till_id], id=ack.id)
                people.append((person, match_keys(candidate_of(person, self._connection.region))))
                written = self.written.get(till_id, ())
                changes += changes_of(till_id, ack.id, person.object, "crm", written)
                self._connection.changes.outlive(transaction, till_id, [each.field for each in written])
                if till_id in self.cleared:
                    self._connection.people.decide(transaction, [self.cleared[till_id]])
            elif class_of(ack) == "review":
                self._connection.people.decide(transaction, [self._suggested(till_id, ack)])
        self._connection.people.cast(transaction, shadows)
        self._connection.people.index(transaction, people)
        self._connection.changes.note(transaction, changes)
        # The ack of a row speaks for the CRM alone.
        self._connection.state.doubt(transaction, "customer", self.edits.keys() & {i for i, _ in shadows})

    def finish(self) -> None:
        """Link the second till records of people whom this very plan created; let the living speak."""
        self._link_followers()
        pass_on(self._connection, [one for one in self.seen if one.id in self.looked_at])

    def _link_followers(self) -> None:
        connection = self._connection
        links = connection.state.links("customer", {first for _, first, _ in self.followers})
        ready = [(one, links[first], link) for one, first, link in self.followers if first in links]
        if not ready:
            return
        people = connection.people.get([found.crm_id for _, found, _ in ready])
        plan = CustomerPlan(connection, history=self.history)
        for one, found, link in ready:
            plan.rows.append(identity_row(connection, identity_of(one.id, link)))
            attach(connection, plan, one, standing_linked(one.id, found, link.rule), people[found.crm_id])
        plan.begin()
        Writer(connection).deliver(plan.rows, extra=plan.after)

    def _suggested(self, till_id: str, ack: Refused) -> Verdict:
        connection = self._connection
        named = [{"crm_id": crm_id, "what": "Salesforce's duplicate rule"} for crm_id in ack.matches]
        detail: dict[str, Any] = {
            "reason": "a duplicate rule of Salesforce found somebody",
            "candidates": named,
        }
        if (before := self.links.get(till_id)) is not None:
            # The link stands while a person decides: what made it comes back with the next accepted row.
            before = self.cleared.get(till_id, before)
            detail = {**before.detail, **detail, BEFORE: [before.outcome, before.rule]}
        return verdict_of(connection, till_id, "review", None, detail)


def _updates(row: Row) -> bool:
    """Say whether a row changes a person who is in the CRM."""
    return row.kind == "customer" and row.operation == "update"
