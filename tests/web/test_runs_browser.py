"""Runs, plans, receipts, products, the forecast in a real browser: what is pressed, what comes of it."""

import re

import pytest
from browsing import DESKTOP, PASSWORD, PHONE, complaints_of
from job_plant import until
from playwright.sync_api import expect
from web_served import Served, violations

from tillbridge.engine.underway import Underway
from tillbridge.store.service import open_service, service_url

HERE = "/c/default"
OLD, NEW = "+447700900100", "+447700900142"
PAGES = (
    "/sales?least=100&most=200",
    "/sales/{sale}",
    "/runs",
    "/runs/{run}",
    "/plans/{plan}",
    "/products/{product}",
    "/stores?store={store}&days=7",
    "/stores?first=2026-01-01&last=2026-03-31",
    "/budget?stores=40&interval=30",
    "/certificates",
    "/days/{store}/{day}",
)


def asking(served):
    """Let the first write to the till wait for somebody, and Anna be in both systems."""
    served.world.configure(
        "[schedule]\nsales_seconds = 2\ncustomers_seconds = 2", safety='first_crm_update = "allow"'
    )
    served.anna = served.world.customer("Anna", "Prins", email="anna@prins.example", mobile=OLD)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("home"), before=asking)
    try:
        world = made.world
        until(lambda: world.standing("customer", made.anna) == "settled", "Anna is in Salesforce")
        made.product = world.till_row("Item", 1)["itemID"]
        yield made
    finally:
        made.close()


@pytest.fixture
def page(chromium, served, state):
    context = chromium.new_context(
        base_url=served.url, storage_state=state, viewport=DESKTOP, reduced_motion="reduce"
    )
    made = context.new_page()
    complaints = complaints_of(made)
    made.set_default_timeout(20_000)
    expect.set_options(timeout=30_000)  # What is sent goes through the service, which others keep busy.
    yield made
    context.close()
    assert [] == complaints


@pytest.fixture
def bare(chromium, served, state):
    """A page of somebody whose browser runs no scripts."""
    context = chromium.new_context(base_url=served.url, storage_state=state, java_script_enabled=False)
    yield context.new_page()
    context.close()


def mobile_of(world, till_id):
    """Return a customer's mobile in the till, without its spaces."""
    phones = world.till_row("Customer", till_id)["Contact"]["Phones"]
    numbers = [each["number"] for each in phones if each["useType"] == "Mobile"]
    return numbers[0].replace(" ", "") if numbers else ""


@pytest.fixture(scope="module")
def plan(served):
    """A change that somebody made in Salesforce, and that waits before it is written to the till."""
    world = served.world
    world.edit_in_crm(world.known("customer", served.anna).crm_id, PersonMobilePhone=NEW)

    def held():
        with world.opened() as parts:
            return [each.id for each in parts.plans.in_state("open")]

    return until(held, "the change is held back")[0][0]


def test_a_plan_is_looked_at_and_approved_and_then_undone(page, served, plan):
    page.goto(f"{HERE}/runs")
    page.get_by_role("table", name="Plans that wait").get_by_role("link", name=f"Plan {plan}").click()
    row = page.get_by_role("table", name="What the plan would write").locator("tbody tr").first
    expect(row).to_contain_text("Anna Prins")
    expect(row).to_contain_text("Update in Lightspeed")
    expect(row.locator(".becomes")).to_contain_text("900142")
    assert OLD == mobile_of(served.world, served.anna)

    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Carried out")).to_be_visible()
    assert NEW == mobile_of(served.world, served.anna)
    again = page.request.post(
        f"{HERE}/plans/{plan}/approve",
        form={"csrf": page.locator("meta[name=csrf]").get_attribute("content"), "checksum": "0" * 16},
        headers={"origin": served.url},
    )
    assert (409, True) == (again.status, "already" in again.text())

    page.get_by_role("link", name=re.compile(r"^Run \d+$")).click()
    page.get_by_role("button", name="What would be taken back?").click()
    expect(page.get_by_role("heading", name="What would be taken back")).to_be_visible()
    assert NEW == mobile_of(served.world, served.anna), "looking takes nothing back"

    page.get_by_role("button", name="Undo it").click()
    expect(page.get_by_role("heading", name="What was taken back")).to_be_visible()
    expect(page.get_by_role("table", name="Values that go back, or stay")).to_contain_text("Taken back")
    assert OLD == mobile_of(served.world, served.anna)
    expect(page.get_by_role("button", name="Undo it")).to_have_count(0)


