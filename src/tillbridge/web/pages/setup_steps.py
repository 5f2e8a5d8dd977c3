"""The wizard's middle: the package, the check-up, what customers become, which stores, the forecast."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.setup import checkup, customers, forecasting, package, steps, stores
from tillbridge.setup.checks import Check
from tillbridge.setup.stores import Chosen
from tillbridge.web.console import console_of
from tillbridge.web.pages import setup
from tillbridge.web.rendering import go

# --- the package ---------------------------------------------------------------------------------


def show_package(request: Request, name: str) -> Response:
    """Show whether the package is installed, or how far that is."""
    setup.check_open(request, name, steps.PACKAGE)
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
    setup.check_open(request, name, steps.PACKAGE)
    install_it(request, name)
    return go(setup.address(name, steps.PACKAGE))


def install_it(request: Request, name: str) -> None:
    """Begin to install the package."""
    setups, actions = setup.setups_of(request), console_of(request).actions
    work = package.errand_of(setups, actions, name, setup.who(request))
    setup.begun(request, name, steps.PACKAGE, "package installed", work)


# --- the check-up --------------------------------------------------------------------------------


def show_check(request: Request, name: str) -> Response:
    """Show the checklist; looking begins by itself the first time."""
    setup.check_open(request, name, steps.CHECK)
    if (part := setup.progress(request, name, steps.CHECK)) is not None:
        return part
    at, found = checkup.found(setup.setups_of(request), name)
    return setup.step_page(
        request,
        name,
        steps.CHECK,
        "setup_check.html",
        errand=setup.errand_of(request, name, steps.CHECK),
        found=found,
        at=at,
        areas=_areas(found, name),
        bad=sum(each.level == "fail" for each in found),
        warned=sum(each.level == "warn" for each in found),
    )


def look(request: Request, name: str) -> Response:
    """Look at both sides, again if they were looked at before."""
    setup.check_open(request, name, steps.CHECK)
    look_at_both(request, name)
    return go(setup.address(name, steps.CHECK))


def look_at_both(request: Request, name: str) -> None:
    """Begin to look at both sides."""
    work = checkup.look(setup.setups_of(request), name, setup.who(request))
    setup.begun(request, name, steps.CHECK, "set-up checked", work)


def _areas(found: list[Check], name: str) -> dict[str, list[tuple[Check, str, str]]]:
    """Sort checks by area, what is wrong first; each with the step that puts it right."""
    order = {"fail": 0, "warn": 1, "ok": 2}
    areas: dict[str, list[tuple[Check, str, str]]] = {}
    for each in sorted(found, key=lambda check: order[check.level]):
        step = checkup.fix(each) if each.level == "fail" else ""
        title = steps.BY_NAME[step].title if step else ""
        areas.setdefault(each.area, []).append((each, setup.address(name, step) if step else "", title))
    return dict(sorted(areas.items()))


# --- what customers become -----------------------------------------------------------------------


def show_customers(request: Request, name: str) -> Response:
    """Show what a customer of the till may become in this org."""
    setup.check_open(request, name, steps.CUSTOMERS)
    return _customers_page(request, name)


def save_customers(
    request: Request,
    name: str,
    model: Annotated[str, Form()] = "",
    mode: Annotated[str, Form()] = "",
) -> Response:
    """Keep what customers become, and which way their values flow."""
    setup.check_open(request, name, steps.CUSTOMERS)
    try:
        customers_saved(request, name, model, mode)
    except ConfigurationInvalid as error:
        return _customers_page(request, name, 422, chosen=(model, mode), mistakes=setup.mistakes_in(error))
    return setup.finish(name, steps.CUSTOMERS)


def customers_saved(request: Request, name: str, model: str, mode: str) -> None:
    """Keep what customers become, and write down who said so. Raises ConfigurationInvalid."""
    console = console_of(request)
    with setup.noting(request, name, "customers set up", model=model[:40], mode=mode[:40]) as deed:
        customers.save(console.setups, console.fields, name, model, mode, deed.by)


def _customers_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    chosen: tuple[str, str] | None = None,
    mistakes: dict[str, str] | None = None,
) -> Response:
    setups, why = setup.setups_of(request), ""
    try:
        not_offered = customers.not_offered(setups, name)
    except SyncError as error:
        not_offered, why = {}, str(error)
    model, mode = chosen or customers.chosen(setups, name)
    if not chosen and model in not_offered and not customers.is_model_chosen(setups, name):
        model = next((each for each in customers.MODELS if each not in not_offered), model)
    return setup.step_page(
        request,
        name,
        steps.CUSTOMERS,
        "setup_customers.html",
        status,
        models=customers.MODELS,
        modes=customers.MODES,
        model=model,
        mode=mode,
        not_offered=not_offered,
        mistakes=mistakes or {},
        why=why,
    )


# --- which stores take part ----------------------------------------------------------------------


def show_stores(request: Request, name: str) -> Response:
    """Show the till's stores and registers, and which of them take part."""
    setup.check_open(request, name, steps.STORES)
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
    setup.check_open(request, name, steps.STORES)
    begins = stores.day(since) if history == "since" else None
    wished = Chosen(frozenset(store or ()), frozenset(desk or ()), begins)
    mistakes = {}
    if history == "since" and begins is None:
        mistakes["since"] = "Enter the day from which on sales take part."
    else:
        try:
            stores_saved(request, name, wished)
        except ConfigurationInvalid as error:
            mistakes = setup.mistakes_in(error)
    if mistakes:
        return _stores_page(request, name, 422, wished=wished, since=since, mistakes=mistakes)
    return setup.finish(name, steps.STORES)


