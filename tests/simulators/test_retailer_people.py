"""Who is who in the generated retailer: the truth is whole, and the CRM's spellings are hard but fair."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest

from tillbridge.simulators.retailer import CrmRow, Plan, Retailer, build, names, phones

Row = dict[str, Any]
PLAN = Plan(customers=600, sales=0)


@pytest.fixture(scope="module")
def world() -> Retailer:
    return build(PLAN)


def emails(customer: Row) -> set[str]:
    return {row["address"].strip().lower() for row in customer["Contact"]["Emails"]}


def country(customer: Row) -> str:
    addresses = customer["Contact"]["Addresses"]
    return addresses[0]["countryCode"] if addresses else "US"


def e164(number: str, region: str) -> str:
    try:
        return phonenumbers.format_number(
            phonenumbers.parse(number, region), phonenumbers.PhoneNumberFormat.E164
        )
    except phonenumbers.NumberParseException:
        return ""


def till_phones(customer: Row) -> set[str]:
    return {e164(row["number"], country(customer)) for row in customer["Contact"]["Phones"]} - {""}


COUNTRY_CODES = {"Netherlands": "NL", "Japan": "JP", "Australia": "AU", "Belgium": "BE"}


def crm_phones(row: CrmRow) -> set[str]:
    home = (
        row.fields.get("PersonMailingCountry")
        or row.fields.get("MailingCountry")
        or row.fields.get("Country")
    )
    region = COUNTRY_CODES.get(home or "", "US")
    return {e164(v, region) for name, v in row.fields.items() if name.endswith("Phone")} - {""}


def crm_email(row: CrmRow) -> str:
    return str(row.fields.get("PersonEmail") or row.fields.get("Email") or "").lower()


def crm_street(row: CrmRow) -> str:
    for name in ("PersonMailingStreet", "MailingStreet", "Street"):
        if name in row.fields:
            return str(row.fields[name]).split("\n", maxsplit=1)[0]
    return ""


# ---- one seed, one world ----


def test_one_plan_gives_one_world() -> None:
    plan = Plan(seed=7, customers=120, sales=150)
    assert build(plan) == build(plan)


def test_another_seed_gives_another_world() -> None:
    plan = Plan(seed=7, customers=120, sales=150)
    assert build(plan).till != build(replace(plan, seed=8)).till


DIGEST = """
from hashlib import sha256
from tillbridge.simulators.retailer import Plan, build

