"""A state that counted receipts before the newest sums existed: they are as if all was read today."""

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from store_home import Home
from test_receipts_store import added_up, line, receipt, take_in, tallies
from test_store_database import plain_engine

from tillbridge.store import database, schema
from tillbridge.store.receipts import figures_of

# The sums that version 0005 kept; the others came with 0006.
OF_OLD = ("store", "seller", "product")
KEY = ("scope", "store", "period", "name")
SUMS = ("receipts", "refunds", "units", "total", "net", "refunded")

READ = (
    receipt(1, line(11, "7", seller="3"), line(12, "7", seller="4", position=1), line(13, None, position=2)),
    receipt(2, line(21, "8"), day="2026-11-19", seller=None),
    receipt(
        3, line(31, "7", -1_000, -12_100, -10_000, original="11"), type="Refund", day="2026-11-21", seller="4"
    ),
    receipt(4, line(41, "7"), line(42, "8", units=500, total=605, net=500, position=1), store="2"),
    receipt(5, line(51, "7"), day="2026-10-31"),
    receipt(6, line(61, "7"), status="voided"),
    receipt(7, line(71, "7"), status="open"),
)


@pytest.fixture
def older(place):
    """A state as version 0005 left it, with receipts, their lines, and the sums that it kept."""
    engine = plain_engine(place)
    config = Config()
    config.set_main_option("script_location", str(database.Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        if place.url is not None:
            connection.execute(sa.schema.CreateSchema(place.schema))
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        headers = [
            {name: getattr(each, name) for name in each.__struct_fields__ if name != "lines"} for each in READ
        ]
        connection.execute(sa.insert(schema.receipt), [{**each, "read_at": 1.0} for each in headers])
        lines = [
            {"sale": each.till_id, **msgspec.structs.asdict(held)} for each in READ for held in each.lines
        ]
        connection.execute(sa.insert(schema.receipt_line), lines)
        kept = {key: sums for key, sums in added_up(READ).items() if key[0] in OF_OLD}
        rows = [
            {
                **dict(zip(("scope", "store", "period", "name"), key, strict=True)),
                **dict(zip(SUMS, sums, strict=True)),
            }
            for key, sums in kept.items()
        ]
        connection.execute(sa.insert(schema.tally), rows)
    engine.dispose()
    return place


def test_every_sum_is_as_if_all_had_been_read_today(older):
    home = Home(older)
    found = tallies(home)
    home.close()

    assert {"store", "seller", "product", "seller month", "product day"} == {key[0] for key in found}
    assert added_up(READ) == found


def test_what_is_read_again_afterwards_moves_the_new_sums_too(older):
    home = Home(older)
    corrected = msgspec.structs.replace(
        READ[0], lines=READ[0].lines[:1], total=12_100, net=10_000, units=1_000
    )
    take_in(home, corrected, READ[3])
    found = tallies(home)
    home.close()

    assert added_up((corrected, *READ[1:])) == found


def test_a_receipt_that_counts_nowhere_adds_nothing():
    assert [] == [each for receipt in READ[5:] for each in figures_of(receipt)]
