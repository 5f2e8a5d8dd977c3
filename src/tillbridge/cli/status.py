"""`status`: where everything stands, from our own state alone; it asks no remote and spends no call.

People who wait for a decision are shown by ids; their names are in `explain`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, Ledger, held_plans, open_ledger
from tillbridge.model.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tillbridge.store.journal import Problem, RunRow
    from tillbridge.store.plans import Plan
    from tillbridge.store.state import State

# What a screen holds of a long list; the document holds all.
_SHOWN = 8
_EXAMPLES = 5

_ORDER = ("store", "employee", "product", "price", "stock", "account", "customer", "identity", "sale")
_NAMES = {
    "store": "Stores",
    "employee": "Employees",
    "product": "Products",
    "price": "Prices",
    "stock": "Stock levels",
    "account": "Accounts of contacts",
    "customer": "Customers",
    "identity": "Identities",
    "sale": "Sales",
    "line": "Sale lines",
    "payment": "Payments",
}
_STATES = ("settled", "waiting", "review", "conflict", "held", "problem", "staged", "open", "left_out")


def show_status(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Show the state of a home directory."""
    with open_ledger(desk, home) as ledger:
        report = gather(home, ledger)
        report["freshness"] = _freshness(desk, home, ledger.state)
    report |= _spending(desk, home)
    if as_json:
        desk.screen.document(report)
    else:
        _show(desk.screen.result, report, desk.clock.now())
    status: int = report["status"]
    return status


# --- gathering -----------------------------------------------------------------------------------


def gather(home: Path, ledger: Ledger) -> dict[str, Any]:
    """Put together everything that the state says."""
    from tillbridge.cli import records

    state, journal, people = ledger.state, ledger.journal, ledger.people
    plans = held_plans(ledger.plans)
    account = state.fact("till_account")
    problems = journal.open_problems(limit=max(1, journal.count_open()))
    conflicts = [_thing(account, r) for r in records.in_state(state, "conflict")]
    return {
        "home": str(home),
        "lightspeed_account": account,
        "salesforce_org": state.fact("crm_org"),
        "counts": state.count_states(),
        "causes": _causes(problems),
        "problems": [_problem(account, each) for each in problems],
        "conflicts": conflicts,
        "plans": [_plan(each) for each in plans],
        "review": {
            "customers": sorted((_review(state, each) for each in people.reviews()), key=_by_number),
            "products": [
                {"id": r.till_id, "reason": r.reason}
                for r in records.in_state(state, "review")
                if r.kind == "product"
            ],
        },
        "waiting": [
            {"for": kind, "id": till_id, "its_state": own, "sales": count}
            for kind, till_id, own, count in records.awaited(state)
        ],
        "runs": [_run(each) for each in journal.last_runs(10)],
        "streams": [
            {"stream": c.stream, "position": c.position, "moved_at": moment(c.moved_at)}
            for c in records.cursors(state)
        ],
        "salesforce_usage": _usage(state.fact("crm_usage")),
        "verified": _verified(state),
        "status": words.NEEDS_PERSON if problems or conflicts or plans else words.DONE,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "reasons": list(plan.reasons),
        "customers": len({entry.till_id or entry.crm_id for entry in plan.entries}),
        "checksum": plan.checksum,
        "since": moment(plan.made_at),
    }


def key_of(account: str | None, kind: str, till_id: str) -> str | None:
    """Return the key that a record carries in Salesforce; None where there is none of ours."""
    from tillbridge.sync.fieldmap import KEY_LETTERS, key

    letter = {"identity": "customer", "account": "customer"}.get(kind, kind)
    return key(account, letter, till_id) if account and letter in KEY_LETTERS else None


def _thing(account: str | None, record: Any) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "id": record.till_id,
        "key": key_of(account, record.kind, record.till_id),
        "object": record.object,
        "crm_id": record.crm_id,
        "reason": record.reason,
    }


def _problem(account: str | None, problem: Problem) -> dict[str, Any]:
    return {
        "record": {
            "kind": problem.kind,
            "id": problem.till_id,
            "key": key_of(account, problem.kind, problem.till_id),
            "sale": problem.sale,
        },
        "object": problem.object,
        "fields": [name for name in problem.fields.split(",") if name],
        "code": problem.code,
        "message": problem.message,
        "cause": problem.cause,
        "advice": advice(problem),
        "attempts": problem.attempts,
        "first_at": moment(problem.first_at),
        "last_at": moment(problem.last_at),
    }


def advice(problem: Problem) -> str:
    """Return what a person can do about a refusal."""
    from tillbridge.model.acks import Refused
    from tillbridge.sync.problems import advice_for

    fields = tuple(name for name in problem.fields.split(",") if name)
    return advice_for(Refused(problem.code, problem.message, fields))


