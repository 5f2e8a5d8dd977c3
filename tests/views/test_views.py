"""The views over a small world: what each page shows, and what somebody of one store does not see."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import msgspec
import pytest
import sqlalchemy as sa

from tillbridge.store import schema
from tillbridge.store.days import Days
from tillbridge.store.verified import Verified
from tillbridge.views.budget import budget
from tillbridge.views.certificates import certificate, certificates, store_day
from tillbridge.views.customers import customers
from tillbridge.views.decisions import conflicts, reviews
from tillbridge.views.figures import moment_of
from tillbridge.views.overview import Freshness, StoreToday, arrived, overview
from tillbridge.views.person import person
from tillbridge.views.problems import problem, problem_list, problems
from tillbridge.views.products import product, products
from tillbridge.views.receipt import receipt
from tillbridge.views.roll import Found, Roll
from tillbridge.views.runs import run, runs, work
from tillbridge.views.sales import Wanted, amount_in, sales
from tillbridge.views.sides import sides
from tillbridge.views.stores import parts_of, stores_page

TODAY = date(2026, 11, 20)


def ids(page):
    return [row.id for row in page.rows]


# --- customers -----------------------------------------------------------------------------------


def test_both_sides_stand_beside_each_other(shop):
    (ada,) = customers(shop.books, "ada verm").rows

    assert ("Ada Vermeulen", "ada@mail.example") == (ada.till.name, ada.crm.email)
    assert "settled" == ada.state


def test_the_list_counts_by_filter(shop):
    assert {"linked": 2, "review": 0, "conflict": 0, "problem": 1, "unsynced": 1} == customers(
        shop.books
    ).counts


def test_a_person_is_shown_with_sources_and_receipts(shop):
    page = person(shop.books, shop.ada)
    first = next(field for field in page.fields if field.field == "FirstName")

    assert ("Ada", "Ada", True, "till") == (first.till, first.crm, first.agrees, first.source)
    assert [] == [field.field for field in page.fields if not field.agrees]
    assert [shop.second, shop.first] == [line.id for line in page.receipts]
    assert (2, Decimal("194.40")) == (page.bought.receipts, page.bought.total)


def test_a_person_is_known_by_every_id(shop):
    page = person(shop.books, shop.ada)

    assert page.id == person(shop.books, page.key).id
    assert page.id == person(shop.books, page.crm.id).id
    assert page.id == person(shop.books, page.crm.id[:15]).id
    assert person(shop.books, "999999") is None


def test_somebody_of_the_crm_alone_has_a_page(shop):
    page = person(shop.books, shop.carla)

    assert ("Carla Quist", "unsynced", []) == (page.name, page.state, page.records)


# --- sales ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "wanted", "expected"),
    [
        ("without words, the newest come first", {}, ["fourth", "third", "second", "first"]),
        ("a ticket's number finds its receipt", {"query": "220000000002"}, ["second"]),
        ("so does the till's id", {"query": "#3"}, ["third"]),
        ("a day finds what was sold on it", {"query": "2026-11-20"}, ["fourth", "third", "second", "first"]),
        ("another day finds nothing", {"query": "2026-11-19"}, []),
        ("an amount finds receipts of it", {"query": "86,40"}, ["second"]),
        ("a customer's name finds what they bought", {"query": "ada"}, ["second", "first"]),
        ("nobody's name finds nothing", {"query": "nobody"}, []),
        ("a span of amounts holds both ends", {"least": Decimal("86.40"), "most": 100}, ["second"]),
        ("a type that nobody rang up", {"type": "Refund"}, []),
        ("the usual type", {"type": "Sale"}, ["fourth", "third", "second", "first"]),
        ("a status that nothing has", {"status": "voided"}, []),
        ("days that are over", {"last": date(2026, 11, 19)}, []),
    ],
)
def test_a_sale_is_found(shop, sentence, wanted, expected):
    wanted = {name: Decimal(value) if name == "most" else value for name, value in wanted.items()}
    assert [getattr(shop, name) for name in expected] == ids(sales(shop.books, Wanted(**wanted))), sentence


class Namesakes:
    """So many people that a search does not name all of them."""

    def __init__(self, shop, total):
        self._shop, self._total = shop, total

    def search(self, _query, *, stores, limit):
        return Found(rows=[(self._shop.bruno, None)][:limit], total=self._total, complete=True)


@pytest.mark.parametrize(
    ("sentence", "total", "expected"),
    [
        ("all who are called so were looked for", 1, None),
        ("more are called so than were looked for", 201, 200),
        ("so many are called so that nobody counts them", None, 200),
    ],
)
def test_sales_say_when_a_name_is_looked_for_in_part(shop, sentence, total, expected):
    page = sales(replace(shop.books, roll=Namesakes(shop, total)), Wanted(query="bruno"))

    assert ([shop.third], expected) == (ids(page), page.buyers_max), sentence


def test_sales_say_while_people_are_still_being_read(shop):
    roll = Reading(shop.books.state, shop.books.people, shop.books.arrivals, shop.books.clock)
    page = sales(replace(shop.books, roll=roll), Wanted(query="ada"))

    assert ([], False) == (ids(page), page.complete)
    assert sales(replace(shop.books, roll=roll), Wanted(query="2026-11-20")).complete
    assert sales(shop.books, Wanted(query="ada")).complete


def test_sales_of_whoever_was_merged_are_found_by_who_is_left(opened):
    world = opened()
    ring = world.item("Ring", "100")
    old, middle, new = (world.customer(first, "Marsh") for first in ("Lou", "Louis", "Louisa"))
    sold = [str(world.ring(ring, customer=who)) for who in (old, middle, new)]
    world.backfill()
    with world.remembered() as state, state.begin() as c:
        merges = Verified(state)
        merges.rename(c, "customer", str(old), str(middle))
        merges.rename(c, "customer", str(middle), str(new))
    books = opened.look_into(world)

    assert sorted(sold) == sorted(ids(sales(books, Wanted(query="Louisa"))))
    assert sorted(sold) == sorted(ids(sales(books, Wanted(customer=str(new)))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.50", "12.50"),
        ("12,50", "12.50"),
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("-3,00", "-3.00"),
    ],
)
def test_an_amount_is_read_in_either_spelling(text, expected):
    assert Decimal(expected) == amount_in(text)


def test_a_receipt_shows_both_systems_and_its_way(shop):
    page = receipt(shop.books, shop.second)
    stages = {stage.what: stage.done for stage in page.stages}

    assert [("CHAIN-7", Decimal(2), Decimal("86.40"))] == [(g.sku, g.quantity, g.total) for g in page.goods]
    assert {"rung up": True, "read": True, "confirmed": True, "verified": True, "proven": False} == stages
    header = {each.field: each.value for each in page.sent[0].fields}
    assert ("86.40", "2026-11-20") == (header["Total__c"], header["Business_Date__c"])
    assert all(row.crm_id for row in page.sent)


def test_a_receipt_of_another_store_is_not_there(shop):
    assert receipt(shop.books, shop.first, stores={shop.south}) is None
    assert receipt(shop.books, shop.second, stores={shop.south}).head.id == shop.second
    assert receipt(shop.books, "99999") is None


def test_refunds_are_linked_both_ways(opened):
    world = opened()
    ring = world.item("Ring", "100")
    sold = world.ring(ring)
    world.backfill()
    world.pass_time(minutes=3)
    back = world.floor.refund(sold)["saleID"]
    world.sync()
    books = opened.look_into(world)

    assert [str(sold)] == [each.id for each in receipt(books, str(back)).comes_back_from]
    assert [str(back)] == [each.id for each in receipt(books, str(sold)).came_back_with]
    assert [str(back)] == ids(sales(books, Wanted(type="Refund")))
    total = stores_page(books, TODAY, TODAY).total
    assert (2, 1, Decimal(0), 0.5) == (total.receipts, total.refunds, total.takings, total.refund_rate * 0.5)


def test_goods_that_come_back_name_no_sale_of_a_store_that_is_not_to_be_seen(opened):
    world = opened()
    other = str(world.shop("Southgate", "Europe/Amsterdam"))
    sold = world.ring(world.item("Ring", "100"))
    world.backfill()
    world.pass_time(minutes=3)
    back = world.floor.refund(sold)["saleID"]
    world.till_row("Sale", back)["shopID"] = int(other)
    world.sync()
    books = opened.look_into(world)
    told = [receipt(books, str(back), stores=stores).goods for stores in (None, {other})]

    assert [[str(sold)], [None]] == [[each.comes_back_from for each in goods] for goods in told]


# --- what waits ----------------------------------------------------------------------------------


def test_problems_stand_by_cause_with_the_one_fix(shop):
    (card,) = problems(shop.books).causes

    assert (1, ["LastName"], "replace") == (card.count, card.fields, card.fix)
    assert "no such family" == card.message
    (line,) = problem_list(shop.books, card.cause).rows
    assert "Novák" == problem(shop.books, line.id).sent["LastName"]
    assert problem(shop.books, 999) is None


def test_nobody_waits_for_a_decision(shop):
    assert ([], []) == (reviews(shop.books).rows, conflicts(shop.books).rows)


# --- the house -----------------------------------------------------------------------------------


def test_the_overview_adds_today_up_in_both_systems(shop):
    page = overview(shop.books)

    assert (Decimal("345.60"), Decimal("345.60")) == (page.till_total, page.crm_total)
    assert {"Albany": 2, "Southgate": 2} == {each.store: each.receipts for each in page.stores}
    assert "confirmed" == page.arrived
    assert [False] * len(page.freshness) == [each.is_late for each in page.freshness]
    assert 24 == len(page.calls)
    assert (7, 5) == (page.calls[-1].till, page.calls[-1].crm)
    assert 1 == page.open_problems
    assert {"problem": 1} == page.backlog["customer"]
    assert {"crm", "till"} == {gauge.side for gauge in page.gauges}


class Reading(Roll):
    """A roll that has not read anybody yet, as right after a start."""

    def refresh(self):
        pass


def test_the_overview_says_while_people_are_still_being_read(shop):
    roll = Reading(shop.books.state, shop.books.people, shop.books.arrivals, shop.books.clock)
    page = overview(replace(shop.books, roll=roll))

    assert (False, 0) == (page.people_complete, sum(page.people.values()))
    assert overview(shop.books).people_complete


def test_a_stream_that_was_never_read_is_late_once_it_should_have_been(shop):
    service, now = shop.books.service, shop.books.now()

    def late_when_due(due):
        service.plan_streams("default", {("poll", "voids"): 3_600.0}, due)
        found = {each.stream: each for each in overview(shop.books).freshness}["voids"]
        service.plan_streams("default", {}, due)
        assert found.read_at is None
        return found.is_late

    assert (False, True) == (late_when_due(now - 3_600), late_when_due(now - 4 * 3_600))


def test_runs_are_listed_with_what_they_spent(shop):
    page = runs(shop.books)

    assert page.slice.total == len(page.rows)
    assert run(shop.books, 999) is None
    assert [] == work(shop.books).streams, "nobody has served it yet"


def test_products_are_found_by_title_and_number(shop):
    assert [shop.ring_id] == ids(products(shop.books, "gold"))
    assert [shop.chain_id] == ids(products(shop.books, "CHAIN-7"))
    assert [] == ids(products(shop.books, "nothing%"))
    page = product(shop.books, shop.ring_id)
    assert ("Gold ring", Decimal("100.00"), "settled") == (
        page.product.title,
        page.product.price,
        page.product.state,
    )
    assert product(shop.books, "999") is None


def test_a_store_is_shown_in_figures(shop):
    page = stores_page(shop.books, TODAY, TODAY)

    assert (4, Decimal("345.60"), Decimal("86.40")) == (
        page.total.receipts,
        page.total.takings,
        page.total.basket,
    )
    assert ["Albany", "Southgate"] == sorted(each.name for each in page.stores)
    assert [("Gold ring", 2), ("Silver chain", 3)] == [(p.name, p.figures.units) for p in page.products]
    south = stores_page(shop.books, TODAY, TODAY, store=shop.south)
    assert (2, ["Silver chain"]) == (south.total.receipts, [p.name for p in south.products])


def test_whole_months_and_single_days_come_to_the_same(shop):
    whole = stores_page(shop.books, date(2026, 11, 1), date(2026, 11, 30))
    some = stores_page(shop.books, date(2026, 11, 2), date(2026, 11, 29))

    assert whole.products == some.products
    assert whole.total == some.total


@pytest.mark.parametrize(
    ("first", "last", "months", "spans"),
    [
        ("2026-11-01", "2026-11-30", ["2026-11"], []),
        ("2026-11-05", "2026-11-06", [], [("2026-11-05", "2026-11-06")]),
        (
            "2026-10-31",
            "2026-12-01",
            ["2026-11"],
            [("2026-10-31", "2026-10-31"), ("2026-12-01", "2026-12-01")],
        ),
        ("2024-02-01", "2024-02-29", ["2024-02"], []),
        ("2026-12-15", "2027-01-31", ["2027-01"], [("2026-12-15", "2026-12-31")]),
    ],
)
def test_a_period_is_whole_months_and_the_days_around_them(first, last, months, spans):
    found, rest = parts_of(date.fromisoformat(first), date.fromisoformat(last))

    assert (months, spans) == (found, [(a.isoformat(), b.isoformat()) for a, b in rest])


def test_what_if_is_tried_on_the_forecast(shop):
    page = budget(shop.books, "interval=30m")

    assert page.then.till_a_day < page.now.till_a_day
    with pytest.raises(ValueError, match="is no wish"):
        budget(shop.books, "colour=blue")


def test_a_certificate_ticks_the_calendar(opened):
    world = opened()
    world.ring(world.item("Ring", "100"))
    world.backfill()
    made = world.certify()
    books = opened.look_into(world)

    (row,) = certificates(books, TODAY, TODAY).stores
    (mark,) = row.days
    assert ("agrees", 1, Decimal("108.00"), mark.till) == (mark.standing, mark.sales, mark.till, mark.crm)
    assert certificate(books, made.id).agrees
    assert certificate(books, 999) is None
    assert [] == certificate(books, made.id, stores=[]).cells


def test_a_day_says_which_receipts_differ_and_why(opened):
    world = opened()
    ring = world.item("Ring", "100")
    world.ring(ring)
    sale = world.ring(ring)
    world.backfill()
    first = world.certify()
    world.edit_in_crm(world.sale_row(sale)["Id"], Total__c=1)
    second = world.certify()
    books = opened.look_into(world)
    (store_id,) = books.names().stores

    day = store_day(books, store_id, TODAY)
    assert ("differs", Decimal("216.00"), Decimal("109.00")) == (
        day.mark.standing,
        day.mark.till,
        day.mark.crm,
    )
    assert [(str(sale), "edited in Salesforce")] == [(each.sale, each.reason) for each in day.receipts]
    assert [(second.id, True), (first.id, False)] == [(each.id, each.differs) for each in day.looks]
    assert {"Total__c"} == {name for each in day.receipts for name in each.fields}
    assert "open" == store_day(books, store_id, date(2026, 11, 25)).mark.standing
    assert store_day(books, "99", TODAY) is None
    assert store_day(books, store_id, TODAY, stores=[]) is None


def test_levers_stand_where_things_are(shop):
    levers = {lever.name: lever for lever in budget(shop.books).levers}

    assert (60.0, 2.0, 40.0) == (levers["interval"].now, levers["stores"].now, levers["share"].now)
    assert [] == [each.name for each in levers.values() if not each.least <= each.now <= each.most]
    moved = budget(shop.books, ",".join(f"{each.name}={each.most:g}{each.unit}" for each in levers.values()))
    assert moved.then is not None, "every lever is a wish that what-if understands"


# --- one store only ------------------------------------------------------------------------------


def test_somebody_of_one_store_sees_nothing_of_the_other(shop):
    """Whatever a view says to them, no receipt, name or figure of the first shop is in it."""
    books, only = shop.books, {shop.south}
    said = [
        overview(books, stores=only),
        customers(books, stores=only),
        customers(books, "novak", stores=only),
        sales(books, stores=only),
        sales(books, Wanted(store=shop.shops[0]), stores=only),
        sales(books, Wanted(query="220000000001"), stores=only),
        problems(books, stores=only),
        problem_list(books, stores=only),
        reviews(books, stores=only),
        conflicts(books, stores=only),
        stores_page(books, TODAY, TODAY, stores=only),
        stores_page(books, TODAY, TODAY, store=shop.shops[0], stores=only),
        certificates(books, TODAY, TODAY, stores=only),
        person(books, shop.ada, stores=only),
        product(books, shop.ring_id, stores=only),
    ]
    text = msgspec.json.encode(said).decode()

    assert "Southgate" in text
    assert [] == [
        word for word in ("Novák", "Quist", "220000000001", "220000000004", "345.60") if word in text
    ]
    assert store_day(books, shop.shops[0], TODAY, stores=only) is None
    seen = overview(books, stores=only)
    assert ([], [], [], {}) == (seen.gauges, seen.calls, seen.work.lanes, seen.backlog)
    assert [] == [each.name for each in seen.work.streams if each.counts]
    assert person(books, shop.dora, stores=only) is None
    assert person(books, shop.carla, stores=only) is None
    assert [shop.second] == [line.id for line in person(books, shop.ada, stores=only).receipts]
    assert 1 == person(books, shop.ada, stores=only).bought.receipts


def test_somebody_of_one_store_is_not_told_which_receipt_of_another_holds_the_proof_up(shop):
    with shop.remembered() as state:
        Days(state).note_held_up("receipt 77 of Albany waits")
    told = [
        certificates(shop.books, TODAY, TODAY, stores=stores).held_up for stores in (None, [shop.shops[1]])
    ]

    assert "receipt 77 of Albany waits" == told[0]
    assert "77" not in told[1]


# --- what the overview says of today -------------------------------------------------------------


def of_sales(*, late):
    return Freshness(
        stream="sales",
        read_at=moment_of(1_800_000_000.0),
        age_seconds=5.0,
        every_seconds=30.0,
        is_late=late,
        polls=[],
        worst=[],
    )


def takings(receipts, crm_receipts, till, crm):
    return StoreToday(
        store_id="1",
        store="Albany",
        day="2026-11-20",
        receipts=receipts,
        till=Decimal(till),
        crm_receipts=crm_receipts,
        crm=Decimal(crm),
        on_the_way=[],
        tick="open",
        certificate=None,
        certified_day=None,
        differing=0,
    )


@pytest.mark.parametrize(
    ("sentence", "late", "today", "word"),
    [
        ("all are there", False, [takings(2, 2, 10, 10)], "confirmed"),
        ("what cancels out is on the way", False, [takings(2, 0, 0, 0)], "on the way"),
        ("who has not looked does not know", True, [takings(2, 2, 10, 10)], "late"),
        ("nor of a day without receipts", True, [takings(0, 0, 0, 0)], "late"),
        ("nothing is no agreement", False, [takings(0, 0, 0, 0)], "nothing sold"),
    ],
)
def test_the_overview_says_what_the_crm_has_confirmed_and_no_more(sentence, late, today, word):
    assert word == arrived([of_sales(late=late)], today), sentence


def test_the_overview_says_nothing_of_sales_that_were_never_read():
    assert "late" == arrived([], [takings(0, 0, 0, 0)])


# --- what somebody has bought, as the list shows it ----------------------------------------------


def bought(shop, who, stores=None):
    (row,) = [each for each in customers(shop.books, stores=stores).rows if each.id == who]
    return row.receipts, row.bought_for


def test_the_list_adds_up_what_everybody_has_bought(shop):
    page = person(shop.books, shop.ada).bought

    assert (page.receipts, page.total) == bought(shop, shop.ada)
    assert (0, Decimal(0)) == bought(shop, shop.carla)


def test_whoever_sees_one_store_sees_what_was_bought_there_alone(shop):
    page = person(shop.books, shop.ada, stores={shop.south}).bought
    everywhere = person(shop.books, shop.ada).bought

    assert (page.receipts, page.total) == bought(shop, shop.ada, {shop.south})
    assert page.receipts < everywhere.receipts


def test_what_comes_back_makes_no_basket_smaller(opened):
    world = opened()
    ring = world.item("Ring", "100")
    first = world.ring(ring)
    world.ring(ring, ring)
    world.backfill()
    world.pass_time(minutes=5)
    world.floor.refund(first)
    world.sync()
    total = stores_page(opened.look_into(world), TODAY, TODAY).total

    assert (3, 1, Decimal("216.00"), Decimal("108.00")) == (
        total.receipts,
        total.refunds,
        total.takings,
        total.refunded,
    )
    assert Decimal("162.00") == total.basket


def test_a_lookup_that_waits_is_not_shown_as_if_salesforce_held_it(opened):
    world = opened()
    for mail in ("pim@vos.example", "pam@vos.example"):
        world.person("Pim", "Vos", email=mail, mobile="06 1234 5678")
    pim = world.customer("Pim", "Bos", email="pim@vos.example", mobile="+31612345678")
    sale = world.ring(world.item("Ring", "100"), customer=pim)
    world.backfill()
    page = receipt(opened.look_into(world), str(sale))
    waits = {each.field for row in page.sent for each in row.fields if each.waits}

    assert "review" == world.standing("customer", pim)
    assert ([f"customer {pim}"], {"Account__c"}) == (page.waits_for, waits)


def test_products_that_wait_for_a_person_are_counted_and_can_be_listed(opened):
    world = opened()
    for name in ("Ring", "Ring again"):
        world.in_crm("Product2", Name=name, StockKeepingUnit="R-1")
    twin = str(world.item("Ring", "100", customSku="R-1"))
    world.item("Pearl", "12")
    world.backfill()
    books = opened.look_into(world)

    assert 1 == overview(books).products
    assert [twin] == ids(products(books, in_review=True))


@pytest.fixture(scope="module")
def doubles(opened):
    """Nell has two till records and the same e-mail twice; an older number went into an old one, and that
    into the first; each bought.
    """
    world = opened()
    ring = world.item("Ring", "100")
    world.person("Nell", "Voss", email="nell@voss.example")
    world.nell = [str(world.customer("Nell", "Voss", email="nell@voss.example")) for _ in range(2)]
    world.old, world.older = (str(world.customer("Nell", name)) for name in ("Vos", "Fos"))
    for number, count in (*zip(world.nell, (1, 2), strict=True), (world.old, 3), (world.older, 1)):
        for _ in range(count):
            world.ring(ring, customer=int(number))
    world.backfill()
    with world.opened() as parts, parts.state.begin() as c:
        for old, new in ((world.old, world.nell[0]), (world.older, world.old)):
            row = {"kind": "customer", "old_id": old, "new_id": new, "made_at": 0.0}
            c.execute(sa.insert(schema.alias).values(row))
    world.books = opened.look_into(world)
    return world


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        pytest.param("nell", 50, id="all of them on one page"),
        pytest.param("nell", 1, id="the others on other pages"),
        pytest.param("", 50, id="those who moved last"),
    ],
)
def test_the_list_and_the_page_of_somebody_with_several_records_agree(doubles, query, limit):
    pages = [customers(doubles.books, query, offset=start, limit=limit).rows for start in range(0, 4, limit)]
    listed = {row.id: (row.receipts, row.bought_for) for rows in pages for row in rows}
    told = {who: person(doubles.books, who).bought for who in (*doubles.nell, doubles.old, doubles.older)}

    assert {who: (each.receipts, each.total) for who, each in told.items()} == listed
    assert (7, Decimal(756)) == listed[doubles.nell[1]]


def test_amounts_of_a_person_have_the_currency_of_the_list(doubles):
    assert ("USD", "USD") == (
        customers(doubles.books).currency,
        person(doubles.books, doubles.nell[0]).currency,
    )


# --- the two sides, and where fields lead ----------------------------------------------------------


def test_both_sides_are_connected_after_a_sync(shop):
    assert [("Lightspeed", True, None), ("Salesforce", True, None)] == [
        (each.system, each.connected, each.why) for each in sides(shop.books)
    ]


def test_references_of_a_receipt_lead_to_what_they_mean_by_name(shop):
    (row,) = [each for each in receipt(shop.books, shop.second).sent if each.kind == "sale"]
    leads = {each.field: each.leads_to for each in row.fields if each.leads_to}

    assert ("Southgate", f"stores?store={shop.south}") == (leads["Store__c"].name, leads["Store__c"].place)
    assert ("Ada Vermeulen", f"customers/{shop.ada}") == (leads["Account__c"].name, leads["Account__c"].place)


def test_values_of_a_receipt_say_what_they_are(shop):
    (row,) = [each for each in receipt(shop.books, shop.second).sent if each.kind == "sale"]
    kinds = {each.field: each.kind for each in row.fields}

    assert ("amount", "flag", "moment", "day", "id") == tuple(
        kinds[name]
        for name in (
            "Total__c",
            "Tax_Inclusive__c",
            "Completed_At__c",
            "Business_Date__c",
            "Transaction_Key__c",
        )
    )
