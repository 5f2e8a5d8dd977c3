"""Look for duplicates on both sides, and carry out what a person has decided about them.

The scan only reads. Merging is done by the CRM's own merge, which moves receipts
and history to the survivor; the till offers none, so its duplicates become a
list of work for people, which ticks itself off when a later scan no longer
meets the record that was to go.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec

from tillbridge.engine.connection import Connection, Progress
from tillbridge.engine.people import read_again
from tillbridge.model.acks import Ack, Refused
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.countries import country_code
from tillbridge.model.customer import anonymised, born, region_of
from tillbridge.model.phones import e164
from tillbridge.model.reading import Query
from tillbridge.model.records import Customer
from tillbridge.model.writing import Merge
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.dedupe import Clusters
from tillbridge.store.people import People
from tillbridge.store.state import State
from tillbridge.sync.decisions import Decision, Kept
from tillbridge.sync.dedupe import Cluster, Finder, Member, merged_fields, propose, slots_of
from tillbridge.sync.fieldmap import key
from tillbridge.sync.match import RULES, MatchRules

_OBJECTS = ("Account", "Contact", "Lead")

# One merge takes a master and two more records, one call 200 merges (fact sheet Salesforce 7.4).
LOSERS_MAX = 2
MERGES_MAX = 200


class Scanned(msgspec.Struct, frozen=True):
    """What a scan came to.

    `ticked`: records of decided clusters that are not there any more. `changed`:
    decisions that do not stand, since a record was changed after they were made.
    """

    till: int
    crm: int
    found: int
    sure: int
    ticked: int
    changed: int


# --- scan ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """Whom both sides have shown so far, by what we keep: no remote is asked for it."""

    account: str
    state: State
    people: People
    arrivals: Arrivals
    rules: MatchRules
    region: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What comparing everybody has found. `now`: the members of kept clusters as they are."""

    clusters: list[Cluster]
    now: Mapping[str, Member]
    counts: Mapping[str, int]


def scan(connection: Connection, clusters: Clusters) -> Scanned:
    """Read both sides, find what is double, and keep it for a person. Writes to neither side."""
    rules = rules_of(connection.settings.match, connection.settings.review)
    return keep_found(connection.state, clusters, _compare(rules, clusters, _members(connection)))


def compare_shown(shown: Shown, clusters: Clusters, progress: Progress) -> Compared:
    """Compare the people whom both sides have shown so far. Writes nothing, and needs nobody's turn."""
    return _compare(shown.rules, clusters, _kept_members(shown, progress))


def _compare(rules: MatchRules, clusters: Clusters, members: Iterable[Member]) -> Compared:
    finder = Finder(rules)
    watched = {member.ref for kept in clusters.all() for member in kept.cluster.members}
    now: dict[str, Member] = {}
    counts = {"till": 0, "crm": 0}
    for member in members:
        finder.add(member)
        if member.ref in watched:
            now[member.ref] = member
        counts[member.side] += 1
    return Compared(finder.clusters(clusters.apart()), now, counts)


def keep_found(state: State, clusters: Clusters, compared: Compared) -> Scanned:
    """Keep what was found for a person to decide about."""
    found = compared.clusters
    ticked, changed = _keep(state, clusters, found, compared.now)
    return Scanned(
        till=compared.counts["till"],
        crm=compared.counts["crm"],
        found=len(found),
        sure=sum(cluster.is_sure for cluster in found),
        ticked=ticked,
        changed=changed,
    )


def _kept_members(shown: Shown, progress: Progress) -> Iterator[Member]:
    account = shown.account
    linked: dict[str, list[str]] = {}
    for till_id, link in shown.state.all_links("customer").items():
        linked.setdefault(link.crm_id, []).append(key(account, "customer", till_id))
    bar = progress.bar("Customers of Lightspeed", shown.arrivals.count_people())
    for people in shown.arrivals.each_person(_READ_AT_ONCE):
        bar.advance(len(people))
        for person in people:
            ours = key(account, "customer", person.id)
            yield Member(
                side="till",
                object="Customer",
                id=person.id,
                first=person.first,
                last=person.last,
                company=person.company,
                emails=person.emails,
                phones=person.phones,
                street=person.street,
                zip=person.zip,
                city=person.city,
                born=person.birth_date.isoformat() if person.birth_date else None,
                keys=(ours,),
            )
    bar.close()
    bar = progress.bar("People of Salesforce")
    for rows in shown.people.everybody(_READ_AT_ONCE):
        bar.advance(len(rows))
        for row in rows:
            if not (row.converted or row.deleted):
                yield crm_member(row, shown.region, linked.get(row.id, ()))
    bar.close()
    progress.bar("Comparing them with each other")


