"""The wizard's middle: the package, the check-up, what customers become, which stores, the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, get_args

import msgspec
from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.config import Customers
from tillbridge.engine.directory import Directory, kept_directory, read_directory
from tillbridge.engine.survey import survey
from tillbridge.model.errors import SyncError
from tillbridge.setup import outlook, package, steps
from tillbridge.setup.checks import Check, checks
from tillbridge.setup.errands import Errand
from tillbridge.sync.forecast import Forecast, Survey, forecast
from tillbridge.sync.reconcile import Mode
from tillbridge.web.console import console_of
from tillbridge.web.pages import setup
from tillbridge.web.rendering import go
from tillbridge.wiring import plan_of

# More stores and registers than any account has.
_TICKED_MAX = 5_000

# --- the package ---------------------------------------------------------------------------------


def show_package(request: Request, name: str) -> Response:
    """Show whether the package is installed, or how far that is."""
    if (closed := setup.is_closed(request, name, steps.PACKAGE)) is not None:
        return closed
    if (part := setup.progress(request, name, steps.PACKAGE)) is not None:
        return part
    found = setup.setups_of(request).found(name, steps.PACKAGE)
    return setup.step_page(
        request,
        name,
        steps.PACKAGE,
        "setup_package.html",
        errand=setup.errand_of(request, name, steps.PACKAGE),
        found=found,
        permission_set=package.PERMISSION_SET,
    )


def install(request: Request, name: str) -> Response:
    """Install the package; the page shows how far it is."""
    if (closed := setup.is_closed(request, name, steps.PACKAGE)) is not None:
        return closed
    setups, by = setup.setups_of(request), setup.who(request)
    actions = console_of(request).actions

    def work(errand: Errand) -> None:
        with actions.opened(name) as parts:
            parts.progress = errand
            status, _ = package.install(parts, errand, check_only=False)
        failures = [
            {"where": each.file, "what": each.full_name, "why": each.problem} for each in status.failures
        ]
        told = {
            "success": status.success,
            "total": status.total,
            "why": status.error_message or "",
            "failures": failures,
        }
        setups.keep(name, steps.PACKAGE, told)
        if status.success:
            setups.done(name, steps.PACKAGE, by, f"{status.total:,} components")
        else:
            setups.undone(name, steps.PACKAGE)

    setups.errand(name, steps.PACKAGE, work)
    setup.note(request, name, "package installed")
    return go(setup.address(name, steps.PACKAGE))


# --- the check-up --------------------------------------------------------------------------------

# Which step puts right what a check found, by its area and what was looked at.
_FIXES = (
    ("Lightspeed", "", steps.LIGHTSPEED),
    ("Salesforce", "login", steps.SALESFORCE),
    ("Salesforce", "org", steps.SALESFORCE),
    ("Salesforce", "permission set", steps.PACKAGE),
    ("Salesforce", "customer model", steps.CUSTOMERS),
    ("Salesforce", "first load", steps.STORES),
    ("Salesforce", "map.", steps.PACKAGE),
)


def show_check(request: Request, name: str) -> Response:
    """Show the checklist; looking begins by itself the first time."""
    if (closed := setup.is_closed(request, name, steps.CHECK)) is not None:
        return closed
    if (part := setup.progress(request, name, steps.CHECK)) is not None:
        return part
    found = setup.setups_of(request).found(name, steps.CHECK)
    shown = msgspec.convert(found["checks"], list[Check]) if found else []
    return setup.step_page(
        request,
        name,
        steps.CHECK,
        "setup_check.html",
        errand=setup.errand_of(request, name, steps.CHECK),
        found=found,
        areas=_areas(shown, name),
        bad=sum(each.level == "fail" for each in shown),
        warned=sum(each.level == "warn" for each in shown),
    )


def look(request: Request, name: str) -> Response:
    """Look at both sides, again if they were looked at before."""
    if (closed := setup.is_closed(request, name, steps.CHECK)) is not None:
        return closed
    setups, by = setup.setups_of(request), setup.who(request)

    def work(errand: Errand) -> None:
        found = list(checks(setups.home(name), clock=setups.clock, env=setups.env, progress=errand))
        told = {"at": setups.now(), "checks": [msgspec.to_builtins(each) for each in found]}
        setups.keep(name, steps.CHECK, told)
        if any(each.level == "fail" for each in found):
            setups.undone(name, steps.CHECK)
        else:
            warned = sum(each.level == "warn" for each in found)
            setups.done(name, steps.CHECK, by, f"{warned} to look at" if warned else "all is well")

    setups.errand(name, steps.CHECK, work)
    return go(setup.address(name, steps.CHECK))


def _areas(found: list[Check], name: str) -> dict[str, list[tuple[Check, str, str]]]:
    """Sort checks by area, what is wrong first; each with the step that puts it right."""
    order = {"fail": 0, "warn": 1, "ok": 2}
    areas: dict[str, list[tuple[Check, str, str]]] = {}
    for each in sorted(found, key=lambda check: order[check.level]):
        step = _fix(each) if each.level == "fail" else ""
        title = steps.BY_NAME[step].title if step else ""
        areas.setdefault(each.area, []).append((each, setup.address(name, step) if step else "", title))
    return dict(sorted(areas.items()))


def _fix(check: Check) -> str:
    for area, what, step in _FIXES:
        if check.area == area and check.what.startswith(what):
            return step
    return ""


# --- what customers become -----------------------------------------------------------------------

_MODELS = {
    "person_account": (
        "Person accounts",
        "One record for each person. The usual choice where the org has person accounts.",
    ),
    "contact": ("Contacts with an account", "A contact for each person, below an account of their own."),
    "lead": ("Leads", "A lead for each person; your people convert whom they want to keep."),
}
_MODES = {
    "two_way": ("Both ways", "A change on either side reaches the other."),
    "till_to_crm": ("From the till to Salesforce", "Nothing is ever written to the till."),
    "crm_to_till": (
        "From Salesforce to the till",
        "Nothing of a customer is written to Salesforce but who it is.",
    ),
    "fill_blanks": ("Fill blanks only", "Once linked, nothing that is filled in is overwritten."),
    "link_only": ("Link only", "Find who is who, and change nobody."),
}


def show_customers(request: Request, name: str) -> Response:
    """Show what a customer of the till may become in this org."""
    if (closed := setup.is_closed(request, name, steps.CUSTOMERS)) is not None:
        return closed
    return _customers_page(request, name)


def save_customers(
    request: Request,
    name: str,
    model: Annotated[str, Form()] = "",
    mode: Annotated[str, Form()] = "",
) -> Response:
    """Keep what customers become, and which way their values flow."""
    if (closed := setup.is_closed(request, name, steps.CUSTOMERS)) is not None:
        return closed
    setups = setup.setups_of(request)
    mistakes = {}
    if model not in _MODELS:
        mistakes["model"] = "Choose what a customer becomes."
    elif (why := _offer(request, name).get(model)) is not None:
        mistakes["model"] = why
    if mode not in get_args(Mode):
        mistakes["mode"] = "Choose which way values flow."
    if mistakes:
        return _customers_page(request, name, 422, chosen=(model, mode), mistakes=mistakes)
    before = setups.settings(name).get("customers", {})
    setups.set(name, {("customers", "model"): model, ("customers", "mode"): mode})
    if _said(before)[0] != model:
        # Another model is another table, whose lines nobody has looked at yet.
        setups.undone(name, steps.FIELDS)
        console_of(request).fields.forget(name)
    now = setups.settings(name).get("customers", {})
    told = f"{_MODELS[model][0]}, {_MODES[mode][0].lower()}"
    setups.done(name, steps.CUSTOMERS, setup.who(request), told, changed=_said(before) != _said(now))
    setup.note(request, name, "customers set up", model=model, mode=mode)
    return setup.finish(name, steps.CUSTOMERS)


def _said(written: Mapping[str, Any]) -> tuple[str, str]:
    defaults = Customers()
    return written.get("model", defaults.model), written.get("mode", defaults.mode)


def _customers_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    chosen: tuple[str, str] | None = None,
    mistakes: dict[str, str] | None = None,
) -> Response:
    written = setup.setups_of(request).settings(name).get("customers", {})
    why = ""
    try:
        not_offered = _offer(request, name)
    except SyncError as error:
        not_offered, why = {}, str(error)
    model, mode = chosen or _said(written)
    if not chosen and model in not_offered and "model" not in written:
        model = next((each for each in _MODELS if each not in not_offered), model)
    return setup.step_page(
        request,
        name,
        steps.CUSTOMERS,
        "setup_customers.html",
        status,
        models=_MODELS,
        modes=_MODES,
        model=model,
        mode=mode,
        not_offered=not_offered,
        mistakes=mistakes or {},
        why=why,
    )


def _offer(request: Request, name: str) -> dict[str, str]:
    """Return which models this org cannot have, and why, as its describe tells."""
    with setup.setups_of(request).parts(name) as parts:
        held = {each: parts.crm.describe(each) for each in ("Account", "Contact", "Lead")}
    found = {}
    account = held["Account"]
    if account is None or "IsPersonAccount" not in account.fields:
        found["person_account"] = "The org has no person accounts, or our user may not see them."
    if account is None or held["Contact"] is None or not held["Contact"].createable:
        found["contact"] = "Our user may not create contacts in this org."
    if held["Lead"] is None or not held["Lead"].createable:
        found["lead"] = "Our user may not create leads in this org."
    return found


# --- which stores take part ----------------------------------------------------------------------


def show_stores(request: Request, name: str) -> Response:
    """Show the till's stores and registers, and which of them take part."""
    if (closed := setup.is_closed(request, name, steps.STORES)) is not None:
        return closed
    return _stores_page(request, name)


