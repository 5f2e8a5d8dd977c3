"""A real browser for the tests: how it is started, who signs in, and what it complains of."""

from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright
from web_served import CHROMIUM

PASSWORD = "quiet lamp over rivers"
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@contextmanager
def a_browser():
    """Start Debian's Chromium."""
    # Never skipped: without a browser nobody knows whether the console works.
    assert CHROMIUM.exists(), "chromium is missing. On Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, as in a container; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def become_the_first(page, link, leads_to="Overview"):
    """Make the first administrator by the one-time link; it leads to the page of that heading."""
    page.goto(link)
    page.get_by_label("Your name").fill("Ana Admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button", name="Keep it and sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(leads_to)


def complaints_of(page):
    """Return the list to which the browser adds each error that it meets in a page."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    return complaints