def _causes(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Group problems by cause, the commonest first: fixing a cause releases all of it."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.cause, []).append(problem)
    found = [
        {
            "cause": cause,
            "count": len(group),
            "object": group[0].object,
            "fields": [name for name in group[0].fields.split(",") if name],
            "code": group[0].code,
            "message": group[0].message,
            "advice": advice(group[0]),
            "examples": [f"{p.kind} {p.till_id}" for p in group[:_EXAMPLES]],
        }
        for cause, group in groups.items()
    ]
    return sorted(found, key=lambda cause: -int(str(cause["count"])))


def _by_number(review: Mapping[str, Any]) -> tuple[int, str]:
    return len(review["id"]), review["id"]


def candidate_id(state: State, crm_id: str) -> str | None:
    """Return a candidate's id, also of somebody whom the same run was only creating."""
    if not crm_id.startswith(_FRESH):
        return crm_id
    link = state.links("customer", [crm_id.removeprefix(_FRESH)]).get(crm_id.removeprefix(_FRESH))
    return link.crm_id if link else None


_FRESH = "new:"


def _review(state: State, verdict: Any) -> dict[str, Any]:
    candidates = [candidate_id(state, each["crm_id"]) for each in verdict.detail.get("candidates", ())]
    return {
        "id": verdict.till_id,
        "rule": verdict.rule,
        "reason": verdict.detail.get("reason"),
        "candidates": [each for each in candidates if each],
        "since": moment(verdict.made_at),
    }


def _run(run: RunRow) -> dict[str, Any]:
    return {
        "id": run.id,
        "job": run.job,
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
        "outcome": run.outcome,
        "counts": json.loads(run.counts) if run.counts else {},
        "lightspeed_calls": run.till_calls,
        "salesforce_calls": run.crm_calls,
    }


def _usage(kept: Any) -> dict[str, Any] | None:
    return None if kept is None else {**kept, "seen_at": moment(kept["seen_at"])}


def moment(epoch: float | None) -> str | None:
    """Write a moment as everybody reads it."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")


# --- showing -------------------------------------------------------------------------------------


def _show(result: Console, report: Mapping[str, Any], now: datetime) -> None:
    account, org = report["lightspeed_account"], report["salesforce_org"]
    if account is None:
        result.print(f"{report['home']} has not met its two systems yet.", soft_wrap=True)
        result.print("`tillbridge doctor` checks the configuration, `tillbridge backfill` begins.")
        return
    result.print(f"Lightspeed account {account} → Salesforce org {org}   ({report['home']})", soft_wrap=True)
    result.print()
    if not report["counts"]:
        result.print("Nothing has been carried across yet: `tillbridge backfill` begins.")
    else:
        result.print(_counts(report["counts"]))
    _show_causes(result, report)
    _show_conflicts(result, report["conflicts"])
    _show_plans(result, report["plans"])
    _show_reviews(result, report["review"])
    _show_waiting(result, report["waiting"])
    _show_runs(result, report, now)
    _show_verified(result, report["verified"], now)
    _show_freshness(result, report["freshness"])
    _show_spending(result, report)


def _counts(counts: Mapping[str, Mapping[str, int]]) -> Table:
    used = [name for name in _STATES if any(by_state.get(name) for by_state in counts.values())]
    table = _table("")
    for name in used:
        table.add_column(name.replace("_", " "), justify="right")
    for kind in (*_ORDER, "line", "payment"):
        by_state = counts.get(kind)
        if by_state:
            shown = [words.number(by_state[name]) if by_state.get(name) else "" for name in used]
            table.add_row(_NAMES[kind], *shown)
    return table


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title)
    return table


def _heading(result: Console, text: str, style: str = "bold") -> None:
    result.print()
    result.print(text, style=style, soft_wrap=True)


def _show_causes(result: Console, report: Mapping[str, Any]) -> None:
    causes = report["causes"]
    if not causes:
        _heading(result, "✓ No open problems", "green")
        return
    count = words.several(len(report["problems"]), "record")
    _heading(result, f"✗ {count} refused, {words.several(len(causes), 'cause')}", "bold red")
    for cause in causes[:_SHOWN]:
        fields = f".{', '.join(cause['fields'])}" if cause["fields"] else ""
        result.print(
            f"  {words.several(cause['count'], 'record')}, {cause['object']}{fields}: "
            f"{words.plain(cause['message'])} ({cause['code']})",
            soft_wrap=True,
        )
        result.print(f"      → {cause['advice']}", style="cyan", soft_wrap=True)
        more = cause["count"] - len(cause["examples"])
        tail = f" and {words.number(more)} more" if more > 0 else ""
        result.print(f"      {', '.join(cause['examples'])}{tail}", style="dim", soft_wrap=True)
    if len(causes) > _SHOWN:
        result.print(f"  and {words.several(len(causes) - _SHOWN, 'more cause')}; --json lists all.")


def _show_conflicts(result: Console, conflicts: Sequence[Mapping[str, Any]]) -> None:
    if not conflicts:
        return
    _heading(result, f"✗ {words.several(len(conflicts), 'conflict')}", "bold red")
    for each in conflicts[:_SHOWN]:
        result.print(f"  {each['kind']} {each['id']}: {each['reason']}", soft_wrap=True)
    result.print("      → `tillbridge conflicts` shows both values", style="cyan", soft_wrap=True)
    _more(result, len(conflicts))


def _show_plans(result: Console, plans: Sequence[Mapping[str, Any]]) -> None:
    if plans:
        _heading(result, f"✗ {words.several(len(plans), 'plan')} held back for a person", "bold red")
    for each in plans:
        why = ", ".join(each["reasons"]).replace("_", " ")
        result.print(f"  plan {each['id']}: {words.several(each['customers'], 'customer')}, {why}")
        advice = f"`tillbridge plans show {each['id']}`, then `tillbridge approve {each['id']}`"
        result.print(
            f"      → {advice}, or `tillbridge plans drop {each['id']}`", style="cyan", soft_wrap=True
        )


def _show_reviews(result: Console, review: Mapping[str, Any]) -> None:
    customers, products = review["customers"], review["products"]
    if customers:
        _heading(result, f"{words.several(len(customers), 'customer')} for a person to decide")
        for each in customers[:_SHOWN]:
            candidates = words.joined(each["candidates"], 3)
            result.print(f"  customer {each['id']}: {each['reason']} [{candidates}]", soft_wrap=True)
        _more(result, len(customers), "`tillbridge explain customer ID` shows names and evidence; ")
    if products:
        _heading(result, f"{words.several(len(products), 'product')} for a person to decide")
        for each in products[:_SHOWN]:
            result.print(f"  product {each['id']}: {each['reason']}", soft_wrap=True)
        _more(result, len(products))


def _show_waiting(result: Console, waiting: Sequence[Mapping[str, Any]]) -> None:
    if not waiting:
        return
    total = sum(each["sales"] for each in waiting)
    _heading(result, f"{words.several(total, 'sale')} landed and wait for a lookup")
    groups: dict[tuple[str, str], list[int]] = {}
    for each in waiting:
        state = each["its_state"] or "not seen yet"
        groups.setdefault((each["for"], state), []).append(each["sales"])
    for (kind, state), sales in groups.items():
        result.print(
            f"  {words.several(sum(sales), 'sale')} for {words.several(len(sales), kind)} "
            f"({state.replace('_', ' ')})"
        )


def _show_runs(result: Console, report: Mapping[str, Any], now: datetime) -> None:
    if report["runs"]:
        _heading(result, "Last runs")
        table = _table("Run", "Started (UTC)", "Took", "Ended", "Lightspeed", "Salesforce", "Rows")
        for run in report["runs"][:_SHOWN]:
            table.add_row(
                f"{run['id']} {run['job']}",
                run["started_at"][:19].replace("T", " "),
                _took(run),
                run["outcome"] or "still going, or killed",
                words.several(run["lightspeed_calls"], "call"),
                words.several(run["salesforce_calls"], "call"),
                _rows_of(run),
            )
        result.print(table)
    sales = next((s for s in report["streams"] if s["stream"] == "sales"), None)
    if sales is not None:
        ago = (now - datetime.fromisoformat(sales["moved_at"])).total_seconds()
        _heading(result, f"Sales were last read {_ago(ago)} ago.", "none")
    if usage := report["salesforce_usage"]:
        share = usage["used"] / max(1, usage["allowed"])
        result.print(
            f"The org had used {words.number(usage['used'])} of {words.number(usage['allowed'])} API calls "
            f"of its day ({share:.0%}), all apps together, at {usage['seen_at'][:19].replace('T', ' ')} UTC."
        )


def _rows_of(run: Mapping[str, Any]) -> str:
    """Say what a run counted, in a few words."""
    counts: Mapping[str, int] = run["counts"]
    match run["job"]:
        case "certify" if counts:
            receipts, differences = counts.get("receipts", 0), counts.get("differences", 0)
            return f"{words.several(receipts, 'receipt')}, {words.several(differences, 'difference')}"
        case "relink" if counts:
            return words.several(sum(counts.values()), "link")
    return words.counted(counts) if run["outcome"] == "done" or counts else ""


def _took(run: Mapping[str, Any]) -> str:
    if run["ended_at"] is None:
        return ""
    seconds = datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])
    return _ago(seconds.total_seconds())


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


def _more(result: Console, count: int, hint: str = "") -> None:
    if count > _SHOWN:
        result.print(f"  and {words.number(count - _SHOWN)} more; {hint}--json lists all.", style="dim")
    elif hint:
        result.print(f"  {hint.removesuffix('; ')}.", style="dim")


# --- how old our knowledge is ----------------------------------------------------------------------

_VERIFIED = ("sale", "customer", "product", "stock")


def _verified(state: State) -> dict[str, Any]:
    """Say since when the oldest record of each kind was not read from the till, and what the feed missed."""
    from tillbridge.store.verified import Verified

    verified = Verified(state)
    ages = verified.ages(_VERIFIED)
    return {
        "oldest": {
            kind: {
                "records": age.records,
                "never": age.never,
                "oldest_at": None if age.oldest_at is None else moment(age.oldest_at),
            }
            for kind in _VERIFIED
            if (age := ages.get(kind)) is not None
        },
        "missed_by_the_feed": verified.count_missed(),
    }


def _show_verified(result: Console, verified: Mapping[str, Any], now: datetime) -> None:
    if not verified["oldest"]:
        return
    told = []
    for kind, age in verified["oldest"].items():
        if age["never"]:
            since = f"{words.number(age['never'])} never"
        else:
            since = f"{_ago((now - datetime.fromisoformat(age['oldest_at'])).total_seconds())} ago"
        told.append(f"{_NAMES[kind].lower()} {since}")
    missed = words.several(verified["missed_by_the_feed"], "change")
    result.print(
        f"Longest unverified: {', '.join(told)}. The feed has missed {missed} so far.", soft_wrap=True
    )


# --- how fresh, and what is left to spend ----------------------------------------------------------

_DAY_SECONDS = 86_400.0


def _freshness(desk: Desk, home: Path, state: State) -> list[dict[str, Any]]:
    """Say how soon what landed in the last day was across, by kind."""
    from tillbridge import config
    from tillbridge.alerts import objectives
    from tillbridge.store import freshness
    from tillbridge.sync.freshness import summary

    now = desk.clock.now().timestamp()
    landed = freshness.since(state, now - _DAY_SECONDS)
    try:
        wished = config.load(home, desk.env).freshness
    except ConfigurationInvalid:
        wished = config.Freshness()  # What stands in our books can be read all the same.
    found = []
    for objective in objectives(wished):
        told = summary(landed, objective)
        if told is not None:
            found.append(
                {
                    "kind": told.kind,
                    "count": told.count,
                    "objective_seconds": objective.seconds,
                    "objective_share": objective.share,
                    "in_time": round(told.in_time, 4),
                    "seconds": {name: round(value, 1) for name, value in told.percentiles.items()},
                    "p95_by_stage": {name: round(value, 1) for name, value in told.stages.items()},
                }
            )
    return found


def _spending(desk: Desk, home: Path) -> dict[str, Any]:
    """Say what is left of every quota, and which streams wait for calls; nothing without shared tables."""
    from tillbridge.installation import installation_of, service_settings
    from tillbridge.spending import standings
    from tillbridge.store.service import FILE_NAME, open_service, service_url

    folder, name = installation_of(home)
    secret = service_settings(folder, desk.env).database_url
    if secret is None and not (folder / FILE_NAME).exists():
        return {"budgets": [], "paused": []}
    service = open_service(service_url(folder, secret.get_secret_value() if secret else None), pooled=False)
    now = desk.clock.now().timestamp()
    try:
        left, streams = standings(service, now), service.streams(name)
    finally:
        service.close()
    return {
        "budgets": [
            {
                "quota": each.name,
                "title": each.title,
                "window": each.window,
                "ours": round(each.cap, 1),
                "spent": round(each.spent, 1),
                "left": round(each.left, 1),
            }
            for each in left
        ],
        "paused": [
            {"stream": each.name or each.kind, "resumes_at": moment(each.next_due), "why": each.why}
            for each in streams
            if each.limited(now)
        ],
    }


def _show_freshness(result: Console, found: Sequence[Mapping[str, Any]]) -> None:
    for each in found:
        seconds = each["seconds"]
        result.print(
            f"{_NAMES[each['kind']]} of the last day: {each['in_time']:.1%} of {words.number(each['count'])} "
            f"in Salesforce within {_ago(each['objective_seconds'])} (asked: {each['objective_share']:.0%}); "
            f"half within {_ago(seconds['p50'])}, 95 % within {_ago(seconds['p95'])}.",
            soft_wrap=True,
        )


def _show_spending(result: Console, report: Mapping[str, Any]) -> None:
    for each in report["budgets"]:
        if each["window"] != "bucket":
            result.print(
                f"{each['title']} of a {each['window']}: {words.number(round(each['spent']))} of our "
                f"{words.number(round(each['ours']))} spent.",
                soft_wrap=True,
            )
    for each in report["paused"]:
        resumes = each["resumes_at"][:16].replace("T", " ")
        result.print(f"{each['stream']} is paused until {resumes} UTC: {each['why']}", soft_wrap=True)
