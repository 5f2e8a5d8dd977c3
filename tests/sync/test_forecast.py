"""What running costs, how long loading takes, what fills up: golden cases, and what the constants rest on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.connectors.lightspeed_r import protocol
from tillbridge.engine import crosscheck, sweep, waves
from tillbridge.sync import plan as packing
from tillbridge.sync.forecast import (
    BATCH_ROWS,
    CUSTOMERS_DRIPS,
    PRODUCTS_DRIPS,
    SALES_DRIPS,
    TILL_PAGE,
    WAVE_SALES,
    WRITE_ROWS,
    Plan,
    Survey,
    daily,
    drips_a_second,
    first_load,
    forecast,
    storage,
    what_if,
)
from tillbridge.sync.plan import PlannedRow, pack
from tillbridge.sync.quota import Caps
from tillbridge.sync.schedule import Wishes

SHOP = Survey(
    stores=3,
    registers=4,
    customers=8_000,
    products=5_000,
    sales=100_000,
    sales_a_day=300,
    customers_a_day=20,
    open_hours=12,
    crm_calls_allowed=105_000,
    crm_calls_used=10_000,
    crm_batches_allowed=15_000,
    crm_megabytes=10_240,
    crm_megabytes_free=8_000,
)
# A day's calls of the promise: a shop with a history short enough to be swept on the side.
PROMISED = msgspec.structs.replace(SHOP, customers=2_000, products=2_000, sales=10_000)
CHAIN = msgspec.structs.replace(
    SHOP,
    stores=60,
    registers=120,
    customers=900_000,
    products=40_000,
    sales=12_000_000,
    sales_a_day=15_000,
    customers_a_day=600,
    open_hours=14,
)


# --- what the constants rest on ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "resource"),
    [
        (SALES_DRIPS, protocol.SALES),
        (CUSTOMERS_DRIPS, protocol.CUSTOMERS),
        (PRODUCTS_DRIPS, protocol.ITEMS),
        (1.0, protocol.ITEM_SHOPS),
        (1.0, protocol.VOIDS),
        (1.0, protocol.SALE_LINES),
        (1.0, protocol.SALE_PAYMENTS),
    ],
)
def test_drips_are_those_that_the_connector_pays(expected, resource):
    assert expected == protocol.list_request("1", resource).cost


def test_sizes_are_those_of_the_engine():
    assert TILL_PAGE == protocol.PAGE_ROWS_MAX == sweep.PAGE
    assert WRITE_ROWS == packing.SLOT_ROWS_MAX * packing.CALL_SLOTS_MAX
    assert WAVE_SALES == waves.WAVE_SALES_MAX
    assert BATCH_ROWS <= waves.JOB_ROWS_MAX


def test_the_checks_run_as_often_as_is_reckoned():
    every = {check.name: check.every.total_seconds() for check in crosscheck.CHECKS}

    assert 900 == every["lines"] == every["payments"]
    assert 3_600 == every["archived customers"] == every["reviews"]
    assert {86_400} == {every[name] for name in ("open sales", "employees", "recent sales", "older sales")}


def test_a_poll_with_news_of_any_ordinary_size_is_one_call():
    rows = [
        PlannedRow(object=name, operation="upsert", payload={}, layer=layer, key=f"{name}{n}", key_field="K")
        for layer, (name, count) in enumerate(
            {"Person": 30, "Identity": 30, "Sale": 100, "Line": 200, "Payment": 110}.items()
        )
        for n in range(count)
    ]

    assert 1 == len(pack(rows))


# --- a day ---------------------------------------------------------------------------------------


def test_the_day_of_three_stores_keeps_its_promise():
    found = forecast(PROMISED, Plan())

    # 24 hours, 3 stores, open 12 hours, 300 sales: at most 1,200 Salesforce and 2,200 Lightspeed calls.
    assert (2_020, 842) == (round(found.till, -1), round(found.crm))


def test_calls_by_lane():
    lanes = {
        lane: (round(till), round(crm)) for lane, (till, crm) in forecast(SHOP, Plan()).by_lane().items()
    }

    assert {
        "sales": (1_195, 265),
        "customers": (432, 451),
        "catalog": (48, 12),
        "sweep": (498, 269),
    } == lanes


def test_a_young_account_has_no_weeks_to_read_again():
    young = msgspec.structs.replace(SHOP, sales=int(2 * SHOP.sales_a_day))
    checks = "hourly and daily checks, certificate"
    old, new = ({line.what: line.till for line in daily(shop, Plan())}[checks] for shop in (SHOP, young))

    # 42 days' sales are read again at most: here those of two days and a new one, twice.
    pages = SHOP.sales_a_day / 100
    assert old - new == pytest.approx(36 * pages, abs=3)


def test_news_come_while_something_is_sold_though_the_feed_counts_the_shop_as_open_for_longer():
    """Sales that come in nine hours fall into fewer polls than those that come in twelve."""
    shop = msgspec.structs.replace(SHOP, sales_a_day=1_000, open_hours=12)
    nine = msgspec.structs.replace(shop, selling_hours=9)

    longer, shorter = (daily(each, Plan())[0] for each in (shop, nine))

    assert longer.till - shorter.till < 5 < longer.crm - shorter.crm


def test_an_idle_shop_costs_the_crm_nothing_but_its_customers():
    closed = msgspec.structs.replace(SHOP, sales_a_day=0, customers_a_day=0, sales=0, customers=0, products=0)

    found = {line.what: line.crm for line in daily(closed, Plan())}

    assert 0 == found["sales"] == found["products and stock"]
    assert 432 == found["customers"]


def test_where_the_crm_is_not_listened_to_customers_cost_nothing_there():
    deaf = msgspec.structs.replace(SHOP, listens=False)

    assert 0 == forecast(deaf, Plan()).by_lane()["customers"][1]


def test_a_longer_interval_saves_on_both_sides():
    slow = forecast(SHOP, Plan(wishes=Wishes(sales_seconds=300, customers_seconds=600)))
    fast = forecast(SHOP, Plan())

    assert slow.till < fast.till - 500
    assert slow.crm < fast.crm - 300


# --- the first load ------------------------------------------------------------------------------


def test_the_first_load_of_a_shop():
    load = forecast(SHOP, Plan()).load

    assert round(load.till) == 1_000 + 80 + 50 + 9
    # Set-up, 5,000 products with prices and stock in three stores, 8,000 customers with identities, 5 waves.
    assert round(load.crm) == 25 + 25 + 16 + 5 * 20
    assert load.batches == 5 * (2 + 4 + 2)
    assert load.hours == pytest.approx(1.6, abs=0.2)


def test_the_first_load_of_a_chain_waits_for_bulk_jobs():
    load = forecast(CHAIN, Plan()).load

    assert "crm" == load.held_by
    assert load.hours == pytest.approx(136, abs=6)


def test_a_load_that_needs_more_calls_than_a_day_has_takes_days():
    load = first_load(SHOP, Plan(caps=Caps(crm_calls_a_day=50)), 0)

    assert ("calls", 72) == (load.held_by, load.hours)


def test_registers_set_the_pace_of_the_till():
    assert [1.0, 1.5, 2.0] == [drips_a_second(n) for n in (1, 2, 3)]


# --- storage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "a_customer"), [("person_account", 6), ("contact", 6), ("lead", 4)])
def test_storage_is_two_kilobytes_a_record_and_four_a_person_account(model, a_customer):
    survey = msgspec.structs.replace(SHOP, model=model)

    first, yearly = storage(survey)

    assert first == (100_000 * 4 * 2 + 8_000 * a_customer + 5_000 * 5 * 2) / 1024
    assert yearly == 365 * (300 * 4 * 2 + 20 * a_customer) / 1024


# --- what runs out -------------------------------------------------------------------------------


def limits(survey, plan=None):
    return {limit.name: limit for limit in forecast(survey, plan or Plan()).limits}


def test_storage_fills_up_on_a_day_that_can_be_told():
    found = limits(SHOP)["crm storage"]

    # 877 MB come first, 899 MB every year: 8,000 MB last for 7.9 years.
    assert found.in_days == pytest.approx(7.92 * 365, rel=0.01)


def test_storage_that_does_not_hold_the_first_load_is_full_today():
    assert 0 == limits(msgspec.structs.replace(SHOP, crm_megabytes_free=500))["crm storage"].in_days


def test_sweeps_of_a_growing_history_meet_the_calls_of_a_day():
    found = limits(SHOP, Plan(caps=Caps(crm_calls_a_day=1_200)))["crm calls"]

    assert found.there == 1_200
    assert found.in_days is not None
    assert 365 < found.in_days < 3_650


def test_what_other_apps_use_is_not_ours():
    crowded = msgspec.structs.replace(SHOP, crm_calls_used=99_000)

    assert limits(crowded)["crm calls"].there == 105_000 * 0.95 - 99_000
    assert limits(SHOP)["crm calls"].there == 42_000


def test_what_is_short_goes_to_the_higher_lanes():
    given = forecast(SHOP, Plan(caps=Caps(crm_calls_a_day=300))).given

    assert {"sales": 265, "customers": 35, "catalog": 0, "sweep": 0} == {
        lane: round(calls) for lane, calls in given.items()
    }


def test_without_what_an_org_tells_nothing_is_said_of_its_limits():
    silent = msgspec.structs.replace(
        SHOP, crm_calls_allowed=None, crm_batches_allowed=None, crm_megabytes_free=None
    )

    assert ["till rate"] == list(limits(silent))


# --- what if -------------------------------------------------------------------------------------


def test_more_stores_bring_their_registers_and_sales():
    survey, plan = what_if(SHOP, Plan(), " stores = 30, Interval=2m ")

    assert (30, 40, 3_000, 200) == (
        survey.stores,
        survey.registers,
        survey.sales_a_day,
        survey.customers_a_day,
    )
    assert 120 == plan.wishes.sales_seconds


def test_what_is_named_is_taken_as_it_is():
    survey, plan = what_if(
        SHOP,
        Plan(),
        "stores=30,registers=31,sales-per-day=1k,open_hours=10,sweep_days=14d,share=50%,model=lead,calls=2k",
    )

    assert (31, 1_000, 10, "lead") == (
        survey.registers,
        survey.sales_a_day,
        survey.open_hours,
        survey.model,
    )
    assert (14, 0.5, 2_000) == (plan.sweep_days, plan.caps.crm_share, plan.caps.crm_calls_a_day)


def test_nothing_asked_is_nothing_changed():
    assert (SHOP, Plan()) == what_if(SHOP, Plan(), "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colour=red", "'colour=red' is no wish; there are "),
        ("stores", "'stores' is no wish"),
        ("stores=many", "stores wants a figure such as 10, 2m or 40%, not 'many'"),
        ("stores=0", "stores must be more than nothing"),
        ("model=opportunity", "model is one of person_account, contact, lead"),
        ("share=40", "share is at most 100%"),
        ("open_hours=25", "a day has 24 open_hours at most"),
        ("stores=10.5", "stores are counted: 10.5 is no whole number"),
        ("interval=2m,interval=3m", "interval is wished twice"),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused(text, sentence):
    with pytest.raises(ValueError, match="^" + sentence.replace("(", "\\(")):
        what_if(SHOP, Plan(), text)


@given(
    sales=st.floats(0, 1e5),
    more=st.floats(0, 1e5),
    hours=st.floats(0, 24),
    interval=st.floats(1, 3_600),
)
def test_more_sales_never_cost_less_and_a_call_at_most_each_or_two_with_a_stranger(
    sales, more, hours, interval
):
    plan = Plan(wishes=Wishes(sales_seconds=interval))
    few, many = (
        daily(msgspec.structs.replace(SHOP, sales_a_day=n, open_hours=hours), plan)[0]
        for n in (sales, sales + more)
    )

    assert few.crm <= many.crm + 1e-6
    assert few.crm <= max(sales, 1) + min(sales, SHOP.customers_a_day) + 1e-6