def test_the_next_sync_is_looked_at_before_it_runs(page, served):
    page.goto(f"{HERE}/runs")
    page.get_by_role("button", name="What would be written?").click()

    expect(page.locator("main")).to_contain_text(re.compile("Nothing would be written|would be written, "))


def test_what_runs_appears_while_somebody_looks_on(page, served):
    page.goto(f"{HERE}/runs")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.evaluate("window.same = true")
    service = open_service(service_url(served.world.home, None))
    seconds = iter(range(100))
    slice_ = Underway(
        service, "default", lambda: served.world.clock.now().timestamp(), tick=lambda: next(seconds)
    )

    slice_.bar("Sales from the till", 400).advance(100)
    progress = page.get_by_role("list", name="How far it is")
    expect(progress).to_contain_text("Sales from the till")
    expect(progress).to_contain_text("100 of 400")
    expect(page.get_by_role("img", name="Sales from the till: 100 of 400")).to_be_visible()
    before = (
        page.get_by_role("table", name="Runs, newest first").locator("tbody tr").first.get_attribute("id")
    )
    slice_.rest()
    service.close()
    expect(progress).to_have_count(0)

    sale = served.world.ring(served.product)
    until(lambda: served.world.standing("sale", sale) == "settled", "the sale is in Salesforce")
    expect(page.locator(f"#{before} ~ tr, #{before}").first).to_be_visible()
    expect(page.get_by_role("table", name="Runs, newest first").locator("tbody tr").first).not_to_have_id(
        before
    )
    assert page.evaluate("window.same"), "the page was not loaded again"


def test_a_receipt_is_replayed_with_what_it_would_change_before(page, served):
    world, sale = served.world, served.sales["Harbour"]
    crm_id = world.sale_row(sale)["Id"]
    world.edit_in_crm(crm_id, Register__c="Somebody's own")
    page.goto(f"{HERE}/sales/{sale}")

    page.get_by_role("button", name="What would be written?").click()
    table = page.get_by_role("table", name="What Salesforce holds, and what would be written").first
    expect(table).to_contain_text("Somebody's own")
    expect(table).to_contain_text("Harbour 1")
    assert "Somebody's own" == world.sale_row(sale)["Register__c"], "looking writes nothing"

    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#replayed")).to_contain_text("In Salesforce")
    assert "Harbour 1" == world.sale_row(sale)["Register__c"]


def test_a_receipt_is_compared_and_replayed_without_a_script(bare, served):
    bare.goto(f"{HERE}/sales/{served.sales['High Street']}")
    bare.get_by_role("button", name="What would be written?").click()
    expect(bare.locator("#difference")).to_contain_text("Nothing would change")

    bare.get_by_role("button", name="Replay").click()

    expect(bare.get_by_role("heading", level=1)).to_have_text("Sent to Salesforce")


def test_a_product_is_synced_by_its_button(page, served):
    page.goto(f"{HERE}/products")
    page.get_by_label("Search title, SKU, code or maker").press_sequentially("ring")
    page.get_by_role("table", name="Products").get_by_role("link").first.click()

    page.get_by_role("button", name="Sync to Salesforce").click()

    expect(page.locator("#synced")).to_contain_text(re.compile("In Salesforce|Nothing new"))
    expect(page.locator("#synced").get_by_role("link", name=re.compile("Run|Show it")).first).to_be_visible()


