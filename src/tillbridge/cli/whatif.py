"""`matches what-if`: what other match rules would change, tried on the people whom both sides have shown.

It asks no remote and writes nothing, so it may run beside everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, open_ledger
from tillbridge.model.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.connection import Settings
    from tillbridge.engine.whatif import Pair, WhatIf
    from tillbridge.sync.match import MatchRules
    from tillbridge.sync.whatif import Fate, Tally

# What a list shows of each kind of difference on a screen, and in a document unless --all.
SHOWN = 10
LISTED = 1_000

_FRESH = "new:"
_TITLES = {
    "gained": "Pairs gained",
    "lost": "Pairs lost",
    "to_review": "Into review",
    "from_review": "Out of review",
}
_OUTCOMES = {
    "review": "goes into review",
    "created": "is created apart",
    "nobody": "stays out of Salesforce",
}
_ROWS = (
    ("external_id", "linked by external id"),
    ("email", "linked by e-mail"),
    ("phone", "linked by phone"),
    ("address", "linked by address"),
    ("review", "in review"),
    ("created", "created"),
    ("nobody", "not created"),
)


def show_what_if(
    desk: Desk, home: Path, match: str | None, review: str | None, *, everything: bool, as_json: bool
) -> int:
    """Compare the match rules in force with others."""
    from tillbridge import config as configuration
    from tillbridge.engine.whatif import Books, what_if
    from tillbridge.wiring import settings_of

    settings = settings_of(configuration.load(home, desk.env))
    rules = rules_from(settings, match, review)
    with desk.screen.progress() as progress, open_ledger(desk, home) as ledger:
        books = Books(ledger.state, ledger.people, ledger.arrivals, settings)
        bar = progress.bar("Customers tried", ledger.arrivals.count_people())
        limit = None if everything else LISTED if as_json else SHOWN
        found = what_if(books, rules, limit=limit, tell=bar.advance)
        bar.close()
    report = _document(settings, rules, found)
    if as_json:
        desk.screen.document(report)
    elif not found.customers:
        desk.screen.result.print("No customer has been seen yet: `tillbridge backfill` reads them.")
    else:
        _show(desk.screen.result, report)
    return words.DONE


def rules_from(settings: Settings, match: str | None, review: str | None) -> MatchRules:
    """Read rules as a person writes them: "email,phone". What is not named stays as it is."""
    from tillbridge.sync.match import RULES, MatchRules

    order = _read("RULES", match, settings.match)
    if match is not None and "external_id" in settings.match and "external_id" not in order:
        order = ["external_id", *order]
    suggest = _read("--review", review, settings.review)
    if "external_id" in suggest:
        raise ConfigurationInvalid(
            [("--review", "an external id is no mere suggestion: name email, phone or address")]
        )
    known = {rule: rule for rule in RULES}
    return MatchRules(
        order=[known[name] for name in order], review=frozenset(known[name] for name in suggest)
    )


def _read(where: str, text: str | None, otherwise: tuple[str, ...]) -> list[Any]:
    from tillbridge.sync.match import RULES

    if text is None:
        return list(otherwise)
    named = [part.strip().lower().replace("-", "_") for part in text.split(",") if part.strip()]
    if strange := [name for name in named if name not in RULES]:
        raise ConfigurationInvalid([(where, f"{strange[0]} is no rule; there are {', '.join(RULES)}")])
    return list(dict.fromkeys(named))


# --- as a document -------------------------------------------------------------------------------


def _document(settings: Settings, rules: MatchRules, found: WhatIf) -> dict[str, Any]:
    return {
        "now": {"rules": _listed(settings.match, settings.review), **_tally(found.now)},
        "then": {"rules": _listed(rules.order, rules.review), **_tally(found.then)},
        "customers": found.customers,
        "decided_by_people": found.decided,
        "differences": {
            kind: {
                "total": found.counts[kind],
                "pairs": [_pair(each) for each in found.pairs if each.kind == kind],
            }
            for kind in _TITLES
        },
        "written": False,
    }


def _listed(match: Iterable[str], review: Iterable[str]) -> dict[str, list[str]]:
    return {"match": list(match), "review": sorted(review)}


def _tally(tally: Tally) -> dict[str, Any]:
    outcomes = {name: tally.outcomes[name] for name in ("linked", "review", "created", "nobody")}
    return {"links_by_rule": dict(tally.links), "second_records": tally.second, **outcomes}


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.till_id,
        "name": pair.name,
        "with": [_target(to, pair) for to in _of(pair).to],
        "rule": _of(pair).rule,
        "evidence": _of(pair).why,
        "before": _outcome(pair.before),
        "after": _outcome(pair.after),
        "state": pair.stands,
        "crm_id": pair.crm_id,
        "stands": _stands(pair),
    }


def _of(pair: Pair) -> Fate:
    return pair.before if pair.kind in {"lost", "from_review"} else pair.after


def _target(to: str, pair: Pair) -> dict[str, str | None]:
    key = "customer" if to.startswith(_FRESH) else "crm_id"
    return {key: to.removeprefix(_FRESH), "name": pair.others.get(to) or None}


def _outcome(fate: Fate) -> str:
    return f"linked by {fate.rule}" if fate.outcome == "linked" else fate.outcome


def _stands(pair: Pair) -> str:
    """Say what of it is so already, and what no rule changes any more."""
    if pair.crm_id is None:
        if pair.stands == "review":
            return "is in review now" if pair.after.outcome == "review" else "is in review now: decided anew"
        return f"is {pair.stands.replace('_', ' ')} now"
    if pair.kind == "gained" and pair.after.linked_to == pair.crm_id:
        return "is linked so already"
    if pair.kind == "lost" and pair.before.linked_to == pair.crm_id:
        return "the link stays"
    return f"is linked to {pair.crm_id}, and stays so"


# --- on a screen ---------------------------------------------------------------------------------


def _show(result: Console, report: dict[str, Any]) -> None:
    from rich.table import Table

    now, then = report["now"], report["then"]
    table = Table(box=None, padding=(0, 3, 0, 2))
    table.add_column(f"of {words.several(report['customers'], 'customer')}")
    table.add_column(_rules(now), justify="right", overflow="fold")
    table.add_column(_rules(then), justify="right", overflow="fold")
    for name, title in _ROWS:
        counts = [side["links_by_rule"].get(name, side.get(name, 0)) for side in (now, then)]
        if any(counts):
            table.add_row(title, *(words.number(count) for count in counts))
    result.print(table)
    for kind, title in _TITLES.items():
        _show_pairs(result, title, report["differences"][kind], kind)
    result.print()
    result.print(
        "Nothing was written. Links that exist stay, whatever the rules: they decide about whoever comes, "
        "and about whoever is in review.",
        soft_wrap=True,
    )
    if report["decided_by_people"]:
        told = words.several(report["decided_by_people"], "customer")
        result.print(f"{told} were decided by people, or created in Lightspeed by us: no rule touches them.")


def _rules(side: dict[str, Any]) -> str:
    rules = side["rules"]
    marked = (f"{rule}?" if rule in rules["review"] else rule for rule in rules["match"])
    return ", ".join(marked) or "no rule"


def _show_pairs(result: Console, title: str, listed: dict[str, Any], kind: str) -> None:
    result.print()
    result.print(f"{title}: {words.number(listed['total'])}", style="bold")
    for each in listed["pairs"]:
        result.print(words.plain(f"  {_line(each, kind)}"), soft_wrap=True)
    if listed["total"] > len(listed["pairs"]):
        left = words.number(listed["total"] - len(listed["pairs"]))
        result.print(f"  and {left} more; --all lists them.", style="dim")


def _line(each: dict[str, Any], kind: str) -> str:
    others = ", ".join(
        " ".join(filter(None, (to.get("crm_id") or f"customer {to['customer']}", to["name"])))
        for to in each["with"]
    )
    what = f"{each['rule']}: {each['evidence']}" if each["rule"] else ""
    then = ""
    if kind == "lost":
        then = f"; now {_OUTCOMES.get(each['after'], each['after'])}"
    return f"customer {each['id']} {each['name']} - {others} ({what}){then}; {each['stands']}"
