"""The org's own people and misfortunes, on demand: edits, merges, limits, locks, and what came of it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce import oauth, people
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User
from tillbridge.simulators.salesforce.table import Row
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Reply, parse_json

_SALE = "Sales_Transaction__c"
_SUMS = ("Total__c", "Net_Sales__c", "Tax__c", "Discount__c", "Paid__c")


def handle(org: Org, request: Request) -> Response:
    """Answer one control request; a mistake of the caller is a 400 with its reason."""
    answered = oauth.control(org, request)
    if answered is not None:
        return answered
    try:
        wish = parse_json(request.body)
        return Reply(200, _route(org, request, wish)).response()
    except Refused as refused:
        return Reply(400, {"error": refused.error.code, "message": refused.error.message}).response()
    except (KeyError, TypeError, ValueError) as wrong:
        return Reply(400, {"error": "BAD_CONTROL", "message": f"{type(wrong).__name__}: {wrong}"}).response()


def _route(org: Org, request: Request, wish: Any) -> Any:
    match request.method, request.path.removeprefix("/control/"):
        case "POST", "load":
            return org.load(wish)
        case "GET", "refs":
            return org.refs
        case "GET", "dump":
            return _dump(org, request.param("type"), deleted=request.param("deleted") in {"1", "true"})
        case "GET", "totals":
            return totals(org)
        case "GET", "usage":
            return org.usage.report()
        case "GET", "automation":
            return org.automation
        case "GET", "rows":
            return {name: len(table.rows) for name, table in org.tables.items() if table.rows}
        case "GET", "switches":
            return org.switches
        case "POST", "revoke-sessions":
            return {"ended": oauth.revoke_sessions(org)}
        case "POST", "switches":
            return _switch(org, wish)
        case "POST", name if name in _ACTIONS:
            return _ACTIONS[name](org, wish)
    raise Refused("NO_SUCH_CONTROL", f"{request.method} {request.path}")


def _dump(org: Org, name: str, *, deleted: bool) -> list[Row]:
    sobject = org.find(name)
    if sobject is None:
        raise Refused("INVALID_TYPE", f"no object {name}")
    table = org.tables[sobject.name]
    return [*table.rows.values(), *(table.bin.values() if deleted else ())]


def totals(org: Org) -> dict[str, dict[str, dict[str, float]]]:
    """Return store code -> business day -> count and sums of the transactions in the org."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in org.rows(_SALE).values() if _SALE in org.tables else ():
        day = found.setdefault(row.get("Store_Code__c") or "", {}).setdefault(
            row.get("Business_Date__c") or "", {"count": 0}
        )
        day["count"] += 1
        for name in _SUMS:
            day[name] = round(day.get(name, 0.0) + row.get(name, 0.0), 2)
    return found


def _switch(org: Org, wish: dict[str, Any]) -> dict[str, Any]:
    org.switches.update(wish)
    if wish.get("person_accounts"):
        org.enable_person_accounts()
    if wish.get("state_country_picklists"):
        org.enable_state_picklists()
    if wish.get("multi_currency"):
        org.enable_currencies()
    org.touch()
    return org.switches


def _actor(org: Org, wish: dict[str, Any]) -> User:
    """Return who does it: the org's staff, unless the wish names a user."""
    if "as" not in wish:
        return org.staff
    return _user(org, wish["as"])


def _user(org: Org, name: str) -> User:
    found = org.users.get(name) or org.user_named(name)
    if found is None:
        raise Refused("NO_SUCH_USER", name)
    return found


def _write(org: Org, user: User, kind: str, op: str, fields: Row) -> dict[str, Any]:
    result = org.write(user, kind, op, fields, auto_assign=False, allow_duplicates=True)
    if not result.success:
        raise Refused(result.errors[0].code, result.errors[0].message)
    return {"id": result.id}


def _create(org: Org, wish: dict[str, Any]) -> Any:
    made = _write(org, _actor(org, wish), wish["type"], "insert", wish["fields"])
    if "ref" in wish:
        org.refs[wish["ref"]] = made["id"]
    return made


