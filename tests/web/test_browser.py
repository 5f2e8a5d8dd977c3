"""The console in a real browser, over a real service and two simulators: what people see and press."""

import re

import pytest
from browsing import DESKTOP, PASSWORD, PHONE, complaints_of
from job_plant import until
from playwright.sync_api import expect
from web_served import HOSTILE, Served, violations


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture
def page(chromium, served, state):
    """A page of whoever is signed in; whatever the browser complains of fails the test."""
    context = chromium.new_context(base_url=served.url, storage_state=state, viewport=DESKTOP)
    made = context.new_page()
    complaints = complaints_of(made)
    made.set_default_timeout(15_000)
    yield made
    context.close()
    # A page that is meant to be missing is answered with 404, which a browser complains of.
    assert [] == [each for each in complaints if "404" not in each]


def test_the_first_link_leads_in_and_is_used_up(page, served):
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("table", name="Today's takings per store")).to_contain_text("Harbour")

    page.goto(served.link)

    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")


def test_the_sign_in_is_for_everybody(chromium, served):
    context = chromium.new_context(base_url=served.url)
    page = context.new_page()
    page.goto("/login")
    found = violations(page)
    context.close()

    assert [] == found


def open_customers(page, served):
    """Open the list once the console has read everybody: it looks each second."""

    def all_are_shown():
        page.goto("/c/default/customers")
        return page.locator("input[data-tick]").count() >= len(served.people)

    until(all_are_shown, "everybody is on the list")


def test_three_customers_are_ticked_and_sent_and_each_says_what_became_of_it(page, served):
    open_customers(page, served)
    button = page.get_by_role("button", name="Sync to Salesforce")
    expect(button).to_be_disabled()

    for person in served.people[:3]:
        page.locator(f'input[data-tick][value="{person}"]').check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    button.click()

    expect(page.locator("#sent")).to_contain_text("3 done", timeout=20_000)
    for person in served.people[:3]:
        expect(page.locator(f"#fate-{person}")).to_have_text(re.compile("In Salesforce|Nothing new"))
    assert {f"190001-C{person}" for person in served.people[:3]} <= set(served.world.rows("Account"))


def test_a_double_click_sends_once(page, served):
    open_customers(page, served)
    page.locator(f'input[data-tick][value="{served.people[0]}"]').check()
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    button = page.get_by_role("button", name="Sync to Salesforce")
    button.dblclick()

    expect(page.locator("#sent")).to_contain_text("1 done", timeout=20_000)
    assert [f"{served.url}/c/default/customers/sync"] == sent
    # Once it has been answered, the next one is meant.
    button.click()
    expect(page.locator("#sent")).to_contain_text("On the way")
    assert 2 == len(sent)


def test_a_table_beside_a_chart_is_folded_until_somebody_opens_it(page):
    page.goto("/c/default")
    table = page.get_by_role("table", name="API calls by hour")
    expect(page.locator("canvas[data-chart=calls]")).to_be_visible()
    expect(table).to_be_hidden()
    page.locator("details:has(#calls) summary").click()
    expect(table).to_be_visible()


def test_a_customer_is_found_as_somebody_types(page, served):
    open_customers(page, served)
    page.get_by_label("Search name, e-mail, phone or id").press_sequentially("lindq")

    rows = page.get_by_role("table", name="Customers").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Bo Lindqvist")
    expect(page).to_have_url(re.compile(r"q=lindq"))


def test_a_hostile_name_is_shown_and_not_run(page, served):
    for path in ("/c/default/customers", "/c/default/sales", f"/c/default/customers/{served.people[0]}"):
        page.goto(path)
        expect(page.get_by_text(HOSTILE[0][0]).first).to_be_visible()
        assert page.evaluate("window.broken") is None
    page.goto("/c/default/customers")
    expect(page.get_by_text("{{ 7 * 7 }}")).to_be_visible()


def test_the_keyboard_leads_everywhere(page):
    page.goto("/c/default")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert "content" == page.evaluate("document.activeElement.id")

    page.goto("/c/default/customers")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_the_menu_of_a_phone_opens_and_closes(page):
    page.set_viewport_size(PHONE)
    page.goto("/c/default")
    menu = page.get_by_role("button", name="Menu")
    link = page.get_by_role("link", name="Customers", exact=True)
    expect(link).to_be_hidden()
    menu.click()
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()


def test_a_receipt_tells_where_it_is(page, served):
    page.goto("/c/default/sales")
    page.get_by_role("table", name="Sales").get_by_role("link").first.click()

    steps = page.get_by_role("region", name="Where is it?").get_by_role("listitem")
    expect(steps.nth(0)).to_contain_text("Rung up")
    expect(steps.nth(2)).to_contain_text("Confirmed")


def test_all_of_it_works_without_a_script(chromium, served, state):
    context = chromium.new_context(base_url=served.url, storage_state=state, java_script_enabled=False)
    page = context.new_page()
    page.goto("/c/default/customers?q=lindqvist")
    page.locator("input[data-tick]").first.check()
    page.get_by_role("button", name="Sync to Salesforce").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sent across")
    page.goto("/c/default")
    expect(page.get_by_role("table", name="API calls by hour")).to_be_visible()
    expect(page.locator("canvas[data-chart=calls]")).to_be_hidden()
    context.close()


def test_a_viewer_of_one_store_sees_no_other(chromium, page, served):
    page.goto("/settings/people")
    form = page.get_by_role("region", name="Let somebody in")
    form.get_by_label("Name").fill("Vic Viewer")
    form.get_by_label("Only these stores").fill(served.codes()["Harbour"])
    form.get_by_role("button", name="Add").click()
    link = page.get_by_label("Link").input_value()
    context = chromium.new_context(base_url=served.url)
    theirs = context.new_page()
    theirs.goto(link)
    theirs.get_by_label("Password", exact=True).fill(PASSWORD)
    theirs.get_by_label("The same once more").fill(PASSWORD)
    theirs.get_by_role("button", name="Keep it and sign in").click()
    seen = {}
    for path in ("", "/sales", "/customers", "/problems"):
        theirs.goto(f"/c/default{path}")
        seen[path] = theirs.get_by_role("main").inner_text()
    other = theirs.goto(f"/c/default/sales/{served.sales['High Street']}")
    settings = theirs.goto("/settings/people")
    context.close()

    assert "Harbour" in seen[""]
    assert "Harbour" in seen["/sales"]
    assert [] == [path for path, text in seen.items() if "High Street" in text]
    assert "Lindqvist" not in seen["/customers"]
    assert (404, 403) == (other.status, settings.status)
