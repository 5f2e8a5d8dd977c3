"""Who is probably there twice: beside one person, and as the list of work that `dedupe` has found.

What is shown beside a person comes from the indexes of both sides, so it costs no
call and is as new as they are. Lightspeed merges in its own pages only, and
Salesforce by its own merge: so every line says what a person does, and where.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from tillbridge.alerts import INSTANCE
from tillbridge.engine.dedupe import work_of
from tillbridge.model.names import like_company, like_name
from tillbridge.store.dedupe import Clusters
from tillbridge.sync.decisions import ClusterState, Kept, why
from tillbridge.sync.dedupe import Member
from tillbridge.sync.match import Person, candidate_of, match_keys
from tillbridge.views.books import Memory
from tillbridge.views.customers import SideOf, crm_side, till_side
from tillbridge.views.figures import PAGE, Slice

Side = Literal["till", "crm"]

# An e-mail or a phone that more than so many share is a shop's own, and tells nothing of anybody.
_SHARERS_MAX = 25


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """Another record that may be the same person, and what somebody has to do about it."""

    system: Side
    side: SideOf
    link: str
    shares: list[str]
    linked_to: str | None
    todo: str


class MemberLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a cluster."""

    ref: str
    system: Side
    side: SideOf
    link: str
    proposal: str
    decision: str | None
    why: str
    gone: bool


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a person does in one system, and whether it shows there already."""

    system: Side
    loser: str
    survivor: str
    link: str
    survivor_link: str
    todo: str


class ClusterLine(msgspec.Struct, frozen=True, kw_only=True):
    """Records that are probably one person."""

    id: str
    state: ClusterState
    tier: str
    doubts: list[str]
    survivors: dict[str, str]
    members: list[MemberLine]
    tasks: list[Task]


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """A page of clusters, those with work first."""

    rows: list[ClusterLine]
    counts: dict[str, int]
    slice: Slice


def till_link(auth_url: str, till_id: str) -> str:
    """Return where a customer is opened in Lightspeed's own pages."""
    return f"{auth_url.rstrip('/')}/?name=customer.views.customer&form_name=view&id={till_id}"


def crm_link(books: Memory, crm_id: str) -> str:
    """Return where a record is opened in Salesforce; nothing before the first login."""
    place = (books.state.fact(INSTANCE) or "").rstrip("/")
    return f"{place}/{crm_id}" if place else ""


# --- beside one person ---------------------------------------------------------------------------


def twins(books: Memory, records: Collection[str], crm_id: str | None) -> list[Twin]:
    """Return whoever shares an e-mail, a phone or an address with somebody and has a like name."""
    own: list[Person] = list(books.arrivals.people(records).values())
    row = books.people.get([crm_id]).get(crm_id) if crm_id else None
    own += [candidate_of(row, None)] if row is not None else []
    keys = {k for person in own for k in match_keys(person)}
    if not keys:
        return []
    others = [p for p in books.arrivals.holders(keys) if p.id not in records]
    people = [p for p in books.people.find({"": keys})[""] if p.id != crm_id and not p.converted]
    if len(others) > _SHARERS_MAX or len(people) > _SHARERS_MAX:
        return []
    links = books.state.links("customer", [p.id for p in others])
    linked = books.state.linked_to([p.id for p in people])
    found = []
    for person in others:
        if shares := _shares(own, person):
            link = links.get(person.id)
            found.append(
                Twin(
                    system="till",
                    side=till_side(person.id, person),
                    link=till_link(books.config.lightspeed.auth_url, person.id),
                    shares=shares,
                    linked_to=link.crm_id if link else None,
                    todo=_todo_till(records, person.id),
                )
            )
    for each in people:
        candidate = candidate_of(each, None)
        if shares := _shares(own, candidate):
            found.append(
                Twin(
                    system="crm",
                    side=crm_side(each.id, each),
                    link=crm_link(books, each.id),
                    shares=shares,
                    linked_to=next(iter(linked.get(each.id, [])), None),
                    todo=_todo_crm(crm_id, each.object),
                )
            )
    return found


