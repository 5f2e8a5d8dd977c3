"""Commands of the problems desk, of people to be decided, and of messages.

Each imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from tillbridge.cli.root import HomeOption, JsonOption, YesOption, alerts, at_home, matches, problems

ProblemIds = Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers of problems.")]
LaterOption = Annotated[bool, typer.Option("--later", help="Leave the sending to the next run.")]
PROBLEM_STATES = ("retrying", "gave_up", "ignored", "resolved")


@problems.callback()
def problems_list(
    context: typer.Context,
    home: HomeOption = None,
    cause: Annotated[str | None, typer.Option(metavar="CAUSE", help="Only this cause.")] = None,
    state: Annotated[
        str | None, typer.Option(help=f"Only one state: {', '.join(PROBLEM_STATES)}. Default: what is open.")
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="What receipts wait for instead: it fills in by itself.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what Salesforce refuses, by cause: how many, what it said, what to change, when it is tried next.

    Fixing a cause once releases everything behind it: see `problems fix`.
    """
    from tillbridge.cli.problems import show_problems, show_waiting

    if context.invoked_subcommand is not None:
        return
    if state not in {None, *PROBLEM_STATES}:
        raise typer.BadParameter(f"--state is one of {', '.join(PROBLEM_STATES)}, not {state}.")
    desk, found = at_home(context, home, as_json=as_json)
    if waiting:
        raise typer.Exit(show_waiting(desk, found, as_json=as_json))
    raise typer.Exit(show_problems(desk, found, cause=cause, state=state, as_json=as_json))


@problems.command("show", short_help="Tell everything about one problem.")
def problems_show(
    context: typer.Context,
    problem: Annotated[int, typer.Argument(metavar="ID", help="The problem's number.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything about one problem: whose it is, what was sent and answered, when it is tried again."""
    from tillbridge.cli.problems import show_problem

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_problem(desk, found, problem, as_json=as_json))


@problems.command("retry", short_help="Try problems again now.")
def problems_retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="Numbers of problems.")] = None,
    home: HomeOption = None,
    cause: Annotated[str | None, typer.Option(metavar="CAUSE", help="All of this cause.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the records from the till again and send them now; those given up on too."""
    from tillbridge.cli.problems import run_retry

    if [bool(ids), cause is not None, everything].count(True) != 1:
        raise typer.BadParameter("Say which: numbers of problems, --cause CAUSE, or --all.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_retry(desk, found, ids or [], cause=cause, everything=everything, as_json=as_json))


@problems.command("ignore", short_help="Leave problems alone from now on.")
def problems_ignore(
    context: typer.Context,
    ids: ProblemIds,
    home: HomeOption = None,
    note: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Leave problems alone. A later success resolves them; another cause brings them back."""
    from tillbridge.cli.problems import run_ignore

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_ignore(desk, found, ids, note=note, as_json=as_json))


@problems.command("note", short_help="Write a note on problems.")
def problems_note(
    context: typer.Context,
    ids: ProblemIds,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What is to be said.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note on problems, with who wrote it and when; the console shows it too."""
    from tillbridge.cli.problems import run_note

    if not text.strip():
        raise typer.BadParameter("--text takes a few words.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_note(desk, found, ids, text=text.strip(), as_json=as_json))


@problems.command("assign", short_help="Let somebody see to problems.")
def problems_assign(
    context: typer.Context,
    ids: ProblemIds,
    user: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="A user of the console; default: nobody.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a user of the console see to problems, or nobody in particular."""
    from tillbridge.cli.problems import run_assign

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_assign(desk, found, ids, user=user, as_json=as_json))


@problems.command("edit", short_help="Set fields of one record by hand, and send it.")
def problems_edit(
    context: typer.Context,
    problem: Annotated[int, typer.Argument(metavar="ID", help="The problem's number.")],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE...", help="Salesforce's fields; no value empties one."),
    ] = None,
    home: HomeOption = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take back all that was set; the till's values are sent.")
    ] = False,
    later: LaterOption = False,
    as_json: JsonOption = False,
) -> None:
    """Set fields of one record by hand, until the till shows other values; the rest is read from the till."""
    from tillbridge.cli.problems import run_edit

    if remove == bool(fields):
        raise typer.BadParameter("Give FIELD=VALUE, or --remove: one of both.")
    if wrong := [pair for pair in fields or () if not pair.partition("=")[1]]:
        raise typer.BadParameter(f"FIELD=VALUE is expected, not {wrong[0]}.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(
        run_edit(desk, found, problem, fields or [], remove=remove, later=later, as_json=as_json)
    )


@problems.command("fix", short_help="Decide about a cause once, for every record of it.")
def problems_fix(
    context: typer.Context,
    cause: Annotated[
        str, typer.Argument(metavar="CAUSE", help="As `problems` shows it; its last part will do.")
    ],
    home: HomeOption = None,
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE=OTHER", help="Send OTHER wherever VALUE would be sent. Can be repeated."),
    ] = None,
    default: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Send VALUE where the till has none.")
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Send what is refused for this cause without the field.")
    ] = False,
    add_value: Annotated[
        bool,
        typer.Option("--add-picklist-value", help="Add the refused value to Salesforce's picklist."),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Forget what was decided about this cause.")] = False,
    field: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Which field; default: the one that Salesforce named.")
    ] = None,
    later: LaterOption = False,
    as_json: JsonOption = False,
) -> None:
    """Decide about a cause once: every record of it is sent again, and later ones go the same way."""
    from tillbridge.cli.problems import Wish, run_fix

    wish = Wish(tuple(replace or ()), default, leave_out, undo, field, add_value)
    if mistake := wish.check():
        raise typer.BadParameter(mistake)
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_fix(desk, found, cause, wish, later=later, as_json=as_json))


