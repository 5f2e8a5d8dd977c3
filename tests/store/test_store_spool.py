"""Staged sales and tokens: on the disk before anybody relies on them, and there again after a kill."""

from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

from tillbridge.model.records import Sale, SaleState
from tillbridge.store.spool import JobRow
from tillbridge.store.tokens import TokenDrawer, drawer_name

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def sale(number):
    nothing = dict.fromkeys(("discount", "tax1", "tax2", "paid", "tips", "change"), Decimal(0))
    return Sale(
        id=str(number),
        ticket=str(number),
        state=SaleState.COMPLETED,
        store_id="1",
        subtotal=Decimal("12.50"),
        total=Decimal("12.50"),
        due=Decimal("12.50"),
        created_at=NOON,
        completed_at=NOON,
        changed_at=NOON,
        **nothing,
    )


def stage(home, wave, *numbers):
    with home.state.begin() as c:
        home.spool.stage(c, wave, [sale(n) for n in numbers])


def test_what_is_staged_comes_back_page_by_page_in_order(home):
    assert (1, 0) == home.spool.current()
    stage(home, 1, 1, 2)
    stage(home, 1, 3)
    opened = home.again()

    assert (1, 3) == opened.spool.current()
    assert [[sale(1), sale(2)], [sale(3)]] == list(opened.spool.pages(1))
    opened.close()


def test_a_wave_is_closed_for_staging_when_its_first_job_begins(home):
    stage(home, 1, 1)
    assert not home.spool.is_loading(1)
    with home.state.begin() as c:
        home.spool.note_job(c, JobRow(1, "sale", "750", "opened", 0))

    assert home.spool.is_loading(1)


def test_the_next_wave_has_the_next_number(home):
    stage(home, 1, 1)
    with home.state.begin() as c:
        home.spool.note_job(c, JobRow(1, "sale", None, "settled", 0))
        home.spool.clear(c, 1)

    assert (2, 0) == home.spool.current()
    assert [] == list(home.spool.pages(1))


def test_a_job_is_known_by_wave_and_part(home):
    with home.state.begin() as c:
        home.spool.note_job(c, JobRow(1, "sale", "750A", "opened", 0))
        home.spool.note_job(c, JobRow(1, "sale", "750A", "closed", 12))

    assert JobRow(1, "sale", "750A", "closed", 12) == home.spool.job(1, "sale")
    assert None is home.spool.job(1, "line")


def drawer(home, name="lightspeed"):
    return TokenDrawer(home.state, home.vault, name, nullcontext)


def test_a_token_is_there_for_the_next_process(home):
    assert None is drawer(home).load()
    drawer(home).save(b"first")
    drawer(home).save(b"second")
    opened = home.again()

    assert b"second" == drawer(opened).load()
    assert None is drawer(opened, "salesforce").load()
    opened.close()


def test_a_token_is_not_readable_in_the_database(home):
    drawer(home).save(b"a-very-secret-token")

    assert b"a-very-secret-token" not in home.content()


def test_each_configured_login_has_a_drawer_of_its_own_that_does_not_name_it():
    logins = [("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"), ("b", "a")]
    names = [drawer_name(remote, *login) for remote in ("lightspeed", "salesforce") for login in logins]

    assert len(names) == len(set(names))
    assert drawer_name("salesforce", "a-secret") == drawer_name("salesforce", "a-secret")
    assert "a-secret" not in drawer_name("salesforce", "a-secret")
