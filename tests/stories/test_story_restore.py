"""A home is lost, an older backup is put back: it catches up by itself, and nothing is there twice."""

import io

import pytest

from tillbridge.cli.app import run


@pytest.fixture
def shop(found):
    world = found()
    world.ring_id = world.item("Ring", "100")
    world.anna = world.customer("Anna", "Prins", email="anna@mail.example")
    world.first = world.ring(world.ring_id, customer=world.anna)
    return world


def command(*words, clock=None):
    out, err = io.StringIO(), io.StringIO()
    status = run([str(word) for word in words], out=out, err=err, env={}, clock=clock)
    return status, out.getvalue() + err.getvalue()


def signed_in_anew(shop):
    """Authorise once more, as a person does in a browser: the till gives a first refresh token."""
    grants = shop.till_app.grants
    _, refresh_token = grants.exchange_code(grants.authorize(frozenset({"employee:all"})), "")
    config = shop.home / "tillbridge.toml"
    config.write_text(
        config.read_text("utf-8").replace('"demo-refresh"', f'"{refresh_token.text}"'), encoding="utf-8"
    )


def rows(shop):
    kinds = (
        "Account",
        "Sales_Transaction__c",
        "Sales_Transaction_Line__c",
        "Customer_Identity__c",
        "Product2",
    )
    return {kind: len(shop.all_rows(kind)) for kind in kinds}


def test_an_older_copy_catches_up_and_makes_nothing_twice(shop, tmp_path):
    shop.backfill()
    file = tmp_path / "backup.tar"
    status, said = command("backup", file, "--with-key", "--home", shop.home)
    assert 0 == status, said

    shop.pass_time(hours=1)
    second = shop.ring(shop.ring_id, customer=shop.anna)
    bea = shop.customer("Bea", "Smit", email="bea@mail.example")
    third = shop.ring(shop.ring_id, customer=bea)
    shop.sync()
    before = rows(shop)

    lost, shop.home = shop.home, tmp_path / "again"
    status, said = command("restore", file, "--home", shop.home)
    assert 0 == status, said
    signed_in_anew(shop)
    assert [None, None] == [shop.known("sale", sale) for sale in (second, third)], "it knows nothing of them"

    shop.pass_time(minutes=5)
    fourth = shop.ring(shop.ring_id, customer=bea)
    shop.sync()
    after = rows(shop)
    assert {**before, "Sales_Transaction__c": before["Sales_Transaction__c"] + 1,
            "Sales_Transaction_Line__c": before["Sales_Transaction_Line__c"] + 1} == after  # fmt: skip
    assert ["settled"] * 3 == [shop.standing("sale", sale) for sale in (second, third, fourth)]
    assert () == tuple(shop.differences())
    assert lost != shop.home


def test_a_token_that_rotated_since_is_void_until_somebody_signs_in_anew(shop, tmp_path):
    shop.backfill()
    file = tmp_path / "backup.tar"
    command("backup", file, "--with-key", "--home", shop.home)
    for _ in range(2):  # Fetches new tokens and uses them: those in the backup are void now.
        shop.pass_time(days=1)
        shop.sync()

    shop.home = tmp_path / "again"
    command("restore", file, "--home", shop.home)
    status, said = command("sync", "--home", shop.home, clock=shop.clock)
    assert (2, True) == (status, "uthorise" in said), said
    signed_in_anew(shop)
    status, said = command("sync", "--home", shop.home, clock=shop.clock)
    assert 0 == status, said