@matches.command("review", short_help="List whom a person has to decide.")
def matches_review(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List whom a person has to decide, side by side with whom they may be on the other side.

    Both ways: customers of the till, and people of Salesforce on their way into Lightspeed.
    """
    from tillbridge.cli.matches import show_reviews

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(show_reviews(desk, found, as_json=as_json))


@matches.command("choose", short_help="Say who a customer is.")
def matches_choose(
    context: typer.Context,
    who: Annotated[
        str,
        typer.Argument(
            metavar="CUSTOMER|ID", help="The till's number of a customer, or a Salesforce id on its way in."
        ),
    ],
    choice: Annotated[
        str,
        typer.Argument(
            metavar="ID|CUSTOMER|new|leave",
            help="Whom of the other side it is; new: nobody; leave: a Salesforce id stays out of the till.",
        ),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who somebody is on the other side, or that nobody there is; receipts follow by themselves.

    A customer of the till is linked to the person chosen, or created in Salesforce. Somebody of Salesforce
    is linked to the customer chosen, created in Lightspeed, or left out.
    """
    from tillbridge.cli.matches import choose_match, choose_newcomer

    if who.isdecimal():
        desk, found = at_home(context, home, as_json=as_json)
        raise typer.Exit(choose_match(desk, found, who, choice, as_json=as_json))
    if len(who) != _CRM_ID_LETTERS or not who.isalnum():
        raise typer.BadParameter(
            f"CUSTOMER is Lightspeed's own number, or ID one of Salesforce with {_CRM_ID_LETTERS} letters, "
            f"not {who}."
        )
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(choose_newcomer(desk, found, who, choice, as_json=as_json))


_CRM_ID_LETTERS = 18


@matches.command("unlink", short_help="Take a customer and a person apart who were linked by mistake.")
def matches_unlink(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The till's number of a customer.")],
    home: HomeOption = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a customer of the till and a person of Salesforce apart who were linked by mistake.

    Our key leaves the person, the customer's receipts are sent again with nobody on them, and the customer
    stands in review: no rule decides about them, until `matches choose` says who they are.
    """
    from tillbridge.cli.matches import unlink

    if not customer.isdecimal():
        raise typer.BadParameter(f"CUSTOMER is Lightspeed's own number, not {customer}.")
    if as_json and not is_sure:
        raise typer.BadParameter("--json cannot ask back: add --yes.")
    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(unlink(desk, found, customer, is_sure=is_sure, as_json=as_json))


@matches.command("what-if", short_help="Try other match rules; change nothing.")
def matches_what_if(
    context: typer.Context,
    rules: Annotated[
        str | None,
        typer.Argument(
            metavar="[RULES]", help="As in customers.match: email,phone. external_id stays as it is."
        ),
    ] = None,
    match: Annotated[str | None, typer.Option(metavar="RULES", help="The same, as an option.")] = None,
    review: Annotated[
        str | None,
        typer.Option(metavar="RULES", help='Rules that only suggest, as in customers.review; "" for none.'),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every difference.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which pairs other match rules would gain and lose, before tillbridge.toml is changed.

    Tried on the people whom both sides have shown so far: no call is spent, and nothing is written.
    """
    from tillbridge.cli.whatif import show_what_if

    if rules is not None and match is not None:
        raise typer.BadParameter("Name the rules once: as RULES or with --match.")
    if rules is None and match is None and review is None:
        raise typer.BadParameter("Name the rules to try: as RULES, with --review, or both.")
    desk, found = at_home(context, home, as_json=as_json)
    named = rules if rules is not None else match
    raise typer.Exit(show_what_if(desk, found, named, review, everything=everything, as_json=as_json))


@alerts.command("test")
def alerts_test(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Send one test message over every configured channel, and say which did not take it."""
    from tillbridge.cli.alerts import run_test

    desk, found = at_home(context, home, as_json=as_json)
    raise typer.Exit(run_test(desk, found, as_json=as_json))
