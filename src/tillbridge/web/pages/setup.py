"""The set-up wizard's frame: which set-ups there are, and the steps of one with how each stands."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Form, Request
from starlette.responses import Response

from tillbridge import installation
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.setup import steps
from tillbridge.setup.errands import Errand, Work
from tillbridge.setup.setups import Setups, Standing
from tillbridge.setup.steps import STEPS, State
from tillbridge.web.console import Console, Deed, console_of, visitor_of
from tillbridge.web.errors import Answered, NotHere
from tillbridge.web.rendering import done, go, is_part, page

ICONS = {
    steps.LIGHTSPEED: "receipt",
    steps.SALESFORCE: "cloud-upload",
    steps.PACKAGE: "packages",
    steps.CHECK: "circle-check",
    steps.CUSTOMERS: "users",
    steps.STORES: "building-store",
    steps.FIELDS: "adjustments",
    steps.FORECAST: "gauge",
    steps.LOAD: "history",
    steps.LIVE: "player-play",
}

# Of a name that will not do, the audit log keeps so much.
_NAME_SHOWN = 60

_SAYS = {"done": "done", "next": "next", "open": "to do", "closed": "later"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One step in the list beside every page of the wizard."""

    number: int
    title: str
    address: str
    state: State
    says: str
    is_here: bool
    note: str


class Mistakes(dict[str, str]):
    """What is wrong by field; nothing is wrong with one that is not named."""

    def __missing__(self, field: str) -> str:
        """Say that nothing is wrong."""
        return ""


# --- which there are -----------------------------------------------------------------------------


def show(request: Request) -> Response:
    """Show all set-ups; where there is none, begin the first."""
    setups = setups_of(request)
    if not setups.all():
        return page(request, "setup_welcome.html", name=installation.DEFAULT, steps=STEPS, icons=ICONS)
    return _start(request)


def waits(console: Console) -> bool:
    """Say whether there is nothing to look at yet but a set-up: none is live, or none was begun."""
    return not any(each.is_live for each in console.setups.all())


def begin(request: Request, name: Annotated[str, Form()] = "") -> Response:
    """Begin to set up another connection."""
    setups, name = setups_of(request), name.strip()
    try:
        with noting(request, name[:_NAME_SHOWN], "set-up begun"):
            setups.begin(name)
    except ConfigurationInvalid as error:
        return _start(request, 422, name=name, mistakes=mistakes_in(error))
    return go(address(name))


def ask_to_drop(request: Request, name: str) -> Response:
    """Ask whether a set-up is really to be forgotten."""
    return _drop_page(request, name)


def drop(request: Request, name: str) -> Response:
    """Forget a set-up that never went live."""
    standing_of(request, name)
    try:
        dropped(request, name)
    except SyncError as error:
        return _drop_page(request, name, 409, why=str(error))
    return done("/set-up", "set-up-dropped")


def dropped(request: Request, name: str) -> None:
    """Forget a set-up, and whatever is held open of it. Raises Halted, Busy."""
    console = console_of(request)
    with noting(request, name, "set-up dropped"):
        console.setups.drop(name)
    console.library.forget(name)
    console.fields.forget(name)


def _drop_page(request: Request, name: str, status: int = 200, *, why: str = "") -> Response:
    standing = standing_of(request, name)
    known = setups_of(request).kept(name)
    installed = bool((known.found.get(steps.PACKAGE) or {}).get("success"))
    return page(request, "setup_drop.html", status, standing=standing, installed=installed, why=why)


def _start(
    request: Request, status: int = 200, *, name: str = "", mistakes: dict[str, str] | None = None
) -> Response:
    setups = setups_of(request)
    found = setups.all()
    return page(
        request,
        "setup_start.html",
        status,
        setups=[(each, sum(state == "done" for state in each.states.values())) for each in found],
        total=len(STEPS),
        name=name,
        mistakes=Mistakes(mistakes or {}),
    )