def save_stores(
    request: Request,
    name: str,
    store: Annotated[list[str] | None, Form()] = None,
    desk: Annotated[list[str] | None, Form()] = None,
    history: Annotated[str, Form()] = "all",
    since: Annotated[str, Form()] = "",
) -> Response:
    """Keep which stores and registers take part, and since when."""
    if (closed := setup.is_closed(request, name, steps.STORES)) is not None:
        return closed
    directory = _directory(request, name)
    stores, registers = set(store or ()), set(desk or ())
    mistakes = {}
    if not stores:
        mistakes["store"] = "Tick at least one store."
    known = {each.id for each in directory.stores}, {each.id for each in directory.registers}
    if len(stores | registers) > _TICKED_MAX or not stores <= known[0] or not registers <= known[1]:
        mistakes["store"] = "One of these is no store or register of the account."
    beneath = {each.id for each in directory.registers if each.store_id in stores}
    if not registers & beneath and beneath and stores:
        mistakes["store"] = "Tick at least one register of the stores that take part."
    begins = _day(since) if history == "since" else None
    if history == "since" and begins is None:
        mistakes["since"] = "Enter the day from which on sales take part."
    if mistakes:
        chosen = (stores, registers, since)
        return _stores_page(request, name, 422, chosen=chosen, mistakes=mistakes)
    every_register = beneath <= registers
    before = setup.setups_of(request).settings(name).get("sales", {})
    setup.setups_of(request).set(
        name,
        {
            ("sales", "stores"): None if stores == known[0] else sorted(stores),
            ("sales", "registers"): None if every_register else sorted(registers & beneath),
            ("sales", "since"): begins,
        },
    )
    told = "all stores" if stores == known[0] else f"{len(stores)} of {len(known[0])} stores"
    told += "" if every_register else f", {len(registers & beneath)} of {len(beneath)} registers"
    told += f", since {begins}" if begins else ""
    changed = setup.setups_of(request).settings(name).get("sales", {}) != before
    setup.setups_of(request).done(name, steps.STORES, setup.who(request), told, changed=changed)
    setup.note(request, name, "stores set up", stores=sorted(stores), since=begins)
    return setup.finish(name, steps.STORES)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _directory(request: Request, name: str) -> Directory:
    with setup.setups_of(request).parts(name) as parts:
        kept = kept_directory(parts.people)
        if kept is not None and kept.is_fresh(parts.clock):
            return kept
        return read_directory(parts.till, parts.state, parts.people, parts.clock)


