"""The API's verbs: what operators do, each one written down with who did it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import msgspec
from fastapi import Request

from tillbridge.actions import outcomes
from tillbridge.web.api.answers import answers
from tillbridge.web.api.given import (
    Choice,
    Edit,
    Fix,
    Id,
    Ignore,
    Number,
    OneOfThem,
    OneStream,
    Pressed,
    PreviewOf,
    Records,
    Retry,
    Ruling,
    Seen,
    Undo,
)
from tillbridge.web.console import Deed, actions_of, console_of, visitor_of
from tillbridge.web.errors import Unfit


class Did(msgspec.Struct, frozen=True, kw_only=True):
    """How many things were done."""

    count: int


@answers(outcomes.Sent)
def send_customers(request: Request, connection: Id, body: Records) -> outcomes.Sent:
    """Sync these customers now, changed or not; say what became of each."""
    return _send(request, connection, "customer", body)


@answers(outcomes.Sent)
def send_sales(request: Request, connection: Id, body: Records) -> outcomes.Sent:
    """Sync these sales now."""
    return _send(request, connection, "sale", body)


@answers(outcomes.Sent)
def send_products(request: Request, connection: Id, body: Records) -> outcomes.Sent:
    """Sync these products now."""
    return _send(request, connection, "product", body)


def _send(request: Request, connection: str, kind: outcomes.Kind, body: Records) -> outcomes.Sent:
    with noting(request, f"{kind}s sent", connection, ids=body.ids):
        return actions_of(request).send(connection, kind, body.ids)


@answers(outcomes.Replayed)
def preview_receipt(
    request: Request,
    connection: Id,
    sale: Id,
    body: Pressed,  # noqa: ARG001  It asks both sides, so it has to be meant.
) -> outcomes.Replayed:
    """Compare what would be sent of a receipt with what Salesforce holds; writes nothing."""
    return actions_of(request).preview_receipt(connection, sale)


@answers(outcomes.Retried)
def retry(request: Request, connection: Id, body: Retry) -> outcomes.Retried:
    """Try problems again now."""
    with noting(request, "problems retried", connection, ids=body.ids, cause=body.cause):
        return actions_of(request).retry(connection, ids=body.ids, cause=body.cause)


@answers(Did)
def ignore(request: Request, connection: Id, body: Ignore) -> Did:
    """Leave problems alone; another cause brings them back."""
    with noting(request, "problems ignored", connection, ids=body.ids) as deed:
        return Did(count=len(actions_of(request).ignore(connection, body.ids, body.note, deed.by)))


@answers(outcomes.Retried)
def edit(request: Request, connection: Id, number: Number, body: Edit) -> outcomes.Retried:
    """Set fields of one record by hand and send it again."""
    with noting(request, "problem edited", connection, id=number, fields=sorted(body.fields)) as deed:
        deed.is_private = True
        return actions_of(request).edit(connection, number, body.fields, deed.by)


@answers(outcomes.Retried)
def fix(request: Request, connection: Id, body: Fix) -> outcomes.Retried:
    """Fix a cause, now and later, and send everything behind it again."""
    act = actions_of(request)
    detail = {"cause": body.cause, "action": body.action, "field": body.field}
    with noting(request, "cause fixed", connection, **detail) as deed:
        deed.is_private = True
        match body.action:
            case "undo":
                count = act.undo_fix(connection, body.cause)
                if not count:
                    raise Unfit("Nothing has been decided about this cause: there is nothing to undo.")
                return outcomes.Retried(run=None, released=0, asked=0, accepted=0, refused=[], added=[])
            case "add_picklist_value":
                return act.add_values(connection, body.cause, body.field)
            case "replace" | "default" | "leave_out" as action:
                return act.fix(
                    connection,
                    body.cause,
                    action,
                    field=body.field,
                    values=body.values,
                    default=body.default,
                )


@answers(outcomes.Chosen)
def choose(request: Request, connection: Id, who: Id, body: OneOfThem) -> outcomes.Chosen:
    """Link a customer in review to a person of Salesforce, or create it ("new")."""
    detail = {"customer": who, "choice": body.choice, **({"other": True} if body.other else {})}
    with noting(request, "match chosen", connection, **detail) as deed:
        return actions_of(request).choose(connection, who, body.choice, deed.by, other=body.other)


@answers(outcomes.Chosen)
def choose_newcomer(request: Request, connection: Id, who: Id, body: Choice) -> outcomes.Chosen:
    """Say who somebody of Salesforce is in the till: a number, "new" or "leave"."""
    with noting(request, "newcomer chosen", connection, person=who, choice=body.choice) as deed:
        return actions_of(request).choose_newcomer(connection, who, body.choice, deed.by)


@answers(outcomes.Kept)
def keep(request: Request, connection: Id, body: Ruling) -> outcomes.Kept:
    """Say which side counts in conflicts, and carry it."""
    with noting(request, "conflicts kept", connection, ids=body.ids, winner=body.winner) as deed:
        seen = {int(number): mark for number, mark in body.seen.items()}
        came = actions_of(request).keep(connection, body.ids, body.winner, deed.by, seen)
        deed.came.update(settled=came.settled, left=sorted(came.left))
        return came


@answers(outcomes.TakenBack)
def restore(
    request: Request,
    connection: Id,
    number: Number,
    body: Pressed,  # noqa: ARG001  It writes, so it has to be meant.
) -> outcomes.TakenBack:
    """Write a value that was replaced back to both sides."""
    with noting(request, "value restored", connection, change=number):
        return actions_of(request).restore(connection, number)


@answers(outcomes.Previewed)
def preview(request: Request, connection: Id, body: PreviewOf) -> outcomes.Previewed:
    """Look at what a sync would write of customers, and keep it as a plan."""
    return actions_of(request).preview(connection, body.customers)


@answers(outcomes.Carried)
def apply(request: Request, connection: Id, number: Number, body: Seen) -> outcomes.Carried:
    """Write exactly what a previewed plan says."""
    with noting(request, "plan applied", connection, plan=number) as deed:
        return actions_of(request).apply(connection, number, body.checksum, deed.by)


@answers(outcomes.Carried)
def approve(request: Request, connection: Id, number: Number, body: Seen) -> outcomes.Carried:
    """Let a plan that was held back pass."""
    with noting(request, "plan approved", connection, plan=number) as deed:
        return actions_of(request).approve(connection, number, body.checksum, deed.by)


@answers(Did)
def drop(request: Request, connection: Id, number: Number) -> Did:
    """Forget a plan."""
    with noting(request, "plan dropped", connection, plan=number):
        return Did(count=actions_of(request).drop(connection, number))


@answers(outcomes.TakenBack)
def undo(request: Request, connection: Id, number: Number, body: Undo) -> outcomes.TakenBack:
    """Take back what a run changed in customers, or show what would be."""
    if body.dry:
        return actions_of(request).undo(connection, number, dry=True)
    with noting(request, "run undone", connection, run=number):
        return actions_of(request).undo(connection, number, dry=False)


@answers(Did)
def pause(request: Request, connection: Id, body: OneStream) -> Did:
    """Let a connection, or one of its streams, rest."""
    with noting(request, "paused", connection, stream=body.stream):
        actions_of(request).pause(connection, body.stream, body.why)
    return Did(count=1)


@answers(Did)
def resume(request: Request, connection: Id, body: OneStream) -> Did:
    """Let it go on."""
    with noting(request, "resumed", connection, stream=body.stream):
        return Did(count=int(actions_of(request).resume(connection, body.stream)))


@answers(Did)
def run_now(request: Request, connection: Id, body: OneStream) -> Did:
    """Let a stream, or all, be due at once."""
    with noting(request, "run now", connection, stream=body.stream):
        return Did(count=actions_of(request).run_now(connection, body.stream))


def noting(request: Request, what: str, connection: str, **detail: object) -> AbstractContextManager[Deed]:
    """Write down what somebody does, and whether it was done."""
    return console_of(request).noting(visitor_of(request), what, connection, **detail)