def go_on(request: Request, name: str) -> Response:
    """Lead to the step that is next."""
    standing = standing_of(request, name)
    return go(address(name, standing.next))


# --- the frame of a step -------------------------------------------------------------------------


def setups_of(request: Request) -> Setups:
    """Return the installation's set-ups."""
    return console_of(request).setups


def standing_of(request: Request, name: str) -> Standing:
    """Return how a set-up stands. Raises NotHere."""
    setups = setups_of(request)
    if not setups.is_known(name):
        raise NotHere
    return setups.standing(name)


def address(name: str, step: str = "") -> str:
    """Return where a set-up, or one of its steps, is shown."""
    return f"/set-up/{name}/{step}" if step else f"/set-up/{name}"


def step_page(
    request: Request, name: str, step: str, template: str, status: int = 200, **values: Any
) -> Response:
    """Render a step within the list of all."""
    standing = standing_of(request, name)
    return page(
        request,
        template,
        status,
        standing=standing,
        step=steps.BY_NAME[step],
        step_done=standing.done.get(step),
        missing=[(each.title, address(name, each.name)) for each in standing.missing(step)],
        steps=_shown(standing, step),
        number=[each.name for each in STEPS].index(step) + 1,
        here=address(name, step),
        onward=address(name, steps.following(step)),
        **{"why": "", "errand": None, **values, "mistakes": Mistakes(values.get("mistakes", {}))},
    )


def check_open(request: Request, name: str, step: str) -> None:
    """Raise Answered, with the page that says what has to be done before this step."""
    if standing_of(request, name).missing(step):
        raise Answered(step_page(request, name, step, "setup_closed.html"))


def _shown(standing: Standing, here: str) -> list[Shown]:
    return [
        Shown(
            number=number,
            title=each.title,
            address=address(standing.name, each.name),
            state=standing.states[each.name],
            says=_SAYS[standing.states[each.name]],
            is_here=each.name == here,
            note=standing.done[each.name].note if each.name in standing.done else "",
        )
        for number, each in enumerate(STEPS, 1)
    ]


def errand_of(request: Request, name: str, step: str) -> Errand | None:
    """Return what is under way in a step, or how it ended."""
    return setups_of(request).errands.of(name, step)


def progress(request: Request, name: str, step: str) -> Response | None:
    """Answer a page that asks how far an errand is; None when a person asks for the page."""
    if not is_part(request):
        return None
    errand = errand_of(request, name, step)
    if errand is None or not errand.runs:
        return Response(status_code=200, headers={"hx-refresh": "true"})
    return page(request, "setup_errand.html", errand=errand, here=address(name, step))


def finish(name: str, step: str) -> Response:
    """Go on to the next step."""
    return done(address(name, steps.following(step)), "step-done")


def mistakes_in(error: ConfigurationInvalid) -> dict[str, str]:
    """Return the first mistake of each field, as a sentence."""
    found: dict[str, str] = {}
    for path, text in error.mistakes:
        ended = text if text.endswith((".", "!", "?")) else f"{text}."
        found.setdefault(path, f"{ended[:1].upper()}{ended[1:]}")
    return found


def who(request: Request) -> str:
    """Return who asks, for what is remembered of a step."""
    return visitor_of(request).audit_name


def noting(request: Request, name: str, what: str, **detail: object) -> AbstractContextManager[Deed]:
    """Write down what somebody does in a set-up, and whether it was done."""
    return console_of(request).noting(visitor_of(request), what, name, **detail)


def begun(request: Request, name: str, step: str, what: str, work: Work) -> Errand:
    """Begin what takes a while, and write down how it has ended once it has."""
    console, visitor = console_of(request), visitor_of(request)

    def noted(errand: Errand) -> None:
        with console.noting(visitor, what, name) as deed:
            work(errand)
            deed.came.update(errand.came)

    return console.setups.errand(name, step, noted)
