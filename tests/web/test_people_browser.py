"""People, problems, reviews and conflicts in a real browser: what is decided there, and what comes of it."""

import re

import pytest
from browsing import DESKTOP, PHONE, complaints_of
from job_plant import until
from playwright.sync_api import expect
from web_served import HOSTILE, Served, violations
from world import key

HERE = "/c/default"


def stocked(served):
    """People of every kind: refused ones, two in review, one in conflict to be, some in Salesforce alone."""
    world = served.world
    served.otto = world.person("Otto", "Kramer", email="anna@prins.example")
    served.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    served.ilse = world.person("Ilse", "<i>Vos</i>", email="pim@vos.example")
    served.pim = world.customer("Pim", "<b>Bos</b>", email="pim@vos.example")
    served.carla = world.person("Carla", "Quist", email="carla@quist.example")
    served.holms = [world.person("Hanna", "Holm", email="hanna@holm.example") for _ in range(2)]
    world.refuse("Account", "LastName", "Novák", "no such family")
    served.novaks = [
        world.customer(name, "Novák", email=f"{name}@novak.example") for name in ("Dora", "Dirk")
    ]
    world.refuse("Account", "LastName", "Kovač", "not that one either")
    served.kovac = world.customer("Kai", "Kovač", email="kai@kovac.example")
    world.refuse("Account", "LastName", "Zeeman", "nobody of that name, ever")
    world.customer("Zoë", "Zeeman", email="zoe@zeeman.example")
    served.vera = world.customer("Vera", "Visser", email="vera@visser.example")
    served.tom = world.customer("Tom", "Toft", email="tom@toft.example")
    served.ulla = world.customer("Ulla", "Udal", email="ulla@udal.example")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("home"), "sales_seconds = 2\ncustomers_seconds = 2", stocked)
    try:
        both_sides_move_veras_mail(made)
        yield made
    finally:
        made.close()


def both_sides_move_veras_mail(served):
    world = served.world
    until(lambda: world.standing("customer", served.vera) == "settled", "Vera is in Salesforce")
    crm_id = world.known("customer", served.vera).crm_id
    until(lambda: echoed(world, served.vera), "her record was read back")
    world.edit_customer(served.vera, email="vera@till.example")
    world.edit_in_crm(crm_id, PersonEmail="vera@crm.example")
    until(lambda: world.standing("customer", served.vera) == "conflict", "Vera is in conflict")


def echoed(world, till_id):
    """Say whether the CRM has been read again since we wrote there: only then can an edit be told."""
    with world.opened() as parts:
        crm = parts.people.shadows([str(till_id)]).get(str(till_id), {}).get("crm", {})
    return bool(crm) and not crm.get("~")


@pytest.fixture
def page(chromium, served, state):
    context = chromium.new_context(
        base_url=served.url, storage_state=state, viewport=DESKTOP, reduced_motion="reduce"
    )
    made = context.new_page()
    complaints = complaints_of(made)
    made.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield made
    context.close()
    # A form that was refused is answered with 422, which a browser complains of.
    assert [] == [each for each in complaints if "422" not in each]


PAGES = {
    "somebody in conflict": "/customers/{vera}",
    "somebody of Salesforce alone": "/customers/{carla}",
    "somebody who is there twice": "/customers/{holms[0]}",
    "unlink": "/customers/{people[4]}/unlink",  # the others are parted or erased, in any order
    "erase": "/customers/{people[4]}/erase",
    "reviews": "/reviews",
    "conflicts": "/conflicts",
    "problems": "/problems",
    "duplicates": "/duplicates",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
def test_a_page_with_work_on_it_is_for_everybody(page, served, path, theme):
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto(HERE + path.format(**vars(served)))
    page.wait_for_load_state("load")
    on_desktop = violations(page)
    page.set_viewport_size(PHONE)
    too_wide = page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]

    assert ([], [], False) == (on_desktop, violations(page), too_wide)