def test_a_sale_is_found_by_number_amount_and_day(page, served):
    sale = served.sales["Harbour"]
    ticket = served.world.till_row("Sale", sale)["ticketNumber"]
    for query in (f"q={ticket}", "least=100&most=120", "q=108.00"):
        page.goto(f"{HERE}/sales?{query}")
        expect(page.get_by_role("table", name="Sales").get_by_role("link", name=str(ticket))).to_have_count(1)
    page.goto(f"{HERE}/sales?least=5000")
    expect(page.get_by_text("No sale found")).to_be_visible()


def test_sliders_move_the_forecast(page, served):
    page.goto(f"{HERE}/budget")
    expect(page.locator("#forecast")).to_contain_text("As it is")
    slider = page.get_by_label("Stores")
    slider.fill("40")

    expect(page.locator("#forecast")).to_contain_text("stores=40")
    expect(page.get_by_role("table", name="Limits, how near they are and when they are hit")).to_be_visible()


def test_the_forecast_is_asked_without_a_script(bare, served):
    bare.goto(f"{HERE}/budget")
    bare.get_by_label("More wishes").fill("stores=12")
    bare.get_by_role("button", name="Reckon").click()
    expect(bare.locator("#forecast")).to_contain_text("If stores=12")

    bare.get_by_label("More wishes").fill("stores=many")
    bare.get_by_role("button", name="Reckon").click()
    expect(bare.get_by_role("alert")).to_contain_text("stores wants a figure")


def test_runs_are_followed_without_a_script(bare, served):
    bare.goto(f"{HERE}/runs")
    bare.get_by_role("link", name="Load this page again every 10 seconds").click()

    expect(bare.get_by_role("link", name="Stop that")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everybody(page, served, plan, path):
    world = served.world
    day = page.request.get(f"{HERE}/sales/{served.sales['Harbour']}").text()
    known = {
        "sale": served.sales["Harbour"],
        "run": 1,
        "plan": plan,
        "product": served.product,
        "store": served.stores["Harbour"],
        "day": re.search(r"\d{4}-\d\d-\d\d", day)[0],
    }
    assert world.standing("sale", known["sale"]) == "settled"
    page.goto(f"{HERE}{path.format(**known)}")
    page.wait_for_load_state("load")
    on_desktop = violations(page)
    page.set_viewport_size(PHONE)
    too_wide = page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]
    page.evaluate("window.tillbridgeTheme.choose('dark')")
    assert "dark" == page.evaluate("document.documentElement.dataset.bsTheme")
    on_a_dark_phone = violations(page)

    assert ([], [], False) == (on_desktop, on_a_dark_phone, too_wide)


def test_a_viewer_of_one_store_sees_no_other_stores_figures(chromium, page, served):
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
    harbour, other = served.stores["Harbour"], served.stores["High Street"]
    day = re.search(r"\d{4}-\d\d-\d\d", theirs.get_by_role("main").inner_text())[0]
    own = ("", "/sales", "/stores", "/certificates", f"/days/{harbour}/{day}")
    seen = {}
    for path in own:
        theirs.goto(f"{HERE}{path}")
        seen[path] = theirs.get_by_role("main").inner_text()
    closed = ("/events", "/runs", "/budget", "/plans/1")
    gone = (f"/days/{other}/{day}", f"/stores?store={other}", f"/sales/{served.sales['High Street']}")
    answers = {path: context.request.get(f"{HERE}{path}").status for path in (*closed, *gone)}
    part = context.request.get(HERE, headers={"hx-request": "true"}).text()
    context.close()

    assert dict.fromkeys(own, True) == {path: "Harbour" in text for path, text in seen.items()}
    assert [] == [path for path, text in {**seen, "part": part}.items() if "High Street" in text]
    # What all stores together spend and move is nobody's who sees one of them.
    assert [] == [
        word for word in ("API calls", "Backlog", "Salesforce calls") if word.lower() in part.lower()
    ]
    assert {**dict.fromkeys(closed, 403), **dict.fromkeys(gone, 404)} == answers