def _stores_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    chosen: tuple[set[str], set[str], str] | None = None,
    mistakes: dict[str, str] | None = None,
) -> Response:
    written = setup.setups_of(request).settings(name).get("sales", {})
    try:
        directory = _directory(request, name)
    except SyncError as error:
        return setup.step_page(
            request, name, steps.STORES, "setup_stores.html", 503, stores=[], why=str(error), since=""
        )
    on_stores = {str(each) for each in written.get("stores", ())} or {each.id for each in directory.stores}
    on_registers = {str(each) for each in written.get("registers", ())} or {
        each.id for each in directory.registers
    }
    since = str(written.get("since", ""))
    if chosen is not None:
        on_stores, on_registers, since = chosen
    stores = [
        (
            each,
            each.id in on_stores,
            [
                (register, register.id in on_registers)
                for register in directory.registers
                if register.store_id == each.id
            ],
        )
        for each in directory.stores
    ]
    return setup.step_page(
        request,
        name,
        steps.STORES,
        "setup_stores.html",
        status,
        stores=stores,
        since=since,
        mistakes=mistakes or {},
    )


# --- the forecast --------------------------------------------------------------------------------


def show_forecast(request: Request, name: str) -> Response:
    """Show what running will cost, or how far the survey is."""
    if (closed := setup.is_closed(request, name, steps.FORECAST)) is not None:
        return closed
    if (part := setup.progress(request, name, steps.FORECAST)) is not None:
        return part
    return setup.step_page(
        request,
        name,
        steps.FORECAST,
        "setup_forecast.html",
        errand=setup.errand_of(request, name, steps.FORECAST),
        found=setup.setups_of(request).found(name, steps.FORECAST),
    )


