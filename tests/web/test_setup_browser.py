"""From an empty folder to the first receipt in Salesforce, in a real browser, against both simulators."""

import pytest
from browsing import DESKTOP, PHONE, become_the_first, complaints_of
from playwright.sync_api import expect
from setup_served import EmptyServed
from setup_walk import FIRST_PAGE, heading, walk
from web_served import violations

# What can differ in the dark; axe is in the page already.
CONTRAST = """async () => (await axe.run(document, { runOnly: ["color-contrast"] }))
    .violations.flatMap(each => each.nodes.map(node => node.html))"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = EmptyServed(tmp_path_factory.mktemp("wizard"))
    yield made
    made.close()


def begin_and_drop(page, at):
    """Begin, think again, and be where one was."""
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("link", name="Drop this set-up").click()
    expect(heading(page)).to_have_text("Drop the set-up of default")
    at("drop")
    page.get_by_role("button", name="Drop this set-up").click()
    expect(page.get_by_text("That set-up is dropped, with its secrets.")).to_be_visible()
    expect(heading(page)).to_have_text(FIRST_PAGE)


def test_the_wizard_leads_from_nothing_to_the_first_receipt(chromium, served):
    # Without motion: a colour on its way from light to dark is nobody's contrast.
    context = chromium.new_context(base_url=served.url, viewport=DESKTOP, reduced_motion="reduce")
    page, found = context.new_page(), []
    complaints = complaints_of(page)
    page.set_default_timeout(15_000)

    def at(name):
        found.extend(f"{name}: {each}" for each in violations(page))
        page.emulate_media(color_scheme="dark")
        found.extend(f"{name}, dark: {each}" for each in page.evaluate(CONTRAST))
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append(f"{name}: wider than a phone")
        page.set_viewport_size(DESKTOP)

    become_the_first(page, served.link, FIRST_PAGE)
    begin_and_drop(page, at)
    walk(page, served, at)
    receipts = served.world.rows("Sales_Transaction__c")
    context.close()

    assert [] == found
    assert [] == complaints
    assert 2 == len(receipts)
    # The line of the map that was changed in the wizard is what was written by.
    assert "LINDQVIST" in {row["LastName"] for row in served.world.rows("Account").values()}