# So many sealed entries are opened at once.
_READ_AT_ONCE = 5_000


def rules_of(match: Sequence[str], review: Collection[str]) -> MatchRules:
    """Return the rules of a configuration, in their order."""
    order = sorted((rule for rule in RULES if rule in match), key=match.index)
    return MatchRules(order=order, review=frozenset(rule for rule in RULES if rule in review))


def _members(connection: Connection) -> Iterator[Member]:
    account = connection.account.id
    bar = connection.progress.bar("Customers in Lightspeed")
    for page in connection.till.customers(Query()):
        for customer in page.rows:
            ours = key(account, "customer", customer.id)
            member = till_member(customer, connection.zones, connection.region, ours)
            if member is not None:
                yield member
        bar.advance(len(page.rows))
    bar.close()
    linked: dict[str, list[str]] = {}
    for till_id, link in connection.state.all_links("customer").items():
        linked.setdefault(link.crm_id, []).append(key(account, "customer", till_id))
    bar = connection.progress.bar("People in Salesforce")
    for name in _objects(connection):
        for row in connection.questions.people(connection.objects[name], ()):
            bar.advance()
            if not (row.converted or row.deleted):
                yield crm_member(row, connection.region, linked.get(row.id, ()))
    bar.close()


def _objects(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Return where people are looked for, and the fields of them that the map writes."""
    table = connection.maps["customer"]
    held = [name for name in _OBJECTS if name in connection.objects]
    if "IsPersonAccount" not in connection.objects["Account"].fields:
        held.remove("Account")
    return {name: table.targets if name == table.object else () for name in held}


def _keep(
    state: State, clusters: Clusters, found: Sequence[Cluster], now: Mapping[str, Member]
) -> tuple[int, int]:
    """Replace what is open by what was found; return how many records are ticked off, and decisions undone.

    What a person has decided stays while the records it was decided on are as they
    were; who is kept apart stays apart in any case. `now`: the members as they are.
    """
    before = clusters.all()
    was = {kept.id: kept for kept in before}
    ticked = [_ticked(kept, now) for kept in before if kept.state in {"decided", "by_hand"}]
    there = [kept for kept in ticked if kept is not None]
    moved = {kept.id: refs for kept in there if (refs := _moved(kept, now))}
    as_found = {cluster.id: cluster for cluster in found}
    standing = [_as_now(kept, now, as_found.get(kept.id)) for kept in there if kept.id not in moved]
    settled = {kept.id for kept in standing} | {kept.id for kept in before if kept.state == "done"}
    apart = {
        kept.id: _as_now(left, now, None)
        for kept in before
        if kept.id not in settled and (left := kept.only_apart()) is not None
    }
    marked = {ref for kept in before if kept.state == "open" for ref in kept.changed}.union(*moved.values())
    pairs = clusters.apart()
    of_member: dict[str, list[set[str]]] = {}
    for kept in standing:
        members = {member.ref for member in kept.cluster.members}
        for ref in members:
            of_member.setdefault(ref, []).append(members)
    fresh = [
        Kept(
            cluster=cluster,
            decision=apart.pop(cluster.id).decision if cluster.id in apart else Decision(),
            changed=tuple(member.ref for member in cluster.members if member.ref in marked),
        )
        for cluster in found
        if not (_is_among(cluster, of_member) or _is_apart(cluster, pairs))
    ]
    keeping = [*standing, *apart.values(), *fresh]
    with state.begin() as c:
        clusters.drop(c, was.keys() - settled - {kept.id for kept in keeping})
        clusters.keep(c, keeping)
    return sum(len(kept.gone) - len(was[kept.id].gone) for kept in there), len(moved)


def _moved(kept: Kept, now: Mapping[str, Member]) -> list[str]:
    """Return the members that are not what they were when a person decided on them.

    Once merging has begun a survivor may change: it takes over what the others had.
    """
    if kept.state == "done":
        return []
    begun = any(kept.decision.words.get(ref) == "merge" for ref in kept.gone)
    may_change = set(kept.decision.survivors.values()) if begun else set()
    return [
        member.ref
        for member in kept.cluster.members
        if member.ref in now
        and member.ref not in may_change
        and _telling(now[member.ref]) != _telling(member)
    ]


def _as_now(kept: Kept, now: Mapping[str, Member], found: Cluster | None) -> Kept:
    """Show the members of a cluster as they are; `found`: the same cluster in this scan, if it was found."""
    if found is None:
        members = tuple(now.get(member.ref, member) for member in kept.cluster.members)
        left = [m for m in members if m.ref in now and m.ref not in kept.cluster.unsure]
        proposed = propose(left or members, set(kept.cluster.survivors.values()))
        found = msgspec.structs.replace(kept.cluster, members=members, proposed=proposed)
    return msgspec.structs.replace(kept, cluster=found)


def _is_among(cluster: Cluster, of_member: Mapping[str, Sequence[set[str]]]) -> bool:
    """Say whether a cluster is one that a person has decided on, or a part of it."""
    refs = {member.ref for member in cluster.members}
    return any(refs <= decided for decided in of_member.get(cluster.members[0].ref, ()))


def _is_apart(cluster: Cluster, pairs: Collection[frozenset[str]]) -> bool:
    """Say whether nothing is left to ask: on each side everybody is kept apart from everybody."""
    return all(
        frozenset((one.ref, other.ref)) in pairs
        for one, other in combinations(cluster.members, 2)
        if one.side == other.side
    )


def _ticked(kept: Kept, living: Container[str]) -> Kept | None:
    """Note who of a decided cluster is not there any more; None when somebody who was to stay is not."""
    gone = tuple(member.ref for member in kept.cluster.members if member.ref not in living)
    now = msgspec.structs.replace(kept, gone=gone)
    left = [side for side in kept.decision.survivors if now.losers(side)]
    if any(kept.decision.survivors[side] in gone for side in left):
        return None
    return now if left else msgspec.structs.replace(now, state="done")


def check(connection: Connection, clusters: Clusters, cluster_id: str) -> Kept | None:
    """Read the records of a decided cluster again, and tick off who was merged; None: there is no such one.

    Nobody is decided about anew: whoever was to stay and is gone is left for the next scan.
    """
    kept = clusters.get(cluster_id)
    if kept is None:
        return None
    till = [member.id for member in kept.cluster.of_side("till")]
    crm = [member.id for member in kept.cluster.of_side("crm")]
    living: set[str] = set()
    if till:
        pages = connection.till.customers(Query(ids=tuple(till)))
        shown = [customer for page in pages for customer in page.rows]
        living |= {f"till {each.id}" for each in shown if not each.archived and not anonymised(each)}
    if crm:
        read_again(connection, crm)
        people = connection.people.get(crm)
        living |= {f"crm {i}" for i, row in people.items() if not row.deleted and not row.converted}
    now = _ticked(kept, living) or kept
    with connection.state.begin() as c:
        clusters.keep(c, [now])
    return now


# --- apply ---------------------------------------------------------------------------------------


class Work(msgspec.Struct, frozen=True):
    """One record that is to go into another one. `why` says what keeps it from happening, if anything."""

    cluster: str
    loser: Member
    survivor: Member
    why: str | None = None


class Applied(msgspec.Struct):
    """What applying came to."""

    merged: list[Work] = []
    refused: list[Work] = []
    by_hand: list[Work] = []


def work_of(kept: Kept) -> tuple[list[Work], list[Work]]:
    """Return what the CRM can merge of a decided cluster, and what people have to merge by hand.

    A till offers no merge, and a Lead cannot be merged into a Contact: it is converted.
    """
    members = {member.ref: member for member in kept.cluster.members}
    whole = [
        Work(kept.id, members[ref], members[survivor])
        for side, survivor in sorted(kept.decision.survivors.items())
        for ref in kept.losers(side)
    ]
    merges = [w for w in whole if w.loser.side == "crm" and w.loser.object == w.survivor.object]
    return merges, [work for work in whole if work not in merges]


def decided(clusters: Clusters) -> list[Kept]:
    """Return the clusters with something left to do."""
    return clusters.all(["decided", "by_hand"])


def apply(connection: Connection, clusters: Clusters) -> Applied:
    """Merge what people have decided, as far as the CRM can; list the rest. Can be run again at any moment.

    Everybody is read once more first: whoever was changed since the scan is left
    for another look, and whoever was merged meanwhile is only noted.
    """
    applied = Applied()
    todo = {kept.id: kept for kept in decided(clusters)}
    works = [work for kept in todo.values() for work in work_of(kept)[0]]
    now = _as_they_are(connection, works)
    ready: dict[tuple[str, str], list[Work]] = {}
    for work in works:
        row = now.get(work.loser.id)
        if row is not None and row.deleted and row.became == work.survivor.id:
            _note(connection, clusters, todo, [work])
            applied.merged.append(work)
        elif why := _objection(connection, work, now):
            applied.refused.append(msgspec.structs.replace(work, why=why))
        else:
            ready.setdefault((work.cluster, work.survivor.id), []).append(work)
    slots = _slots(connection)
    for wave in _waves(list(ready.values())):
        refused = {work.survivor.id: work.why for work in applied.refused}
        going = [works for works in wave if works[0].survivor.id not in refused]
        applied.refused += [
            msgspec.structs.replace(work, why=refused[work.survivor.id])
            for works in wave
            if works not in going
            for work in works
        ]
        if going:
            acks = connection.crm.merge([_merge(works, now, slots) for works in going])
            _settle(connection, clusters, todo, list(zip(going, acks, strict=True)), applied)
    with connection.state.begin() as c:
        clusters.keep(c, [_standing(kept) for kept in todo.values()])
    applied.by_hand = [work for kept in todo.values() for work in work_of(kept)[1]]
    return applied


def _standing(kept: Kept) -> Kept:
    """Say where a decided cluster stands by what is left of it."""
    merges, by_hand = work_of(kept)
    return msgspec.structs.replace(kept, state="decided" if merges else "by_hand" if by_hand else "done")


def _as_they_are(connection: Connection, works: Iterable[Work]) -> dict[str, CrmPersonRow]:
    ids = list(dict.fromkeys(i for work in works for i in (work.survivor.id, work.loser.id)))
    if not ids:
        return {}
    rows = connection.questions.people_by_id(_objects(connection), connection.objects, ids)
    return {row.id: row for row in rows}


def _objection(connection: Connection, work: Work, now: dict[str, CrmPersonRow]) -> str | None:
    for member in (work.survivor, work.loser):
        row = now.get(member.id)
        if row is None or row.deleted:
            return f"{member.object} {member.id} is not there any more; scan again"
        if _telling(crm_member(row, connection.region)) != _telling(member):
            return f"{member.object} {member.id} was changed since the scan; scan again, and decide once more"
    return None


def _telling(member: Member) -> Member:
    """Return what a decision rests on: the stamp moves by itself, and keys are ours."""
    return msgspec.structs.replace(member, changed=None, keys=(), linked=False, account=None)


def _slots(connection: Connection) -> dict[str, str]:
    """Return the fields that a merge may write: keys are refused there (fact sheet Salesforce 7.4)."""
    table = connection.maps["customer"]
    facts = connection.objects[table.object].fields
    return {
        target: slot
        for target, slot in slots_of(table.lines).items()
        if target in facts and facts[target].updateable and not (facts[target].external_id)
    }


def _waves(groups: Sequence[list[Work]]) -> Iterator[list[list[Work]]]:
    """Cut into calls: two losers a merge, a survivor once a call, since its merges build on each other."""
    begun = 0
    while rest := [group[begun : begun + LOSERS_MAX] for group in groups if group[begun:]]:
        for start in range(0, len(rest), MERGES_MAX):
            yield rest[start : start + MERGES_MAX]
        begun += LOSERS_MAX


def _merge(works: Sequence[Work], now: dict[str, CrmPersonRow], slots: dict[str, str]) -> Merge:
    survivor = works[0].survivor
    losers = [now[work.loser.id] for work in works]
    fields = merged_fields(now[survivor.id], losers, slots)
    # A later merge of the same survivor builds on what this one wrote.
    kept = {name: value for name, value in {**now[survivor.id].fields, **fields}.items() if value}
    now[survivor.id] = msgspec.structs.replace(now[survivor.id], fields=kept)
    return Merge(survivor.object, survivor.id, tuple(work.loser.id for work in works), fields)


def _settle(
    connection: Connection,
    clusters: Clusters,
    todo: dict[str, Kept],
    answers: Sequence[tuple[list[Work], Ack]],
    applied: Applied,
) -> None:
    """Note what was merged, and let our links follow at once."""
    merged = [work for works, ack in answers if not isinstance(ack, Refused) for work in works]
    for works, ack in answers:
        if isinstance(ack, Refused):
            why = f"Salesforce refuses it: {ack.message} ({ack.code})"
            applied.refused += [msgspec.structs.replace(work, why=why) for work in works]
    _note(connection, clusters, todo, merged)
    applied.merged += merged
    read_again(connection, [i for work in merged for i in (work.loser.id, work.survivor.id)])


def _note(connection: Connection, clusters: Clusters, todo: dict[str, Kept], merged: Sequence[Work]) -> None:
    for work in merged:
        kept = todo[work.cluster]
        todo[work.cluster] = msgspec.structs.replace(kept, gone=(*kept.gone, work.loser.ref))
    with connection.state.begin() as c:
        clusters.keep(c, [_standing(todo[i]) for i in dict.fromkeys(work.cluster for work in merged)])


# --- records as the scan looks at them -----------------------------------------------------------


def till_member(customer: Customer, zones: Sequence[str], region: str | None, key: str) -> Member | None:
    """Return a till's customer as the scan looks at it; None for whom the till has put away or erased."""
    if customer.archived or anonymised(customer):
        return None
    home = region_of(customer, region)
    address = customer.address
    birthday = born(customer, zones)
    return Member(
        side="till",
        object="Customer",
        id=customer.id,
        first=customer.first_name,
        last=customer.last_name,
        company=customer.company,
        emails=tuple(email.address for email in customer.emails),
        phones=_numbers((phone.number for phone in customer.phones if phone.use in _TELLING), home),
        street=address.street if address else None,
        zip=address.zip if address else None,
        city=address.city if address else None,
        country=(address.country or address.country_code) if address else None,
        born=birthday.isoformat() if birthday else None,
        changed=customer.changed_at.timestamp() if customer.changed_at else None,
        keys=(key,),
    )


def crm_member(row: CrmPersonRow, region: str | None, linked: Sequence[str] = ()) -> Member:
    """Return a person of the CRM as the scan looks at it. `linked`: keys of the till customers it has."""
    home = country_code(row.country) if row.country else None
    keys = tuple(dict.fromkeys([*([row.key] if row.key else []), *linked]))
    return Member(
        side="crm",
        object=row.object,
        id=row.id,
        first=row.first,
        last=row.last,
        company=row.company,
        emails=row.emails,
        phones=_numbers(row.phones, home or region),
        street=row.street,
        zip=row.zip,
        city=row.city,
        country=row.country,
        born=row.birth_date.isoformat() if row.birth_date else None,
        changed=row.changed_at.timestamp() if row.changed_at else None,
        keys=keys,
        linked=bool(keys),
        account=row.account,
    )


# A pager and a fax tell nobody apart: matching looks at the same three.
_TELLING = frozenset({"mobile", "home", "work"})


def _numbers(numbers: Iterable[str | None], region: str | None) -> tuple[str, ...]:
    told = (e164(number, region) or " ".join(number.split()) for number in numbers if number)
    return tuple(dict.fromkeys(told))