def foresee(request: Request, name: str) -> Response:
    """Survey both accounts and predict."""
    if (closed := setup.is_closed(request, name, steps.FORECAST)) is not None:
        return closed
    setups, by = setup.setups_of(request), setup.who(request)

    def work(errand: Errand) -> None:
        with setups.parts(name, errand) as parts:
            plan, hours = plan_of(parts.config), parts.config.schedule.opening_hours
            seen = survey(parts.settings, parts.till, parts.crm, parts.clock, errand, hours)
        found = forecast(seen, plan)
        setups.keep(name, steps.FORECAST, _shown(found, seen, list(outlook.seen(seen, plan))))
        setups.done(name, steps.FORECAST, by, f"first load about {outlook.hours_told(found.load.hours)}")

    setups.errand(name, steps.FORECAST, work)
    return go(setup.address(name, steps.FORECAST))


def _shown(found: Forecast, looked: Survey, seen: list[str]) -> dict[str, Any]:
    return {
        "counts": {"customers": looked.customers, "products": looked.products, "sales": looked.sales},
        "seen": seen,
        "lanes": [
            {"lane": lane, "till": round(till), "crm": round(crm)}
            for lane, (till, crm) in found.by_lane().items()
        ],
        "till": round(found.till),
        "crm": round(found.crm),
        "load": outlook.hours_told(found.load.hours),
        "storage": outlook.megabytes_told(found.megabytes_first),
        "a_year": outlook.megabytes_told(found.megabytes_a_year),
        "limits": [
            {"text": outlook.limit_told(limit), "bad": limit.in_days is not None and limit.in_days <= 0}
            for limit in found.limits
        ],
    }
