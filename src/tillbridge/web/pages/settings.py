"""What a connection's settings pages share: how a form is read, saved, and shown again with its mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from tillbridge import settings
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.rewriting import ChangedMeanwhile
from tillbridge.views.books import Books
from tillbridge.web.console import books_of, console_of, visitor_of
from tillbridge.web.rendering import done, go, page

Form = Mapping[str, Sequence[str]]


async def _form(request: Request) -> dict[str, list[str]]:
    given = await request.form()
    return {name: [each for each in given.getlist(name) if isinstance(each, str)] for name in given}


Given = Annotated[Form, Depends(_form)]


def begin(request: Request) -> Response:
    """Lead to the first page of the settings: of a connection, or of an installation that has none yet."""
    console = console_of(request)
    first = next(iter(console.visible(visitor_of(request))), None)
    return go("/settings/people" if first is None else f"/c/{first}/settings")


def begin_connection(request: Request) -> Response:
    """Lead to the first page of a connection's settings."""
    return go(f"/c/{request.path_params['connection']}/settings/connection")


def show(request: Request, name: str, template: str, status: int = 200, **values: Any) -> Response:
    """Show a section with its settings as they are."""
    books = values.pop("books", None) or books_of(request)
    section = settings.section(books.home, console_of(request).env, name)
    frame = {"mistakes": {}, "why": "", "typed": {}, **values}
    return page(
        request,
        template,
        status,
        section=section,
        shown=section.by_path(),
        groups=settings.SECTIONS[name],
        part=name,
        books=books,
        **frame,
    )


def change(
    request: Request, books: Books, name: str, wished: Mapping[str, Any], seen: str
) -> settings.Changed:
    """Change settings and write down who did, with what was there before."""
    console = console_of(request)
    done_ = settings.change(
        books.home,
        console.env,
        name,
        wished,
        seen=seen,
        refusal=console.refusal(),
    )
    console.note(visitor_of(request), "settings changed", books.name, section=name, changed=done_.changed)
    return done_


class Trouble(Exception):
    """Settings that will not do: by path, and in one sentence."""

    def __init__(self, mistakes: Mapping[str, str], why: str, status: int) -> None:
        super().__init__(why)
        self.mistakes, self.why, self.status = mistakes, why, status


def tried(request: Request, name: str, wished: Mapping[str, Any], form: Form) -> None:
    """Change settings as a form wishes. Raises Trouble with what its page is to say."""
    books = books_of(request)
    try:
        change(request, books, name, wished, next(iter(form.get("seen", ())), ""))
    except ConfigurationInvalid as error:
        raise Trouble(*_told(name, error), 422) from error
    except ChangedMeanwhile as error:
        raise Trouble({}, str(error), 409) from error
    except SyncError as error:
        raise Trouble({}, str(error), 409) from error


def _told(name: str, error: ConfigurationInvalid) -> tuple[dict[str, str], str]:
    """Sort mistakes: those of a setting that is shown stand beside it, the others on top."""
    known = settings.settings_of(name)
    beside: dict[str, str] = {}
    on_top: list[str] = []
    for path, text in error.mistakes:
        # A list's mistakes have a number behind the path: schedule.opening_hours.0
        mine = next((each for each in known if path == each or path.startswith(f"{each}.")), None)
        if mine is None:
            on_top.append(f"{path}: {text}")
        else:
            beside[mine] = text
    if beside:
        on_top.append("Nothing is saved yet: see below.")
    return beside, " ".join(on_top)


def save(request: Request, name: str, form: Form, template: str, **values: Any) -> Response:
    """Save a section's form, or show it again with what is wrong and what was typed."""
    try:
        tried(request, name, settings.from_form(name, form), form)
    except Trouble as trouble:
        return show(
            request,
            name,
            template,
            trouble.status,
            mistakes=trouble.mistakes,
            why=trouble.why,
            typed=_typed(name, form),
            **values,
        )
    return done(f"/c/{request.path_params['connection']}/settings/{name}", "settings")


def _typed(name: str, form: Form) -> dict[str, str]:
    """Return what somebody typed, but for secrets: those are typed again."""
    known = settings.settings_of(name)
    return {
        path: values[0]
        for path, values in form.items()
        if path in known and not known[path].is_secret and values
    }