def test_somebody_of_salesforce_alone_is_sent_to_the_till(page, served):
    until(lambda: shown_on_the_list(page, "Carla Quist"), "Carla is on the list")
    row = page.get_by_role("row").filter(has_text="Carla Quist")
    expect(row.locator("input[data-tick]")).to_have_count(0)
    row.get_by_role("button", name="Send to Lightspeed").click()

    expect(page.locator("#sent")).to_contain_text("1 done")
    names = [row["lastName"] for row in served.world.till_app.world["Customer"].rows.values()]
    assert 1 == names.count("Quist")


def test_all_that_are_found_are_ticked_and_sent(page, served):
    until(lambda: shown_on_the_list(page, "Bo Lindqvist"), "everybody is on the list")
    page.goto(f"{HERE}/customers?q=example.com&start=1")
    every = page.get_by_label("Tick all 5 found by this search")
    expect(every).to_be_hidden()
    page.get_by_label("Tick everybody on this page").check()
    every.check()
    page.get_by_role("button", name="Sync to Salesforce").click()

    expect(page.locator("#sent")).to_contain_text("5 done")


def shown_on_the_list(page, name):
    page.goto(f"{HERE}/customers?q={name.split()[-1]}")
    return page.get_by_role("link", name=name).count() > 0


def test_a_cause_is_fixed_and_drains_while_somebody_looks_on(page, served):
    page.goto(f"{HERE}/problems")
    card = page.get_by_role("article").filter(has_text="no such family")
    expect(card).to_contain_text("2 records")
    card.get_by_role("link", name="Send something else").click()
    page.get_by_label("Instead of “Novák”").fill("Novak")
    page.get_by_role("button", name="Send that, now and later").click()

    expect(page.get_by_text("Decided. The records behind it are sent again now.")).to_be_visible()
    expect(page.locator("#left")).to_contain_text("2 of 2 accepted: all through", timeout=60_000)
    assert {"Novak"} == {
        served.world.row("Account", key("customer", each))["LastName"] for each in served.novaks
    }


def test_one_record_is_noted_assigned_edited_and_sent_again(page, served):
    page.goto(f"{HERE}/problems")
    page.get_by_role("article").filter(has_text="not that one either").get_by_role(
        "link", name="Show it"
    ).click()
    page.get_by_role("link", name=f"customer {served.kovac}").click()

    page.get_by_label("Note", exact=True).fill("Ask <b>Kai</b> how it is spelt")
    page.get_by_role("button", name="Add the note").click()
    page.get_by_label("Who sees to it").select_option("Ana Admin")
    page.get_by_role("button", name="Assign").click()
    told = page.get_by_role("region", name="Notes and what was done").get_by_role("listitem")
    expect(told.nth(0)).to_contain_text("Ana Admin wrote: Ask <b>Kai</b> how it is spelt")
    expect(told.nth(1)).to_contain_text("Ana Admin gave it to Ana Admin")

    page.get_by_label("LastName").or_(page.get_by_label("Last Name")).fill("Kovac")
    page.get_by_role("button", name="Send this").click()
    expect(page.get_by_text("Salesforce has accepted it.")).to_be_visible()
    assert "Kovac" == served.world.row("Account", key("customer", served.kovac))["LastName"]


def test_a_conflict_is_resolved_by_keyboard(page, served):
    page.goto(f"{HERE}/conflicts")
    card = page.locator("[data-card]")
    expect(card).to_contain_text("vera@till.example")
    expect(card.locator("mark")).to_have_text(["till", "crm"])
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(card).to_be_focused()
    page.keyboard.press("2")

    expect(page.locator("[data-card]")).to_contain_text("Salesforce's value counts")
    expect(page.locator("[data-card]")).to_be_focused()
    emails = served.world.till_row("Customer", served.vera)["Contact"]["Emails"]
    assert ["vera@crm.example"] == [each["address"] for each in emails]


