"""From an empty folder to the first receipt in Salesforce, in a real browser, against both simulators."""

import pytest
from playwright.sync_api import sync_playwright
from setup_served import EmptyServed
from setup_walk import sign_in, walk
from web_served import CHROMIUM, violations

# What can differ in the dark; axe is in the page already.
CONTRAST = """async () => (await axe.run(document, { runOnly: ["color-contrast"] }))
    .violations.flatMap(each => each.nodes.map(node => node.html))"""
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium():
    # Never skipped: without a browser nobody knows whether the console works.
    assert CHROMIUM.exists(), "chromium is missing. On Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, as in a container; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = EmptyServed(tmp_path_factory.mktemp("wizard"))
    yield made
    made.close()


def test_the_wizard_leads_from_nothing_to_the_first_receipt(chromium, served):
    context = chromium.new_context(base_url=served.url, viewport=DESKTOP)
    page, complaints, found = context.new_page(), [], []
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)

    def at(name):
        found.extend(f"{name}: {each}" for each in violations(page))
        page.emulate_media(color_scheme="dark")
        found.extend(f"{name}, dark: {each}" for each in page.evaluate(CONTRAST))
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            found.append(f"{name}: wider than a phone")
        page.set_viewport_size(DESKTOP)

    sign_in(page, served)
    walk(page, served, at)
    receipts = served.world.rows("Sales_Transaction__c")
    context.close()

    assert [] == found
    assert [] == complaints
    assert 2 == len(receipts)
    # The line of the map that was changed in the wizard is what was written by.
    assert "LINDQVIST" in {row["LastName"] for row in served.world.rows("Account").values()}