world = build(Plan(customers=150, sales=80))
truth = world.truth
whole = world.till, world.crm, truth.person_of_crm, sorted(truth.look_alikes | truth.ambiguous_products)
print(sha256(repr(whole).encode()).hexdigest())
"""


def test_two_processes_agree_whatever_their_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert 1 == len(digests)


def test_people_and_products_do_not_depend_on_the_sales() -> None:
    plan = Plan(customers=150, sales=200)
    with_sales, without = build(plan), build(plan, with_sales=False)
    assert with_sales.crm == without.crm
    assert with_sales.truth == without.truth
    for name in ("Shop", "Register", "Item", "Category", "CustomerType", "Discount"):
        assert with_sales.till[name] == without.till[name], name
    for one, other in zip(with_sales.till["Customer"], without.till["Customer"], strict=True):
        assert one == other | {"creditAccountID": one["creditAccountID"], "timeStamp": one["timeStamp"]}
    assert [] == without.till["Sale"] == without.till["CreditAccount"]


def test_a_plan_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"shops": 0}, {"customers": -1}, {"years": 0.0}, {"end": datetime(2026, 1, 1)}):  # noqa: DTZ001  Naive on purpose.
        with pytest.raises(ValueError, match="plan"):
            Plan(**wrong)  # type: ignore[arg-type]  # Wrong on purpose.


# ---- the truth ----


def test_every_customer_is_a_person(world: Retailer) -> None:
    assert PLAN.customers == len(world.till["Customer"])
    assert {row["customerID"] for row in world.till["Customer"]} == world.truth.person_of_customer.keys()


def test_look_alikes_are_nobody_in_the_till(world: Retailer) -> None:
    truth = world.truth
    till_people = set(truth.person_of_customer.values())
    assert len(truth.look_alikes) >= 5
    assert not {truth.person_of_crm[ref] for ref in truth.look_alikes} & till_people
    known = truth.person_of_crm.keys() - truth.look_alikes
    assert {truth.person_of_crm[ref] for ref in known} <= till_people
    assert known == truth.spelling_of_crm.keys()


def test_look_alikes_tempt_by_email_by_phone_by_name_and_by_door(world: Retailer) -> None:
    by_email = {key for row in world.till["Customer"] for key in emails(row)}
    by_phone = {key for row in world.till["Customer"] for key in till_phones(row)}
    by_name = {(row["firstName"], row["lastName"]) for row in world.till["Customer"]}
    doors = {row["address1"] for c in world.till["Customer"] for row in c["Contact"]["Addresses"]}
    rows = [row for row in world.crm if row.ref in world.truth.look_alikes]
    assert any(crm_email(row) in by_email for row in rows)
    assert any(crm_phones(row) & by_phone for row in rows)
    assert any((row.fields.get("FirstName"), row.fields["LastName"]) in by_name for row in rows)
    assert any(crm_street(row) in doors for row in rows)


def test_the_crm_holds_its_share_of_the_people(world: Retailer) -> None:
    truth = world.truth
    known = {truth.person_of_crm[ref] for ref in truth.spelling_of_crm}
    people = set(truth.person_of_customer.values())
    assert 0.28 < len(known) / len(people) < 0.36


def test_known_people_are_spelt_in_many_ways(world: Retailer) -> None:
    spellings = Counter(world.truth.spelling_of_crm.values())
    assert {"same", "typo", "nickname", "case", "swapped", "initial", "married"} <= spellings.keys()


def test_some_people_have_two_or_three_till_records(world: Retailer) -> None:
    records = Counter(Counter(world.truth.person_of_customer.values()).values())
    assert records[2] > 10
    assert records[3] >= 1


def test_the_second_record_spells_the_person_otherwise(world: Retailer) -> None:
    spelt: dict[int, set[tuple[str, str]]] = {}
    for row in world.till["Customer"]:
        person = world.truth.person_of_customer[row["customerID"]]
        spelt.setdefault(person, set()).add((row["firstName"], row["lastName"]))
    assert any(len(ways) == 3 for ways in spelt.values())


def test_a_merged_customer_is_archived_and_the_survivor_is_the_same_person(world: Retailer) -> None:
    rows = {row["customerID"]: row for row in world.till["Customer"]}
    assert world.truth.merged_into
    for lost, kept in world.truth.merged_into.items():
        assert (True, False) == (rows[lost]["archived"], rows[kept]["archived"])
        assert world.truth.person_of_customer[lost] == world.truth.person_of_customer[kept]


@pytest.mark.parametrize("moves", [True, False])
def test_whether_old_sales_follow_a_merge_is_a_choice(moves: bool) -> None:
    busy = build(Plan(customers=300, sales=1500, merge_moves_sales=moves))
    still_there = {sale["customerID"] for sale in busy.till["Sale"]} & busy.truth.merged_into.keys()
    assert moves == (not still_there)


# ---- fair but hard ----


def test_whoever_is_known_shares_something_with_each_of_their_records(world: Retailer) -> None:
    truth = world.truth
    cards: dict[int, list[CrmRow]] = {}
    for row in world.crm:
        if row.ref in truth.spelling_of_crm:
            cards.setdefault(truth.person_of_crm[row.ref], []).append(row)
    checked = 0
    for customer in world.till["Customer"]:
        for card in cards.get(truth.person_of_customer[customer["customerID"]], ()):
            streets = {row["address1"] for row in customer["Contact"]["Addresses"]}
            assert (
                crm_email(card) in emails(customer)
                or crm_phones(card) & till_phones(customer)
                or crm_street(card) in streets
            ), (customer["customerID"], card.ref)
            checked += 1
    assert checked > 150


def test_riddles_without_evidence_are_named() -> None:
    world = build(replace(PLAN, crm_without_evidence=0.1))
    riddles = [row for row in world.crm if row.ref in world.truth.without_evidence]
    assert len(riddles) > 10
    assert all(not crm_email(row) and not crm_phones(row) and not crm_street(row) for row in riddles)
    assert not build(PLAN).truth.without_evidence


PLACEHOLDERS = {
    "noemail@example.com",
    "@example.com",
    "two words@example.com",
    "none",
    "n/a",
    "name@",
    "anna.example.com",
}


def test_strangers_share_no_email_and_no_phone(world: Retailer) -> None:
    """Who shares one bears the same name: a family. What staff type for everybody is apart."""
    bearers: dict[str, dict[int, set[str]]] = {}
    for row in world.till["Customer"]:
        person = world.truth.person_of_customer[row["customerID"]]
        for key in (emails(row) | till_phones(row)) - PLACEHOLDERS:
            bearers.setdefault(key, {}).setdefault(person, set()).add(row["lastName"].casefold())
    for key, people in bearers.items():
        assert set.intersection(*people.values()) or len(people) == 1, key


def test_families_share_an_email(world: Retailer) -> None:
    people: dict[str, set[int]] = {}
    for row in world.till["Customer"]:
        for key in emails(row):
            people.setdefault(key, set()).add(world.truth.person_of_customer[row["customerID"]])
    assert sum(len(who) > 1 for who in people.values()) > 5


def test_siblings_one_letter_apart_share_everything_else(world: Retailer) -> None:
    rows = [row for row in world.till["Customer"] if row["firstName"] in {"Maria", "Mario"}]
    by_email: dict[str, set[str]] = {}
    for row in rows:
        for key in emails(row):
            by_email.setdefault(key, set()).add(row["firstName"])
    assert {"Maria", "Mario"} in by_email.values()


def test_same_name_strangers_exist(world: Retailer) -> None:
    people: dict[tuple[str, str], set[int]] = {}
    for row in world.till["Customer"]:
        if row["firstName"] and row["lastName"] and not row["archived"]:
            name = row["firstName"], row["lastName"]
            people.setdefault(name, set()).add(world.truth.person_of_customer[row["customerID"]])
    assert any(len(who) > 1 for who in people.values())


def test_namesakes_behind_one_door_are_told_apart_by_their_birthdays(world: Retailer) -> None:
    doors: dict[tuple[str, ...], list[Row]] = {}
    for row in world.till["Customer"]:
        for address in row["Contact"]["Addresses"]:
            key = row["firstName"], row["lastName"], address["address1"], address["zip"]
            doors.setdefault(key, []).append(row)
    pairs = [
        rows
        for rows in doors.values()
        if len({world.truth.person_of_customer[row["customerID"]] for row in rows}) > 1
    ]
    assert pairs
    for rows in pairs:
        assert None not in {row["dob"] for row in rows}
        assert len(rows) == len({row["dob"] for row in rows})


@pytest.mark.parametrize(
    "oddity",
    [
        pytest.param(lambda r: "<script>" in r["firstName"], id="a script for a first name"),
        pytest.param(lambda r: "'" in r["firstName"] or "'" in r["lastName"], id="an apostrophe"),
        pytest.param(lambda r: "💍" in r["firstName"], id="an emoji"),
        pytest.param(lambda r: len(r["lastName"]) > 80, id="a name longer than the CRM takes"),
        pytest.param(lambda r: r["firstName"] and not r["lastName"], id="no last name"),
        pytest.param(lambda r: r["company"] and not r["firstName"] + r["lastName"], id="a company only"),
        pytest.param(lambda r: not (r["firstName"] + r["lastName"] + r["company"]), id="no name at all"),
        pytest.param(lambda r: r["firstName"] == "Customer" and r["archived"], id="an erased person"),
        pytest.param(lambda r: any(x != x.lower() for x in raw_emails(r)), id="an e-mail in capitals"),
        pytest.param(lambda r: any("@" not in x for x in raw_emails(r)), id="an e-mail that is none"),
        pytest.param(lambda r: not r["Contact"]["Emails"], id="no e-mail"),
        pytest.param(lambda r: len(r["Contact"]["Emails"]) == 2, id="two e-mails"),
        pytest.param(lambda r: any(" ext" in p["number"] for p in r["Contact"]["Phones"]), id="an extension"),
        pytest.param(lambda r: r["CustomFieldValues"], id="custom fields"),
        pytest.param(lambda r: not r["Contact"]["noEmail"], id="somebody who may be mailed"),
        pytest.param(lambda r: r["Contact"]["noEmail"], id="somebody who may not"),
    ],
)
def test_the_till_knows(world: Retailer, oddity: Any) -> None:
    assert any(oddity(row) for row in world.till["Customer"])


def raw_emails(row: Row) -> list[str]:
    return [email["address"] for email in row["Contact"]["Emails"]]


def test_one_number_has_many_spellings_that_all_read_the_same() -> None:
    rng = Random(1)
    for phone in (
        phones.Phone("US", "2125550142"),
        phones.Phone("NL", "655512345"),
        phones.Phone("JP", "9055512345"),
    ):
        written = {phones.spell(rng, phone) for _ in range(200)}
        assert len(written) > 8
        assert {phone.e164} == {e164(text, phone.country) for text in written}


def test_a_typo_is_one_small_slip() -> None:
    rng = Random(1)
    for name in ("Holloway", "Thompson", "van den Berg", "Hendriks"):
        for _ in range(50):
            wrong = names.typo(rng, name)
            assert name[0] == wrong[0]
            assert abs(len(name) - len(wrong)) <= 1
    assert "Kim" == names.typo(rng, "Kim")


def test_a_birthday_is_the_shops_local_midnight_in_utc(world: Retailer) -> None:
    zones = [ZoneInfo(row["timeZone"]) for row in world.till["Shop"]]
    born = [row["dob"] for row in world.till["Customer"] if row["dob"]]
    assert len(born) > 50
    for moment in born:
        assert moment.utcoffset() == UTC.utcoffset(None)
        assert any(moment.astimezone(zone).time().isoformat() == "00:00:00" for zone in zones)
    assert any(moment.hour > 12 for moment in born), "east of Greenwich the UTC date is a day early"


# ---- shops, goods, and the org ----


def test_shops_stand_east_and_west_of_greenwich_and_one_is_tax_inclusive(world: Retailer) -> None:
    now = PLAN.end
    offsets = {ZoneInfo(row["timeZone"]).utcoffset(now) for row in world.till["Shop"]}
    zero = now - now
    assert min(offsets) < zero < max(offsets)  # type: ignore[type-var, operator]  # Never None for a ZoneInfo.
    assert {True, False} == {row["isTaxInclusive"] for row in world.till["TaxCategory"]}


def test_stock_of_shop_zero_is_the_sum_of_the_shops(world: Retailer) -> None:
    for item in world.till["Item"]:
        total, *shops = item["ItemShops"]
        assert (0, total["qoh"]) == (total["shopID"], sum(row["qoh"] for row in shops))
        assert f"21{item['itemID']:010d}" == item["systemSku"]


def test_categories_are_a_nested_set(world: Retailer) -> None:
    rows = {row["categoryID"]: row for row in world.till["Category"]}
    for row in rows.values():
        assert row["leftNode"] < row["rightNode"]
        if row["parentID"]:
            parent = rows[row["parentID"]]
            assert parent["leftNode"] < row["leftNode"] < row["rightNode"] < parent["rightNode"]
            assert f"{parent['fullPathName']}/{row['name']}" == row["fullPathName"]


def references(fields: Row) -> list[str]:
    return [value["ref"] for value in fields.values() if isinstance(value, dict) and "ref" in value]


@pytest.mark.parametrize("model", ["person_account", "contact", "lead"])
def test_crm_rows_stand_after_the_rows_they_refer_to(model: Any) -> None:
    seen: set[str] = set()
    world = build(replace(PLAN, crm_model=model))
    for row in world.crm:
        assert set(references(row.fields)) <= seen, row
        seen.add(row.ref)
    assert len(seen) == len(world.crm)
    assert (world.truth.person_of_crm.keys() | world.truth.product_of_crm.keys()) <= seen


@pytest.mark.parametrize(
    ("model", "mostly"), [("person_account", "Account"), ("contact", "Contact"), ("lead", "Lead")]
)
def test_people_live_where_the_model_puts_them(model: Any, mostly: str) -> None:
    world = build(replace(PLAN, crm_model=model))
    held = Counter(row.type for row in world.crm if row.ref in world.truth.spelling_of_crm)
    assert mostly == held.most_common(1)[0][0]
    person_accounts = [row for row in world.crm if "RecordTypeId" in row.fields]
    assert bool(person_accounts) == (model == "person_account")
    assert held["Lead"] > 5, "open Leads are candidates under every model"


def test_crm_people_satisfy_the_org(world: Retailer) -> None:
    for row in world.crm:
        if row.ref in world.truth.person_of_crm:
            assert 0 < len(row.fields["LastName"]) <= 80
            assert len(row.fields.get("FirstName", "")) <= 40
            assert crm_email(row).count("@") <= 1
            assert all(len(str(v)) <= 40 for name, v in row.fields.items() if name.endswith("Phone"))
            for name in ("PersonBirthdate", "Birthdate"):
                assert date.fromisoformat(row.fields.get(name, "2000-01-01"))
        if row.type == "Lead":
            assert row.fields["Company"]


def test_a_third_of_the_products_is_there_by_some_code(world: Retailer) -> None:
    items = {item["itemID"]: item for item in world.till["Item"]}
    rows = {row.ref: row for row in world.crm}
    known = world.truth.product_of_crm
    assert 0.25 < len(set(known.values())) / len(items) < 0.35
    for ref, item_id in known.items():
        codes = {str(rows[ref].fields.get(name, "")).lower() for name in ("ProductCode", "StockKeepingUnit")}
        item = items[item_id]
        assert codes & {item[name].lower() for name in ("systemSku", "customSku", "upc", "ean") if item[name]}
    assert len(world.truth.ambiguous_products) >= 2
    strangers = [r for r in world.crm if r.type == "Product2" and r.ref not in known]
    assert strangers, "the org sells things of its own"
