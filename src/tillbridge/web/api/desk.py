"""The API's verbs about single people and problems: to be sent, taken apart, erased, merged, seen to."""

from __future__ import annotations

import msgspec
from fastapi import Request

from tillbridge.actions import outcomes
from tillbridge.model.errors import Halted
from tillbridge.setup.errands import Errand, Stage
from tillbridge.sync.decisions import ClusterState
from tillbridge.views import duplicates as twice
from tillbridge.views import person as persons
from tillbridge.web.api.answers import answers
from tillbridge.web.api.doing import Did, noting
from tillbridge.web.api.given import (
    Assign,
    Confirm,
    CustomersGiven,
    Id,
    Limit,
    Offset,
    OnePair,
    Persons,
    Pressed,
    Remark,
    Said,
)
from tillbridge.web.api.reading import opened
from tillbridge.web.console import actions_of, console_of
from tillbridge.web.errors import NotHere, Unfit
from tillbridge.web.searching import search, search_of


@answers(outcomes.Sent)
def send_people(request: Request, connection: Id, body: Persons) -> outcomes.Sent:
    """Send people whom only Salesforce knows to the till now, as if they were marked there."""
    with noting(request, "people sent to the till", connection, ids=body.ids):
        return actions_of(request).send(connection, "person", body.ids)


@answers(outcomes.TakenApart)
def part(request: Request, connection: Id, who: Id, body: Pressed) -> outcomes.TakenApart:  # noqa: ARG001  It has to be meant.
    """Take a customer and a person of Salesforce apart who were linked by mistake; they wait in review."""
    with noting(request, "customer unlinked", connection, customer=who) as deed:
        return actions_of(request).part(connection, who, deed.by)


@answers(outcomes.Erased)
def erase(request: Request, connection: Id, who: Id, body: Confirm) -> outcomes.Erased:
    """Erase a person on both sides and here, for good. The name has to be given as it stands here."""
    books, stores = opened(request, connection)
    found = persons.person(books, who, stores=stores)
    if found is None:
        raise NotHere
    if " ".join(body.name.split()) != " ".join(found.name.split()):
        raise Unfit("That is not the person's name as it stands here. Nothing was erased.")
    with noting(request, "person erased", connection, customers=[each.side.id for each in found.records]):
        return actions_of(request).erase(connection, found.id)


@answers(outcomes.ChosenNew)
def choose_new(request: Request, connection: Id, body: CustomersGiven) -> outcomes.ChosenNew:
    """Say of customers in review that nobody in Salesforce is them: they are created there."""
    with noting(request, "matches chosen", connection, customers=body.ids, choice="new") as deed:
        came = actions_of(request).choose_new(connection, body.ids, deed.by)
        deed.came["left"] = sorted(came.left)
        return came


@answers(Did)
def assign(request: Request, connection: Id, body: Assign) -> Did:
    """Let a user see to problems; without a name, nobody in particular."""
    name = None
    if body.user is not None:
        known = console_of(request).access.named(body.user)
        if known is None or not known[0].active:
            raise Unfit(f"There is no user called {body.user}.")
        name = known[0].name
    with noting(request, "problems assigned", connection, ids=body.ids, to=name) as deed:
        return Did(count=len(actions_of(request).assign(connection, body.ids, name, deed.by)))


@answers(Did)
def remark(request: Request, connection: Id, body: Remark) -> Did:
    """Write a note on problems."""
    with noting(request, "problems noted", connection, ids=body.ids) as deed:
        return Did(count=len(actions_of(request).remark(connection, body.ids, body.text, deed.by)))


@answers(twice.Duplicates)
def duplicates(request: Request, connection: Id, offset: Offset = 0, limit: Limit = 50) -> twice.Duplicates:
    """List who is probably there twice, with what a person does about it in which system."""
    books, _ = opened(request, connection)
    return twice.duplicates(books, offset=offset, limit=limit)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search for duplicates is. `found`: what it came to, once it is `done`."""

    done: bool
    stage: str
    count: int
    total: int | None
    found: outcomes.Found | None


@answers(Looked)
def look_for_duplicates(request: Request, connection: Id, body: Pressed) -> Looked:  # noqa: ARG001  It has to be meant.
    """Begin to compare everybody whom both sides have shown, unless that is under way already.

    Of many people that takes a while: until it is done, get this address to see how far it is.
    """
    opened(request, connection)
    return _looked(search(request, connection))


@answers(Looked)
def show_the_look(request: Request, connection: Id) -> Looked:
    """Say how far the search for duplicates is, or what the last one came to since the start."""
    opened(request, connection)
    errand = search_of(request, connection)
    if errand is None:
        raise NotHere("Nobody has looked for duplicates since the console was started.")
    return _looked(errand)


def _looked(errand: Errand) -> Looked:
    stage = errand.stages[-1] if errand.stages else Stage("Beginning", None)
    match errand.state:
        case "failed":
            raise Halted(errand.why)
        case "done":
            found = msgspec.convert(errand.came, outcomes.Found)
            return Looked(done=True, stage="Done", count=found.till + found.crm, total=None, found=found)
        case _:
            return Looked(done=False, stage=stage.title, count=stage.count, total=stage.total, found=None)


@answers(ClusterState)
def decide_duplicates(request: Request, connection: Id, body: OnePair) -> ClusterState:
    """Say that the records of a cluster are one person, or several."""
    with noting(request, "duplicates decided", connection, cluster=body.cluster, word=body.word) as deed:
        return actions_of(request).decide_duplicates(connection, body.cluster, body.word, deed.by)


@answers(bool)
def check_duplicates(request: Request, connection: Id, body: Said) -> bool:
    """Look whether somebody has merged the records of a cluster meanwhile; answers whether all is done."""
    with noting(request, "duplicates checked", connection, cluster=body.cluster):
        return actions_of(request).check_duplicates(connection, body.cluster)


@answers(outcomes.Merged)
def merge_duplicates(request: Request, connection: Id, body: Pressed) -> outcomes.Merged:  # noqa: ARG001  It has to be meant.
    """Merge in Salesforce what was decided; this cannot be taken back."""
    with noting(request, "duplicates merged", connection):
        return actions_of(request).merge_duplicates(connection)
