"""A person's way through the set-up wizard, from the one-time link to the first receipt, in a browser."""

from playwright.sync_api import expect
from setup_served import APP, APP_SECRET, TILL

FIRST_PAGE = "Join your till and Salesforce"
# What takes a while is waited for so long; a shared machine is slow at times.
PATIENCE = 60_000


def heading(page):
    return page.get_by_role("heading", level=1)


def walk(page, served, at=lambda name: None):
    """Go through all steps; `at` is told each page that is reached. Ends on the first receipt's page."""
    at("welcome")
    page.get_by_role("button", name="Begin").click()
    connect(page, served, at)
    press(page, "Install", "Go on", at, "package")
    page.get_by_role("link", name="Go on").click()
    press(page, "Look at both sides", "Look again", at, "check")
    page.get_by_role("link", name="Go on").click()
    expect(heading(page)).to_have_text("Customers")
    at("customers")
    page.get_by_role("button", name="Save and go on").click()
    expect(heading(page)).to_have_text("Stores and registers")
    at("stores")
    page.get_by_role("button", name="Save and go on").click()
    fields(page, at)
    press(page, "Forecast", "Forecast again", at, "forecast")
    page.get_by_role("link", name="Go on").click()
    press(page, "Show me", "Approve the first load", at, "load")
    page.get_by_role("button", name="Approve the first load").click()
    expect(heading(page)).to_have_text("Go live")
    at("live")
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_text("Receipts are in Salesforce")).to_be_visible(timeout=PATIENCE)
    at("arrived")
    page.locator("#arrived").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2200000000")


def connect(page, served, at):
    """Allow both sides in the browser."""
    till, crm = served.world.till_server.url, served.world.crm_server.url
    expect(heading(page)).to_have_text("Connect Lightspeed")
    at("lightspeed")
    page.get_by_label("Client id").fill(TILL["client_id"])
    page.get_by_label("Client secret").fill(TILL["client_secret"])
    page.get_by_text("A simulator instead of Lightspeed").click()
    page.get_by_label("Address of its API").fill(till)
    page.get_by_label("Address of its sign-in").fill(till)
    page.get_by_role("button", name="Connect").click()
    consent = page.get_by_role("link", name="Continue to Lightspeed")
    expect(consent).to_be_visible()
    at("consent")
    consent.click()
    expect(heading(page)).to_have_text("Connect Salesforce")
    at("salesforce")
    page.get_by_role("radio", name="My Domain").check()
    page.get_by_role("textbox", name="My Domain").fill(crm)
    page.get_by_label("Consumer key").fill(APP)
    page.get_by_label("Consumer secret").fill(APP_SECRET)
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("link", name="Continue to Salesforce").click()
    expect(heading(page)).to_have_text("Install the package")


def press(page, button, then, at, name):
    """Press what takes a while, and wait for what comes of it."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_text(then, exact=True).first).to_be_visible(timeout=PATIENCE)
    at(name)


def fields(page, at):
    """Try a wrong line, a right one, and keep it."""
    expect(heading(page)).to_have_text("Fields")
    line = page.locator("#line-LastName")
    line.fill("lats_name")
    line.press("Tab")
    expect(page.locator("#said-LastName")).to_contain_text("did you mean")
    at("fields")
    line.fill("last_name | upper")
    line.press("Tab")
    expect(page.get_by_text("LINDQVIST").first).to_be_visible()
    page.get_by_role("button", name="Save this table").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="The map is right").click()
    expect(heading(page)).to_have_text("Forecast")