def stores_saved(request: Request, name: str, wished: Chosen) -> None:
    """Keep which stores take part, and write down who said so. Raises ConfigurationInvalid."""
    setups = setup.setups_of(request)
    known = stores.directory(setups, name)
    told = {"stores": len(wished.stores), "registers": len(wished.registers), "since": wished.since}
    with setup.noting(request, name, "stores set up", **told) as deed:
        stores.save(setups, name, known, wished, deed.by)


def _stores_page(
    request: Request,
    name: str,
    status: int = 200,
    *,
    wished: Chosen | None = None,
    since: str = "",
    mistakes: dict[str, str] | None = None,
) -> Response:
    frame: dict[str, Any] = {"days": (stores.FIRST_DAY, stores.LAST_DAY), "mistakes": mistakes or {}}
    try:
        known = stores.directory(setup.setups_of(request), name)
    except SyncError as error:
        frame |= {"stores": [], "why": str(error), "since": ""}
        return setup.step_page(request, name, steps.STORES, "setup_stores.html", 503, **frame)
    on = wished or stores.chosen(setup.setups_of(request), name, known)
    shown = [
        (
            each,
            each.id in on.stores,
            [(desk, desk.id in on.registers) for desk in known.registers if desk.store_id == each.id],
        )
        for each in known.stores
    ]
    return setup.step_page(
        request,
        name,
        steps.STORES,
        "setup_stores.html",
        status,
        stores=shown,
        since=since or (on.since.isoformat() if on.since else ""),
        **frame,
    )


# --- the forecast --------------------------------------------------------------------------------


def show_forecast(request: Request, name: str) -> Response:
    """Show what running will cost, or how far the survey is."""
    setup.check_open(request, name, steps.FORECAST)
    if (part := setup.progress(request, name, steps.FORECAST)) is not None:
        return part
    return setup.step_page(
        request,
        name,
        steps.FORECAST,
        "setup_forecast.html",
        errand=setup.errand_of(request, name, steps.FORECAST),
        found=forecasting.found(setup.setups_of(request), name),
    )


def foresee(request: Request, name: str) -> Response:
    """Survey both accounts and predict."""
    setup.check_open(request, name, steps.FORECAST)
    foresee_it(request, name)
    return go(setup.address(name, steps.FORECAST))


def foresee_it(request: Request, name: str) -> None:
    """Begin to survey both accounts."""
    work = forecasting.foresee(setup.setups_of(request), name, setup.who(request))
    setup.begun(request, name, steps.FORECAST, "forecast made", work)