def _edit(org: Org, wish: dict[str, Any]) -> Any:
    """Change a row now, or stamp it now and let it be seen later: a long transaction (fact sheet §5.4)."""
    row_id = org.refs.get(wish["id"], wish["id"])
    found = org.row(row_id)
    if found is None:
        raise Refused("NOT_FOUND", row_id)
    table, row = found
    user, fields = _actor(org, wish), {**wish["fields"], "Id": row["Id"]}
    delay = float(wish.get("commit_after", org.switches["late_commit_seconds"]))
    if not delay:
        return _write(org, user, table.sobject.name, "update", fields)
    stamped = org.now_text()

    def commit() -> None:
        _write(org, user, table.sobject.name, "update", fields)
        table.change(row, {"SystemModstamp": stamped, "LastModifiedDate": stamped})

    org.late.append((org.clock.now() + delay, commit))
    return {"id": row["Id"], "visible_after": delay}


def _delete(org: Org, wish: dict[str, Any]) -> Any:
    row_id = org.refs.get(wish["id"], wish["id"])
    found = org.row(row_id)
    if found is None:
        raise Refused("NOT_FOUND", row_id)
    op = "hardDelete" if wish.get("hard") else "delete"
    return _write(org, _actor(org, wish), found[0].sobject.name, op, {"Id": found[1]["Id"]})


def _empty_bin(org: Org, _wish: dict[str, Any]) -> Any:
    """Empty the Recycle Bin early, as an administrator may (fact sheet §5.4)."""
    emptied = sum(len(table.bin) for table in org.tables.values())
    for table in org.tables.values():
        table.bin.clear()
    return {"rows": emptied}


def _merge(org: Org, wish: dict[str, Any]) -> Any:
    org.merge(org.refs.get(wish["winner"], wish["winner"]), org.refs.get(wish["loser"], wish["loser"]))
    return {}


def _convert(org: Org, wish: dict[str, Any]) -> Any:
    lead = org.refs.get(wish["id"], wish["id"])
    return people.convert_lead(
        org, lead, account_id=wish.get("account_id"), opportunity=bool(wish.get("opportunity"))
    )


def _limit(org: Org, wish: dict[str, Any]) -> Any:
    org.usage.daily_max = int(wish.get("daily", org.usage.daily_max))
    org.usage.used_by_others = int(wish.get("used_by_others", org.usage.used_by_others))
    return org.usage.report()


def _lock(org: Org, wish: dict[str, Any]) -> Any:
    if "ids" in wish:
        org.locked = {org.refs.get(row_id, row_id) for row_id in wish["ids"]}
    org.lock_percent = float(wish.get("percent", org.lock_percent))
    return {"locked": sorted(org.locked), "percent": org.lock_percent}


def _validation(org: Org, wish: dict[str, Any]) -> Any:
    if wish.get("clear"):
        org.validations.clear()
        return {"rules": 0}
    rule = {
        "type": wish["type"],
        "field": wish["field"],
        "bad": wish["bad value"] if "bad value" in wish else wish["bad"],
    }
    # Another code than a rule's own stands for whatever refuses single rows; `times` makes it pass.
    rule |= {name: wish[name] for name in ("code", "times") if name in wish}
    org.validations.append({**rule, "message": wish["message"], "on_field": wish.get("on_field", True)})
    return {"rules": len(org.validations)}


def _fls(org: Org, wish: dict[str, Any]) -> Any:
    user = _user(org, wish["user"])
    org.field_overrides[user.id, wish["field"]] = bool(wish["readable"]), bool(wish["editable"])
    org.touch()
    return {}


def _add_user(org: Org, wish: dict[str, Any]) -> Any:
    known = org.user_named(wish["username"])
    user = known or org.add_user(wish["username"], wish.get("name", "Another User"))
    for name in ("active", "all_standard", "sees_everything", "profile", "email"):
        if name in wish:
            setattr(user, name, wish[name])
    table = org.tables["User"]
    table.change(table.rows[user.id], {"IsActive": user.active})
    user.permission_sets |= set(wish.get("permission_sets", ()))
    user.permission_sets -= set(wish.get("without_permission_sets", ()))
    org.touch()
    return {"id": user.id, "permission_sets": sorted(user.permission_sets)}


_ACTIONS: dict[str, Callable[[Org, dict[str, Any]], Any]] = {
    "create": _create,
    "edit": _edit,
    "delete": _delete,
    "empty-bin": _empty_bin,
    "merge": _merge,
    "convert-lead": _convert,
    "limit": _limit,
    "lock": _lock,
    "validation": _validation,
    "fls": _fls,
    "user": _add_user,
}
