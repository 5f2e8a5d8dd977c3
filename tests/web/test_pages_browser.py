"""Every page of the console is for everybody: light and dark, on a desk and in a hand."""

import pytest
from browsing import DESKTOP, PHONE, become_the_first
from job_plant import until
from web_pages import ASIDE, PAGES, address_of, known_of, title_of
from web_served import Served, violations

from tillbridge.web.table import ROUTES

# As people ask for them, and a page that is not there.
MORE = ("/c/default/customers?show=review", "/nothing-here")


def stocked(served):
    """Something of everything: refused, to be decided about, held back, proven."""
    world = served.world
    world.refuse("Account", "LastName", "Novák", "no such family")
    world.customer("Dora", "Novák", email="dora@novak.example")
    world.person("Otto", "Kramer", email="anna@prins.example")
    world.customer("Anna", "Prins", email="anna@prins.example")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("home"), before=stocked)
    try:
        until(made.world.problems, "somebody was refused")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def page(chromium, served):
    """One page for the whole walk, of whoever is signed in."""
    # Without motion: a colour that is on its way from light to dark is nobody's contrast.
    context = chromium.new_context(base_url=served.url, viewport=DESKTOP, reduced_motion="reduce")
    made = context.new_page()
    made.set_default_timeout(30_000)
    become_the_first(made, served.link)
    yield made
    context.close()


@pytest.fixture(scope="module")
def known(page):
    return known_of(lambda address: page.request.get(address).json())


@pytest.mark.parametrize("path", [*PAGES, *MORE])
def test_a_page_is_for_everybody(page, known, path):
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size(DESKTOP)
    page.goto(address_of(path, known))
    page.evaluate("localStorage.setItem('theme', 'light')")
    found = {}
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.bsTheme = theme; }", theme)
        found[theme] = violations(page)
    page.set_viewport_size(PHONE)
    found["phone"] = violations(page)
    width = page.evaluate("document.documentElement.scrollWidth")

    assert {"light": [], "dark": [], "phone": []} == found
    assert width <= PHONE["width"]
    assert [] == complaints


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_a_page(page, known, path):
    answer = page.request.get(address_of(path, known))

    assert "text/html" in answer.headers["content-type"]
    assert answer.status in {200, 404}, "only what a number names may be missing here"
    assert 200 == answer.status or "{" in path


def test_what_is_no_page_is_in_the_table():
    assert set() == ASIDE.keys() - {route.path for route in ROUTES}


def test_no_two_pages_have_one_name():
    names = [title_of(path) for path in PAGES]

    assert sorted(set(names)) == sorted(names)
