"""Lookups: by id when linked, by key when created in the same request, empty and waited for otherwise."""

import pytest
import sqlalchemy as sa
from engine_desk import ACCOUNT, by_key, line_row, sale_row

from tillbridge.engine.resolve import Resolver
from tillbridge.engine.rows import Row
from tillbridge.model.sale import Ref
from tillbridge.store import schema

ANNA = Ref("customer", "1")
PARTS = {"Account__c": ANNA, "Contact__c": ANNA, "Lead__c": ANNA}


def resolve(desk, row, fresh=None):
    resolver = Resolver(desk.state, desk.connection.maps, ACCOUNT)
    resolver.look_up([row])
    return resolver.resolve(row, fresh)


def lookups(standing):
    return tuple(standing.payload[name] for name in PARTS)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"crm_id": "001", "object": "Account"}, ("001", None, None)),
        ({"crm_id": "003", "object": "Contact", "crm_parent": "001"}, ("001", "003", None)),
        ({"crm_id": "003", "object": "Contact"}, (None, "003", None)),
        ({"crm_id": "00Q", "object": "Lead"}, (None, None, "00Q")),
    ],
    ids=["person account", "contact with account", "contact alone", "lead"],
)
def test_each_lookup_takes_its_part_of_the_person(desk, link, expected):
    desk.stand("customer", "1", **link)
    standing = resolve(desk, sale_row(1, **PARTS))

    assert expected == lookups(standing)
    assert [] == standing.missing


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("Account", (by_key("Account__r", "Lightspeed_Customer_Key__c", "C", 1), None, None)),
        (
            "Contact",
            (
                by_key("Account__r", "Lightspeed_Customer_Key__c", "C", 1),
                by_key("Contact__r", "Lightspeed_Customer_Key__c", "C", 1),
                None,
            ),
        ),
        ("Lead", (None, None, by_key("Lead__r", "Lightspeed_Customer_Key__c", "C", 1))),
    ],
)
def test_somebody_created_in_the_same_request_is_named_by_key(desk, made, expected):
    standing = resolve(desk, sale_row(1, **PARTS), {("customer", "1"): made})

    assert expected == lookups(standing)
    assert [] == standing.missing


def test_who_is_not_there_yet_is_waited_for_and_holds_nothing_back(desk):
    standing = resolve(desk, sale_row(1, **PARTS))

    assert (None, None, None) == lookups(standing)
    assert ([(name, ANNA) for name in PARTS], False) == (standing.missing, standing.lost)


def test_a_line_without_its_sale_cannot_be_sent_at_all(desk):
    assert resolve(desk, line_row(11, 1)).lost
    assert not resolve(desk, line_row(11, 1), {("sale", "1"): "Sales_Transaction__c"}).lost


def test_the_digest_is_of_what_would_be_sent_so_that_a_new_link_is_a_change(desk):
    row = sale_row(1, Account__c=ANNA)
    before = resolve(desk, row).digest
    desk.stand("customer", "1", crm_id="001", object="Account")
    linked = resolve(desk, row).digest
    desk.stand("customer", "1", crm_id="002", object="Account")

    assert 3 == len({before, linked, resolve(desk, row).digest})


def test_the_original_of_a_refund_may_come_later_without_changing_the_digest(desk):
    row = sale_row(2, Original_Transaction__c=Ref("sale_of_line", "11"))
    before = resolve(desk, row)
    assert [("Original_Transaction__c", Ref("sale_of_line", "11"))] == before.missing

    desk.stand("sale", "1", crm_id="a01", object="Sales_Transaction__c")
    desk.stand("line", "11", crm_id="l11", object="Sales_Transaction_Line__c", parent="1")
    after = resolve(desk, row)
    assert ("a01", before.digest) == (after.payload["Original_Transaction__c"], after.digest)


def test_an_old_id_of_a_merge_still_leads_to_the_person(desk):
    desk.stand("customer", "1", crm_id="001", object="Account")
    with desk.state.begin() as c:
        c.execute(sa.insert(schema.alias).values(kind="customer", old_id="9", new_id="1", made_at=0.0))

    assert "001" == resolve(desk, sale_row(1, Account__c=Ref("customer", "9"))).payload["Account__c"]


def test_a_contact_of_ours_names_the_account_that_is_created_with_it(desks):
    desk = desks(model="contact")
    row = Row(
        kind="customer",
        till_id="1",
        object="Contact",
        payload={"LastName": "Prins", "AccountId": Ref("account", "1")},
        key_field=None,
    )
    standing = resolve(desk, row, {("account", "1"): "Account"})

    assert "190001-C1" == standing.payload["AccountId"].key