def _shares(own: Collection[Person], other: Person) -> list[str]:
    """Name what somebody shares with one of these; nothing where the names are of two people."""
    found: list[str] = []
    for person in own:
        alike = like_name((person.first, person.last), (other.first, other.last)).degree == "like"
        if not alike and not like_company(person.company, other.company):
            continue
        if {e.lower() for e in person.emails} & {e.lower() for e in other.emails}:
            found.append("the e-mail")
        if set(person.phones) & set(other.phones):
            found.append("the phone")
        if person.street and person.zip and (person.street, person.zip) == (other.street, other.zip):
            found.append("the address")
    return list(dict.fromkeys(found))


def _todo_till(records: Collection[str], other: str) -> str:
    if not records:
        return f"In Lightspeed: customer {other} may be this person. Send it to Salesforce to be linked."
    keep = min(records, key=lambda i: (len(i), i))
    return (
        f"In Lightspeed: open customer {keep}, choose Merge, add customer {other}, and keep {keep} as the "
        "primary. Receipts and the link follow with the next check."
    )


def _todo_crm(crm_id: str | None, name: str) -> str:
    if crm_id is None:
        return f"In Salesforce: this {name} may be the same person; decide under Reviews."
    return (
        f"In Salesforce: merge this {name} into {crm_id}, which stays. Receipts and history move with the "
        "merge, and the link follows by itself."
    )


# --- the list of work ----------------------------------------------------------------------------

_ORDER: dict[ClusterState, int] = {"by_hand": 0, "decided": 1, "open": 2, "apart": 3, "done": 4}


def duplicates(books: Memory, *, offset: int = 0, limit: int = PAGE) -> Duplicates:
    """Return what `dedupe` has found and nobody has finished, what is to be done by hand first."""
    clusters = Clusters(books.state, books.vault)
    counts = clusters.count()
    kept = clusters.all(("by_hand", "decided", "open"))
    kept.sort(key=lambda each: (_ORDER[each.state], each.id))
    shown = kept[offset : offset + limit]
    return Duplicates(
        rows=[_line(books, each) for each in shown],
        counts=counts,
        slice=Slice(offset=offset, limit=limit, total=len(kept), more=offset + limit < len(kept)),
    )


def _line(books: Memory, kept: Kept) -> ClusterLine:
    cluster = kept.cluster
    merges, by_hand = work_of(kept)
    members = {member.ref: member for member in cluster.members}
    return ClusterLine(
        id=cluster.id,
        state=kept.state,
        tier=cluster.tier,
        doubts=list(cluster.doubts),
        survivors={str(k): ref for k, ref in (kept.decision.survivors or cluster.survivors).items()},
        members=[
            MemberLine(
                ref=member.ref,
                system=member.side,
                side=_side(member),
                link=_link(books, member),
                proposal=cluster.proposal(member.ref),
                decision=kept.decision.words.get(member.ref),
                why=why(kept, member.ref),
                gone=member.ref in kept.gone,
            )
            for member in members.values()
        ],
        tasks=[
            Task(
                system=work.loser.side,
                loser=work.loser.id,
                survivor=work.survivor.id,
                link=_link(books, work.loser),
                survivor_link=_link(books, work.survivor),
                todo=_todo(work.loser, work.survivor),
            )
            for work in (*merges, *by_hand)
        ],
    )


def _todo(loser: Member, survivor: Member) -> str:
    if loser.side == "till":
        return (
            f"In Lightspeed: merge customer {loser.id} into {survivor.id}; {survivor.id} is the primary and "
            "stays."
        )
    return (
        f"In Salesforce: merge {loser.object} {loser.id} into {survivor.object} {survivor.id}, which stays."
    )


def _side(member: Member) -> SideOf:
    return SideOf(
        id=member.id,
        name=" ".join(filter(None, (member.first, member.last))) or member.company,
        company=member.company,
        email=next(iter(member.emails), None),
        phone=next(iter(member.phones), None),
        object=member.object,
    )


def _link(books: Memory, member: Member) -> str:
    if member.side == "crm":
        return crm_link(books, member.id)
    return till_link(books.config.lightspeed.auth_url, member.id)
