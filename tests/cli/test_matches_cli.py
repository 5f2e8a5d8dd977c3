"""`matches` both ways, `matches what-if` and `explain customer`: what a person sees, and exit statuses."""

import pytest
from world import key


@pytest.fixture
def shop(found):
    """Bea is marked for Lightspeed, where Otto has her e-mail; Anna is linked."""
    world = found()
    world.configure(customers='mode = "link_only"')
    world.otto = world.customer("Otto", "Kramer", email="family@prins.example")
    world.cli("backfill")
    world.configure()
    world.anna = world.customer("Anna", "Prins", email="anna@prins.example")
    world.pass_time(minutes=1)
    world.bea = world.person("Bea", "Prins", email="family@prins.example", Send_To_Lightspeed__c=True)
    world.cli("sync")
    return world


def test_review_lists_newcomers_beside_the_tills_customers(shop):
    (one,) = shop.cli("matches", "review", "--json").document["arriving"]
    assert (shop.bea, "Bea Prins") == (one["crm_id"], one["crm"]["name"])
    assert [("Otto Kramer", None)] == [(each["name"], each["linked_to"]) for each in one["candidates"]]
    said = shop.cli("matches", "review").said
    assert f"Account {shop.bea}: a person has to decide who this is in the till" in said
    assert f"tillbridge matches choose {shop.bea} CUSTOMER" in said


@pytest.mark.parametrize(
    ("choice", "state"), [("otto", "linked"), ("new", "created"), ("leave", "left_out")], ids=str
)
def test_a_newcomer_is_chosen_for(shop, choice, state):
    ran = shop.cli(
        "matches",
        "choose",
        shop.bea,
        {"otto": shop.otto}.get(choice, choice),
        "--json",
        env={"USER": "mirte"},
    )
    assert (0, state, "mirte") == (ran.status, ran.document["state"], ran.document["confirmed_by"])
    assert [] == shop.cli("matches", "review", "--json").document["arriving"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["choose", "nobody", "new"], "CUSTOMER is Lightspeed's own number"),
        (["choose", "001000000000000AAA", "new"], "is not on its way into Lightspeed"),
        (["what-if"], "Name the rules to try"),
        (["what-if", "email", "--match", "phone"], "Name the rules once"),
        (["what-if", "e-mail"], "e_mail is no rule"),
        (["what-if", "--review", "external_id"], "no mere suggestion"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told(shop, argv, sentence):
    ran = shop.cli("matches", *argv)
    assert (2, True) == (ran.status, sentence in ran.said), ran.said


def test_what_if_shows_both_and_spends_no_call(shop):
    shop.person("Bo", "Lund", mobile="518-555-0147")
    bo = shop.customer("Bo", "Lund", mobile="518-555-0147")
    shop.cli("sync")
    shop.fail_till("reset", "")
    shop.fail_crm("reset", "")
    ran = shop.cli("matches", "what-if", "email", "--json")
    report = ran.document
    assert (0, False) == (ran.status, report["written"])
    lost = report["differences"]["lost"]
    assert (["external_id", "email"], 1) == (report["then"]["rules"]["match"], lost["total"])
    (pair,) = lost["pairs"]
    assert (str(bo), "phone", "created", "the link stays") == (
        pair["id"],
        pair["rule"],
        pair["after"],
        pair["stands"],
    )
    said = shop.cli("matches", "what-if", "email").said
    assert "Pairs lost: 1" in said
    assert "is created apart; the link stays" in said
    assert "Nothing was written." in said


def test_explain_takes_any_id_of_a_person(shop):
    crm_id = shop.known("customer", shop.anna).crm_id
    for name in (shop.anna, key("customer", shop.anna), crm_id):
        ran = shop.cli("explain", "customer", name, "--json")
        assert (0, crm_id) == (ran.status, ran.document["crm_id"])
    said = shop.cli("explain", "customer", crm_id).said
    assert "Records in Lightspeed" in said
    assert "Lightspeed, created from it" in said


def test_explain_tells_of_somebody_on_the_way_into_the_till(shop):
    said = shop.cli("explain", "customer", shop.bea).said
    assert "No customer of the till is linked to this record." in said
    assert "On the way into Lightspeed review" in said
    assert f"customer {shop.otto} Otto Kramer" in said
    assert 1 == shop.cli("explain", "customer", "001000000000000AAA").status


def test_explain_reads_both_sides_when_asked_to(shop):
    crm_id = shop.known("customer", shop.anna).crm_id
    shop.pass_time(minutes=1)
    shop.edit_customer(shop.anna, firstName="Anja")
    shop.edit_in_crm(crm_id, LastName="Vos")

    def shown(*options):
        report = shop.cli("explain", "customer", shop.anna, "--json", *options).document
        fields = {each["field"]: each for each in report["fields"]}
        return fields["FirstName"]["till"], fields["LastName"]["crm"], report["read_now"]

    assert ("Anna", "Prins", False) == shown()
    assert ("Anja", "Vos", True) == shown("--fresh")
    assert 2 == shop.cli("explain", "sale", 1, "--fresh").status


def test_a_customer_is_taken_apart_from_somebody_else(shop):
    crm_id = shop.known("customer", shop.anna).crm_id
    assert 2 == shop.cli("matches", "unlink", "Anna", "--yes").status
    ran = shop.cli("matches", "unlink", shop.anna, "--yes", "--json")
    assert (1, crm_id) == (ran.status, ran.document["crm_id"])
    assert ("review", None) == (
        shop.standing("customer", shop.anna),
        shop.known("customer", shop.anna).crm_id,
    )
    again = shop.cli("matches", "unlink", shop.anna, "--yes")
    assert "nothing to take apart" in again.said
