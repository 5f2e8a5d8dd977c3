"""Settings in a real browser over a real service: what is saved holds without a restart; so does sign-in."""

import re
import time

import pytest
from browsing import become_the_first, complaints_of
from job_plant import until
from oidc_provider import Provider
from playwright.sync_api import expect
from web_served import Served

HERE = "/c/default/settings"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(chromium, served):
    context = chromium.new_context(base_url=served.url)
    made = context.new_page()
    complaints = complaints_of(made)
    made.set_default_timeout(15_000)
    become_the_first(made, served.link)
    yield made
    context.close()
    # A form that was refused is answered with 422, which a browser complains of.
    assert [] == [each for each in complaints if "422" not in each]


def test_an_interval_holds_without_a_restart(page):
    page.goto(f"{HERE}/schedule")
    page.get_by_label("Stock", exact=True).fill("1234")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It holds from the next look on")).to_be_visible()

    def shown():
        page.reload()
        row = page.get_by_role("table", name="What is done again and again").get_by_role("row", name="Stock")
        return "21 min" in row.inner_text()

    until(shown, "the service has taken the interval up")


def test_other_rules_are_tried_as_somebody_chooses_them(page):
    page.goto(f"{HERE}/matching")
    page.get_by_label("Place of E-mail and a like name").select_option("off")

    expect(page.get_by_role("heading", name="What these rules would change")).to_be_visible()
    expect(page).to_have_url(re.compile(r"place\.email=&"))
    page.get_by_role("button", name="Use these rules").click()
    expect(page.get_by_text("It holds from the next look on")).to_be_visible()
    expect(page.get_by_label("Place of E-mail and a like name")).to_have_value("")


def test_a_mistake_stands_beside_its_field(page):
    page.goto(f"{HERE}/budget")
    field = page.get_by_label("Of the calls of 24 hours at most")
    field.fill("400")
    page.get_by_role("button", name="Save").click()
    # The browser itself keeps it back; the server says why when it does not.
    assert field.evaluate("field => field.validity.rangeOverflow")
    page.locator("form:has([name='budget.salesforce_percent'])").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Save").click()

    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("400")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is saved yet")


def test_somebody_signs_in_with_an_identity_provider(chromium, served):
    provider = Provider(time.time)
    file = served.world.home / "tillbridge.toml"
    file.write_text(
        f'{file.read_text()}\n[console.oidc]\nissuer = "{provider.issuer}"\nclient_id = "tillbridge"\n'
        'client_secret = "a secret & more"\nname = "Example"\nroles = { office = "operator" }\n'
    )
    context = chromium.new_context(base_url=served.url)
    theirs = context.new_page()
    theirs.goto("/c/default/customers")
    theirs.get_by_role("link", name="Sign in with Example").click()

    expect(theirs.get_by_role("heading", level=1)).to_have_text("Customers")
    expect(theirs.get_by_role("banner")).to_contain_text("Ana Silva")
    context.close()
    provider.close()
