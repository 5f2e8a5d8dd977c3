"""Erasures after a backup was restored: what the state has forgotten is learnt again, and done again.

Three witnesses tell who was erased: the state itself, the signed file beside
it, and the identities in the CRM that we have marked. The second is looked at
whenever a run begins, the third whenever a run meets a customer whom the till
has anonymised and of whom we hold data; both clear our own state at once. Only
a person's command writes to the two sides again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tillbridge.engine import privacy, privacy_crm
from tillbridge.engine.connection import Connection
from tillbridge.engine.erased import bare_till, is_bare, put_up
from tillbridge.engine.privacy import Office
from tillbridge.engine.subject import Subject, kept_of, read, recognised_by
from tillbridge.model.answers import HeldAsk
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.store.erasing import holds_any
from tillbridge.store.holdings import Holdings
from tillbridge.store.tombstones import Erasure, Tombstones
from tillbridge.sync.fieldmap import key

_LOOKUPS = {"Account__c": "Account", "Contact__c": "Contact", "Lead__c": "Lead"}


class Replayed(msgspec.Struct):
    """What came of a replay: erasures known, those the state had forgotten, those done again on a side."""

    known: int = 0
    learnt: list[str] = []
    cleared: list[str] = []
    again: list[dict[str, Any]] = []


def guard(connection: Connection, tombstones: Tombstones, holdings: Holdings) -> None:
    """Let nothing of erased people through the doors, and make good what a restored backup brought back."""
    watch = _Watch(connection, tombstones, holdings)
    put_up(connection, tombstones, watch.met)
    forgotten = [erasure for erasure in tombstones.witnessed() if not tombstones.is_laid(erasure)]
    if forgotten:
        make_good(connection, tombstones, holdings, forgotten)
        names = ", ".join(erasure.id for erasure in forgotten)
        connection.progress.say(
            f"This state was restored from before {len(forgotten)} erasures ({names}): what it held of those "
            "people is cleared again. Run `tillbridge erase replay` to look at both sides, too."
        )


class _Watch:
    """Asks the CRM about customers whom the till has anonymised while we still hold data of them."""

    def __init__(self, connection: Connection, tombstones: Tombstones, holdings: Holdings) -> None:
        self._connection = connection
        self._tombstones = tombstones
        self._holdings = holdings

    def met(self, customers: list[Customer]) -> None:
        """Take note of anonymised customers on a page."""
        connection = self._connection
        strangers = {each.id: each for each in customers if self._tombstones.of_till(each.id) is None}
        held = holds_any(connection.state, list(strangers), []) if strangers else set()
        known = connection.state.known("customer", held)
        news = [i for i in held if i not in known or known[i].till_stamp != _stamp(strangers[i])]
        if not news:
            return
        table = connection.maps["identity"]
        assert table.key_field is not None
        keys = {key(connection.account.id, "customer", i): i for i in news}
        fields = _identity_fields(connection)
        [rows] = connection.questions.held([HeldAsk(table.object, table.key_field, tuple(keys), fields)])
        told = {keys[own]: row for own, row in rows.items() if privacy_crm.is_erased(row)}
        if told:
            erasures = _told_by_crm(connection, self._tombstones, told)
            make_good(connection, self._tombstones, self._holdings, erasures)


def _stamp(customer: Customer) -> float | None:
    return customer.changed_at.timestamp() if customer.changed_at else None


def make_good(
    connection: Connection, tombstones: Tombstones, holdings: Holdings, erasures: Collection[Erasure]
) -> None:
    """Lay tombstones that are missing, and clear our own state of those people."""
    for erasure in erasures:
        subject = Subject(till_ids=list(erasure.till_ids), crm={i: name for name, i in erasure.crm})
        sought = kept_of(connection, holdings, subject)
        with connection.state.begin() as c:
            tombstones.lay(c, erasure)
        tombstones.witness(erasure)
        links = connection.state.links("customer", erasure.till_ids)
        holdings.clear(erasure, sought, keep_links=bool(links))
        holdings.blot_logs(sought)
    if erasures:
        connection.state.compact()


def replay(office: Office, file: Path | None = None) -> Replayed:
    """Learn of every erasure from all witnesses, clear our state, and erase again what a side shows again."""
    connection, tombstones = office.connection, office.tombstones
    told = _all_told(office, file)
    done = Replayed(known=len(told))
    forgotten = [each for each in told if not tombstones.is_laid(each)]
    done.learnt = [each.id for each in forgotten]
    again = [each for each in told if each not in forgotten and _is_held(connection, each)]
    done.cleared = [each.id for each in again]
    make_good(connection, tombstones, office.holdings, [*forgotten, *again])
    unfinished = {case.id: case for case in tombstones.cases() if not case.is_finished}
    for case in unfinished.values():
        done.again.append(privacy.go_on(privacy.resumed(office, case)))
    for erasure in _shown_again(office, [each for each in told if each.id not in unfinished]):
        subject = Subject(till_ids=list(erasure.till_ids), crm={i: name for name, i in erasure.crm})
        read(connection, subject)
        subject.crm = {i: name for i, name in subject.crm.items() if i in subject.rows}
        done.again.append(privacy.go_on(privacy.begin(office, subject)))
    return done


def _is_held(connection: Connection, erasure: Erasure) -> bool:
    """Say whether the state holds somebody again: a verdict of theirs, a shadow, what the CRM showed."""
    tills, records = list(erasure.till_ids), [i for _, i in erasure.crm]
    if not holds_any(connection.state, tills, records):
        return False
    # The bare rows that a run has met since are no data of anybody.
    held = connection.people.get(records)
    shadows = connection.people.shadows(tills)
    verdicts = connection.people.verdicts(tills)
    return any(row.first or row.last or row.emails or row.phones for row in held.values()) or bool(
        shadows or verdicts
    )


def _all_told(office: Office, file: Path | None) -> list[Erasure]:
    """Put together what the file, the state and the CRM tell."""
    connection, tombstones = office.connection, office.tombstones
    told = {each.id: each for each in tombstones.witnessed(file)}
    told |= {each.id: each for each in tombstones.witnessed()}
    told |= {case.id: privacy.erasure_of(case) for case in tombstones.cases()}
    known = {i for each in told.values() for i in each.till_ids}
    rows = {i: row for i, row in privacy_crm.erased_in_crm(connection).items() if i not in known}
    return [*told.values(), *_told_by_crm(connection, tombstones, rows)]


def _told_by_crm(
    connection: Connection, tombstones: Tombstones, rows: Mapping[str, Mapping[str, str | None]]
) -> list[Erasure]:
    """Make erasures of marked identities. Their e-mails and phones nobody knows any more: ids are enough."""
    erasures = []
    now = connection.clock.now().timestamp()
    for till_id, row in sorted(rows.items()):
        crm = [(name, crm_id) for field, name in _LOOKUPS.items() if (crm_id := row.get(field))]
        if any(name == "Contact" for name, _ in crm):
            crm = [each for each in crm if each[0] != "Account"]
        erasures.append(tombstones.mark(f"crm-{till_id}", now, [till_id], crm))
    return erasures


def _identity_fields(connection: Connection) -> tuple[str, ...]:
    held = connection.objects[connection.maps["identity"].object].fields
    return tuple(name for name in ("Rule__c", "Status__c", *_LOOKUPS) if name in held)


def _shown_again(office: Office, told: Collection[Erasure]) -> list[Erasure]:
    """Return the erasures of whom a side shows data again, as far as the rules say that it must not."""
    connection, rules = office.connection, office.rules
    tills = [i for each in told for i in each.till_ids]
    shown: set[str] = set()
    if rules.till == "anonymise" and tills:
        pages = bare_till(connection).customers(Query(ids=tuple(tills)))
        shown |= {customer.id for page in pages for customer in page.rows if not is_bare(customer)}
    if rules.crm != "keep":
        subject = Subject(crm={i: name for each in told for name, i in each.crm})
        read(connection, subject)
        shown |= {i for i in subject.rows if recognised_by(connection, _only(subject, i))[0]}
    return [each for each in told if shown.intersection((*each.till_ids, *(i for _, i in each.crm)))]


def _only(subject: Subject, crm_id: str) -> Subject:
    return Subject(crm={crm_id: subject.crm[crm_id]}, rows={crm_id: subject.rows[crm_id]})
