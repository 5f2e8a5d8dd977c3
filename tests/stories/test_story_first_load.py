"""The first load: all of a retailer's past arrives, both sides agree, and a second run has nothing to do."""

import pytest
from world import ACCOUNT, QUIET, key

from tillbridge.simulators import retailer as retail
from tillbridge.simulators.retailer import Plan

PERSONS = ["Account", "Contact", "Lead"]
MODELS = ["person_account", "contact", "lead"]


def retailer(**sizes):
    return Plan(**{"seed": 5, "customers": 40, "sales": 70, **sizes})


@pytest.fixture(scope="module", params=MODELS)
def loaded(request, found_for_all):
    world = found_for_all(
        plan=retailer(crm_model=request.param), model=request.param, crm={"thank_you_flow": True}
    )
    world.backfill()
    return world


def test_both_sides_agree_and_nothing_is_left_to_do(loaded):
    certificate = loaded.certify()

    assert [] == certificate.differences
    assert sum(totals.sales for totals in certificate.till.values()) > 50
    assert {} == {kind: n for kind, states in loaded.states().items() if (n := states.get("problem"))}

    for run in (loaded.sync, loaded.backfill, loaded.sync):
        counts = run()
        assert loaded.calls[1] == (0 if run == loaded.backfill else QUIET), counts
        assert {} == {name: n for name, n in counts.items() if n and name != "unchanged"}


def test_history_sends_nobody_a_mail_and_says_that_it_is_history(loaded):
    assert {"mails": 0, "tasks": 0} == loaded.org.automation
    assert {True} == {row.get("Loaded_As_History__c") for row in loaded.rows("Sales_Transaction__c").values()}


def test_every_till_record_of_a_person_has_an_identity(loaded):
    customers = loaded.till_app.world["Customer"].rows
    known = loaded.all_known("customer", customers)
    identities = loaded.rows("Customer_Identity__c")

    assert {key("customer", i) for i in customers} == set(identities)
    shown = {i: identities[key("customer", i)].get(f"{one.object}__c") for i, one in known.items()}
    assert {i: one.crm_id for i, one in known.items()} == shown
    assert {"settled", "review", "left_out"} == {one.state for one in known.values()}
    statuses = {(one.state, identities[key("customer", i)]["Status__c"]) for i, one in known.items()}
    assert {("review", "In Review"), ("settled", "Active")} <= statuses


def test_the_receipts_of_linked_people_point_at_them(loaded):
    person = {"person_account": "Account__c", "contact": "Contact__c", "lead": "Lead__c"}[loaded.model]
    checked = 0
    customers = loaded.all_known("customer", loaded.till_app.world["Customer"].rows)
    rows = loaded.rows("Sales_Transaction__c")
    for sale in loaded.till_app.world["Sale"].rows.values():
        row = rows.get(key("sale", sale["saleID"]))
        if row is None or not sale["customerID"]:
            continue
        assert key("customer", sale["customerID"]) == row["Customer_Key__c"]
        known = customers[str(sale["customerID"])]
        if known.object == loaded.person_object:
            assert known.crm_id == row.get(person)
            checked += 1
        elif known.crm_id is None:
            assert [None] * 3 == [row.get(name) for name in map("{}__c".format, PERSONS)]
    assert checked > 10


def test_nobody_is_created_who_was_in_the_crm(loaded):
    """The generator's truth: one human being is one record, whatever the till calls it."""
    truth = retail.build(retailer(crm_model=loaded.model)).truth
    number_of = {loaded.org.refs[ref]: person for ref, person in truth.person_of_crm.items()}
    known = loaded.all_known("customer", truth.person_of_customer)
    right = {i: number_of[one.crm_id] for i, one in known.items() if one.crm_id in number_of}
    assert {i: truth.person_of_customer[int(i)] for i in right} == right

    created = {
        truth.person_of_customer[int(i)]
        for i, one in known.items()
        if (one.reason or "").startswith("created")
    }
    assert set() == created & set(number_of.values())


def test_a_listing_that_forgets_its_relations_loses_no_lines(found):
    """A link to the next page may lack load_relations (fact sheet A4)."""
    world = found(plan=retailer(sales=150), till={"drop_relations_from_next": True})
    world.backfill()

    assert [] == world.differences()


@pytest.mark.parametrize("newest_first", ["true", "false"])
def test_history_may_be_loaded_newest_first(found, newest_first):
    world = found(plan=retailer(sales=150))
    world.configure(sales=f"newest_first = {newest_first}")
    world.backfill()

    assert [] == world.differences()
    unlinked = [
        line["Line_Key__c"]
        for sale in world.till_app.world["Sale"].rows.values()
        for till_line in sale["SaleLines"]
        if till_line["parentSaleLineID"]
        and (line := world.rows("Sales_Transaction_Line__c").get(key("line", till_line["saleLineID"])))
        and not line.get("Original_Line__c")
    ]
    assert [] == unlinked


def test_history_may_begin_on_a_day(found):
    world = found(plan=retailer())
    world.configure(sales="since = 2026-03-01")
    world.backfill()

    days = {row["Business_Date__c"] for row in world.rows("Sales_Transaction__c").values()}
    assert min(days) >= "2026-03-01"
    assert [] == world.differences()
    world.sync()
    assert QUIET == world.calls[1]


def test_only_some_shops_may_take_part(found):
    world = found(plan=retailer())
    world.configure(sales='stores = ["2"]')
    world.backfill()

    assert {"2"} == {row["Store_Code__c"] for row in world.rows("Sales_Transaction__c").values()}
    assert [] == world.differences()
    world.configure()
    world.pass_time(minutes=1)
    with world.connected() as connection:
        assert ACCOUNT == connection.account.id


def test_nobodys_name_lies_in_clear_in_the_state_file(found):
    """Customers, and employees too: the small tables of the till are kept between runs."""
    world = found()
    world.employee("Sunniva", "Aarvik")
    buyer = world.customer("Mirte", "Perelaer", email="mirte@mail.example")
    world.ring(world.item("Ring", "100"), customer=buyer)
    world.backfill()
    world.sync()
    stored = b"".join(path.read_bytes() for path in world.home.glob("tillbridge.sqlite*"))
    names = (b"Sunniva", b"Aarvik", b"Mirte", b"Perelaer", b"mirte@mail.example")
    assert [] == [name for name in names if name in stored]
    assert {"Sunniva Aarvik"} <= {row["Name"] for row in world.all_rows("Retail_Employee__c")}
