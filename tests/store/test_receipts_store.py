"""Receipts kept to be searched: tallies move with their lines, however often a sale is read again."""

import random

import msgspec
import pytest
import sqlalchemy as sa
from store_home import Home

from tillbridge.store import schema
from tillbridge.store.hours import HOUR, Hours
from tillbridge.store.receipts import Line, Receipt, Receipts, figures_of


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.close()


def line(i, product="7", units=1_000, total=12_100, net=10_000, **more):
    given = {"seller": None, "original": None, "position": 0, **more}
    return Line(till_id=str(i), product=product, units=units, total=total, net=net, **given)


def receipt(i, *lines, **more):
    lines = lines or (line(i),)
    given = {
        "ticket": f"22{i}",
        "store": "1",
        "day": "2026-11-20",
        "at": 1_000.0,
        "status": "completed",
        "type": "Sale",
        "channel": "Store",
        "register": None,
        "customer": "5",
        "seller": "3",
        "tax": 0,
        "units": sum(each.units for each in lines),
        "total": sum(each.total for each in lines),
        "net": sum(each.net for each in lines),
    }
    return Receipt(till_id=str(i), lines=tuple(lines), **{**given, **more})


def take_in(home, *receipts):
    with home.state.begin() as c:
        Receipts(home.state).take_in(c, receipts)


def tallies(home):
    table = schema.tally
    with home.state.begin() as c:
        rows = c.execute(sa.select(table)).all()
    return {tuple(row[:4]): tuple(row[4:]) for row in rows if any(row[4:])}


def added_up(receipts):
    sums = {}
    for each in receipts:
        for key, figures in figures_of(each):
            held = sums.setdefault(key, [0] * len(figures))
            for at, figure in enumerate(figures):
                held[at] += figure
    return {key: tuple(held) for key, held in sums.items() if any(held)}


def test_a_receipt_is_kept_as_it_was_read(home):
    kept = receipt(1, line(1, position=0), line(2, position=1, original="99", product=None))
    take_in(home, kept)
    with home.state.begin() as c:
        assert {"1": kept} == Receipts(home.state).read(c, ["1", "2"])


@pytest.mark.parametrize(
    ("sentence", "again"),
    [
        ("read again as it was", receipt(1)),
        ("voided", receipt(1, status="voided")),
        ("moved to another store", receipt(1, store="2")),
        ("moved to another day", receipt(1, day="2026-12-01")),
        ("a line less", receipt(1, line(1))),
        ("another product", receipt(1, line(1, product="8"))),
        ("sold by somebody else", receipt(1, line(1, seller="4"), seller="4")),
        (
            "goods that came back",
            receipt(1, line(1, units=-1_000, total=-12_100, net=-10_000), type="Refund"),
        ),
    ],
)
def test_tallies_are_what_the_receipts_add_up_to(home, sentence, again):
    other = receipt(2, line(3, product="8"))
    take_in(home, receipt(1, line(1), line(2)), other)
    take_in(home, again)

    assert added_up([again, other]) == tallies(home), sentence


def test_a_life_of_changes_leaves_no_trace_in_the_tallies(home):
    rng = random.Random(3)
    now = {}
    for _ in range(40):
        batch = [
            receipt(
                i,
                *(
                    line(f"{i}{n}", product=str(rng.randrange(4)), net=rng.randrange(9_000))
                    for n in range(rng.randrange(1, 4))
                ),
                store=str(rng.randrange(3)),
                day=rng.choice(["2026-11-20", "2026-11-21", "2026-12-01"]),
                status=rng.choice(["completed", "completed", "voided", "open"]),
            )
            for i in rng.sample(range(12), 4)
        ]
        take_in(home, *batch)
        now |= {each.till_id: each for each in batch}

    assert added_up(now.values()) == tallies(home)


def test_who_bought_where_is_noted_once(home):
    take_in(home, receipt(1), receipt(2, store="2"), receipt(3, customer=None))
    take_in(home, msgspec.structs.replace(receipt(1), total=5))
    with home.state.begin() as c:
        rows = c.execute(sa.select(schema.bought.c.customer, schema.bought.c.store)).all()

    assert [("5", "1"), ("5", "2")] == sorted(tuple(row) for row in rows)


def test_hours_add_up_and_keep_the_longest_gap(home):
    hours = Hours(home.state)
    for gap in (60.0, 300.0, 61.0):
        with home.state.begin() as c:
            hours.note(c, {"poll sales": 1, "crm calls": 0}, gap)
    home.clock.sleep(HOUR)
    with home.state.begin() as c:
        hours.note(c, {"poll sales": 1}, 5.0)
    found = hours.since(home.state.now() - 2 * HOUR)

    assert [("poll sales", 3, 300.0), ("poll sales", 1, 5.0)] == [(h.what, h.count, h.worst) for h in found]


def test_old_hours_are_forgotten(home):
    hours = Hours(home.state)
    with home.state.begin() as c:
        hours.note(c, {"crm calls": 2})
    home.clock.sleep(9 * 86_400)
    with home.state.begin() as c:
        hours.note(c, {"crm calls": 3})

    assert [3] == [each.count for each in hours.since(0)]