def test_reviews_are_decided_by_keys_which_can_be_switched_off(page, served):
    page.goto(f"{HERE}/reviews")
    anna = page.get_by_role("article", name="Anna Prins")
    expect(anna).to_contain_text("same")
    page.get_by_role("checkbox", name="Keyboard shortcuts").uncheck()
    page.keyboard.press("j")
    expect(anna).not_to_be_focused()
    page.get_by_role("checkbox", name="Keyboard shortcuts").check()
    anna.focus()
    page.keyboard.press("1")
    expect(page.locator(f"#decide-{served.anna}[data-done]")).to_contain_text(served.otto)
    assert served.otto == served.world.known("customer", served.anna).crm_id

    pim = page.get_by_role("article", name="Pim <b>Bos</b>")
    expect(pim).to_contain_text("<i>Vos</i>")
    pim.focus()
    page.keyboard.press("2")
    expect(page.locator(f"#decide-{served.pim}[data-done]")).to_contain_text("In Salesforce")
    assert served.ilse != served.world.known("customer", served.pim).crm_id


def test_keys_do_nothing_while_somebody_types(page):
    page.goto(f"{HERE}/problems")
    page.get_by_role("article").filter(has_text="ever").get_by_role("link", name="Show it").click()
    page.get_by_label("Send always").press_sequentially("j1?")
    expect(page.get_by_label("Send always")).to_have_value("j1?")


def test_a_person_is_synced_now_and_says_what_came_of_it(page, served):
    page.goto(f"{HERE}/customers/{served.people[3]}")
    page.get_by_role("button", name="Sync now").click()

    expect(page.locator("#sent")).to_contain_text("1 done")


def test_a_customer_is_unlinked_after_a_word_on_what_follows(page, served):
    until(lambda: served.world.standing("customer", served.tom) == "settled", "Tom is in Salesforce")
    crm_id = served.world.known("customer", served.tom).crm_id
    page.goto(f"{HERE}/customers/{served.tom}")
    page.get_by_role("link", name="Unlink").click()
    expect(page.get_by_role("region", name="What follows")).to_contain_text("stands in review")
    page.get_by_role("button", name="Unlink").click()

    expect(page.get_by_text("Taken apart.")).to_be_visible()
    assert ("review", None) == (
        served.world.standing("customer", served.tom),
        served.world.crm_row(crm_id).get("Lightspeed_Customer_Key__c"),
    )


def test_a_person_is_erased_once_their_name_was_typed(page, served):
    until(lambda: served.world.standing("customer", served.ulla) == "settled", "Ulla is in Salesforce")
    page.goto(f"{HERE}/customers/{served.ulla}")
    page.get_by_role("link", name="Erase").click()
    page.get_by_label("Type the name to go on").fill("Somebody Else")
    page.get_by_role("button", name="Erase this person").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was erased")
    page.get_by_label("Type the name to go on").fill("Ulla Udal")
    page.get_by_role("button", name="Erase this person").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Erased")
    assert "Udal" not in str(served.world.till_row("Customer", served.ulla))


def test_whoever_is_there_twice_is_shown_with_what_to_do(page, served):
    page.goto(f"{HERE}/customers/{served.holms[0]}")
    twins = page.get_by_role("region", name="Probably there twice")

    expect(twins).to_contain_text(f"In Salesforce: merge this Account into {served.holms[0]}")
    expect(twins.get_by_role("link", name="Open in Salesforce")).to_have_attribute(
        "href", re.compile(served.holms[1])
    )


def test_duplicates_are_looked_for_and_decided(page, served):
    page.goto(f"{HERE}/duplicates")
    page.get_by_role("button", name="Look for duplicates").click()
    cluster = page.get_by_role("article").filter(has_text="Hanna Holm")
    expect(cluster).to_be_visible()
    cluster.get_by_role("button", name="One person").click()
    expect(page.get_by_role("article").filter(has_text="Hanna Holm")).to_contain_text("which stays")
    page.get_by_role("article").filter(has_text="Hanna Holm").get_by_role("button", name="Check").click()
    expect(page.get_by_text("Not yet: both records are still there.")).to_be_visible()


def test_a_hostile_name_is_shown_and_not_run(page, served):
    for path in (
        f"/customers/{served.people[1]}",
        f"/customers/{served.people[1]}/unlink",
        f"/customers/{served.people[1]}/erase",
    ):
        page.goto(HERE + path)
        expect(page.get_by_text(HOSTILE[1][0]).first).to_be_visible()
        assert page.evaluate("window.broken") is None
