"""What the simulated org takes and refuses, row by row. Each test names the fact sheet's section."""

import pytest
from salesforce_org import NOON_TEXT, Shop, custom, lookup

from tillbridge.simulators.salesforce.ids import IdMint, with_checksum
from tillbridge.simulators.salesforce.schema import Field, PermissionSet
from tillbridge.simulators.salesforce.values import Refused


@pytest.fixture
def shop():
    return Shop()


# -- ids and system fields (§2.1) ----------------------------------------------------


@pytest.mark.parametrize(
    ("short", "full"),
    [
        pytest.param("0017000000hOMCh", "0017000000hOMChAAO", id="capitals set bits"),
        pytest.param("a0000000000000b", "a0000000000000bAAA", id="no capital gives AAA"),
        pytest.param("ABCDE000000000Z", "ABCDE000000000Z5AQ", id="all capitals give the last letter"),
    ],
)
def test_the_last_three_characters_spell_the_case_of_the_first_fifteen(short, full):
    assert full == with_checksum(short)


def test_ids_rise_in_the_order_of_creation():
    mint = IdMint()
    ids = [mint.new("a00") for _ in range(20_000)]
    assert sorted(ids) == ids
    assert {18} == {len(row_id) for row_id in ids}
    assert all(with_checksum(row_id[:15]) == row_id for row_id in ids[::997])


def test_a_new_row_carries_who_and_when_in_whole_seconds(shop):
    row = shop.row(shop.made("Account", Name="Acme"))
    who = {row["CreatedById"], row["LastModifiedById"], row["OwnerId"]}
    when = {row["CreatedDate"], row["LastModifiedDate"], row["SystemModstamp"]}
    assert ({shop.user.id}, {NOON_TEXT}) == (who, when)


def test_an_update_moves_the_stamps_even_without_a_change_and_never_back(shop):
    row_id = shop.made("Account", Name="Acme")
    shop.clock.advance(61)
    shop.write("Account", "update", Id=row_id, Name="Acme")
    assert "2026-11-21T12:01:01.000+0000" == shop.row(row_id)["SystemModstamp"]
    shop.clock.advance(-3_600)
    shop.write("Account", "update", Id=row_id, Name="Acme")
    assert "2026-11-21T12:01:01.000+0000" == shop.row(row_id)["SystemModstamp"]


# -- values (§6.2) -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        pytest.param("Account", {}, "REQUIRED_FIELD_MISSING", id="a required field is missing"),
        pytest.param("Account", {"Name": "  "}, "REQUIRED_FIELD_MISSING", id="blanks are nothing"),
        pytest.param("Contact", {"LastName": "x" * 81}, "STRING_TOO_LONG", id="a text is too long"),
        pytest.param(
            "Contact", {"LastName": "A", "Email": "a@b"}, "INVALID_EMAIL_ADDRESS", id="an e-mail is none"
        ),
        pytest.param(
            "Sale__c",
            {"Status__c": "Lost"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            id="a restricted picklist has no such value",
        ),
        pytest.param("Sale__c", {"Total__c": 1e9}, "NUMBER_OUTSIDE_VALID_RANGE", id="a number is too big"),
        pytest.param("Sale__c", {"Total__c": "ten"}, "JSON_PARSER_ERROR", id="a number is no number"),
        pytest.param("Sale__c", {"Day__c": "2026-02-30"}, "JSON_PARSER_ERROR", id="a day does not exist"),
        pytest.param("Sale__c", {"At__c": "2026-02-03T10:00:00"}, "JSON_PARSER_ERROR", id="no offset"),
        pytest.param("Sale__c", {"Gift__c": "maybe"}, "JSON_PARSER_ERROR", id="a flag is neither"),
        pytest.param("Sale__c", {"Nope__c": 1}, "INVALID_FIELD", id="a field does not exist"),
        pytest.param("Sale__c", {"Secret__c": "x"}, "INVALID_FIELD", id="a field is hidden from the user"),
        pytest.param("Sale__c", {"Store__c": "abc"}, "MALFORMED_ID", id="an id is malformed"),
        pytest.param(
            "Sale__c",
            {"Store__c": "a00000000000009AAA"},
            "INVALID_CROSS_REFERENCE_KEY",
            id="a parent does not exist",
        ),
        pytest.param(
            "Sale__c",
            {"Store__c": "001000000000009AAA"},
            "FIELD_INTEGRITY_EXCEPTION",
            id="an id of another object",
        ),
        pytest.param(
            "Sale__c",
            {"CreatedDate": "2020-01-01T00:00:00Z"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            id="a system field is read-only",
        ),
        pytest.param("Nope__c", {"Name": "x"}, "INVALID_TYPE", id="an object does not exist"),
        pytest.param("Lead", {"LastName": "A"}, "REQUIRED_FIELD_MISSING", id="a lead needs a company (§7.1)"),
        pytest.param("Line__c", {}, "REQUIRED_FIELD_MISSING", id="a detail needs its master (§8.2)"),
    ],
)
def test_a_row_is_refused_when(shop, name, fields, code):
    assert [code] == shop.code(name, **fields)


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        pytest.param("Total__c", 12.345, 12.35, id="a number is rounded half up to its scale"),
        pytest.param("Total__c", "7", 7.0, id="a number may come as text"),
        pytest.param(
            "At__c", "2026-11-21T13:30:00+01:00", "2026-11-21T12:30:00.000+0000", id="moments become UTC"
        ),
        pytest.param("At__c", "2026-11-21T12:30:00.999Z", "2026-11-21T12:30:00.000+0000", id="whole seconds"),
        pytest.param("Folded_Key__c", "  K1 ", "K1", id="blanks around a text are cut"),
        pytest.param("Note__c", "", None, id="an empty text is null"),
        pytest.param("Gift__c", None, False, id="a checkbox is never null"),
        pytest.param("Tags__c", "a;c", "a;c", id="several values of a picklist"),
    ],
)
def test_what_is_kept_of_a_value(shop, name, sent, kept):
    row_id = shop.made("Sale__c", **{name: sent})
    assert kept == shop.row(row_id).get(name)


def test_a_wrong_type_reads_differently_through_the_bulk_door(shop):
    result = shop.write("Sale__c", source="bulk", Total__c="ten")
    error = result.errors[0]
    expected = ("INVALID_TYPE_ON_FIELD_IN_RECORD", "Total__c: value not of required type: ten", ["Total__c"])
    assert expected == (error.code, error.message, error.fields)


def test_e_mails_are_kept_in_lower_case_unless_the_org_is_told_otherwise(shop):
    sent = {"LastName": "A", "Email": "Ann@Shop.Example"}
    other = Shop(email_lowercase=False)
    assert "ann@shop.example" == shop.row(shop.made("Contact", **sent))["Email"]
    assert "Ann@Shop.Example" == other.row(other.made("Contact", **sent))["Email"]


# -- keys and parents (§2.5, §2.8, §8.2) ----------------------------------------------


def test_upsert_creates_then_updates(shop):
    first = shop.write("Store__c", "upsert", "Store_Key__c", Store_Key__c="S1", Name="One")
    second = shop.write("Store__c", "upsert", "Store_Key__c", Store_Key__c="S1", Name="Two")
    assert (True, False, first.id) == (first.created, second.created, second.id)
    assert "Two" == shop.row(first.id)["Name"]


@pytest.mark.parametrize(
    ("name", "other", "codes"),
    [
        pytest.param("Sale_Key__c", "abc", [], id="a case-sensitive key takes both"),
        pytest.param("Folded_Key__c", "abc", ["DUPLICATE_VALUE"], id="any other key collides"),
    ],
)
def test_keys_that_differ_in_case(shop, name, other, codes):
    shop.made("Sale__c", **{name: "ABC"})
    assert codes == shop.code("Sale__c", **{name: other})


def test_upsert_on_a_folded_key_finds_the_other_case(shop):
    first = shop.write("Sale__c", "upsert", "Folded_Key__c", Folded_Key__c="ABC")
    assert first.id == shop.write("Sale__c", "upsert", "Folded_Key__c", Folded_Key__c="abc").id


def test_a_duplicate_key_names_the_row_that_holds_it(shop):
    holder = shop.made("Sale__c", Sale_Key__c="K")
    error = shop.write("Sale__c", Sale_Key__c="K").errors[0]
    assert f"duplicate value found: Sale_Key__c duplicates value on record with id: {holder}" == error.message


def test_upsert_on_a_key_that_is_not_unique_may_match_several(shop):
    ids = [shop.made("Store__c", Loose_Key__c="L") for _ in range(2)]
    result = shop.write("Store__c", "upsert", "Loose_Key__c", Loose_Key__c="L")
    assert (ids, ["DUPLICATE_EXTERNAL_ID"]) == (result.matches, [error.code for error in result.errors])


def test_upsert_wants_an_external_id_field_with_a_value(shop):
    assert ["INVALID_FIELD"] == shop.code("Account", "upsert", "Name", Name="x")
    assert ["MISSING_ARGUMENT"] == shop.code("Store__c", "upsert", "Store_Key__c", Name="x")


def test_a_deleted_row_is_not_matched_by_upsert(shop):
    gone = shop.made("Sale__c", Sale_Key__c="K")
    shop.write("Sale__c", "delete", Id=gone)
    again = shop.write("Sale__c", "upsert", "Sale_Key__c", Sale_Key__c="K")
    assert again.created
    assert gone != again.id


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param({"Store__r": {"Store_Key__c": "S1"}}, id="nested, as REST sends it"),
        pytest.param({"Store__r.Store_Key__c": "S1"}, id="dotted, as a CSV header names it"),
    ],
)
def test_a_parent_by_its_key(shop, parent):
    store = shop.made("Store__c", Store_Key__c="S1")
    assert store == shop.row(shop.made("Sale__c", **parent))["Store__c"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"Store__r": {"Store_Key__c": "S9"}},
            "Foreign key external ID: S9 not found for field Store_Key__c in entity Store__c",
            id="no such key",
        ),
        pytest.param(
            {"Store__r": {"Name": "One"}, "Sale_Key__c": "1"},
            None,
            id="the name of a custom object may be looked up",
        ),
        pytest.param(
            {"Account__r": {"Name": "Acme"}},
            "Cannot reference a foreign key field Account__r.",
            id="not an external id",
        ),
        pytest.param(
            {"Store__r": {"Store_Key__c": "S1"}, "Store__c": None},
            "Cannot specify both an external ID reference Store__r and a salesforce id, Store__c",
            id="both ways at once",
        ),
    ],
)
def test_a_parent_by_key_is_refused_when(shop, fields, message):
    shop.made("Store__c", Store_Key__c="S1", Name="One")
    result = shop.write("Sale__c", **fields)
    assert message == (result.errors[0].message if result.errors else None)


def test_a_lookup_is_cleared_by_null(shop):
    store = shop.made("Store__c", Store_Key__c="S1")
    sale = shop.made("Sale__c", Store__c=store)
    assert shop.write("Sale__c", "update", Id=sale, Store__c=None).success
    assert "Store__c" not in shop.row(sale)


def test_a_detail_may_repeat_its_master_but_not_leave_it(shop):
    """Fact sheet trap 26; our own package ships reparentable masters, this one is not."""
    shop.org.schema["Line__c"].fields["Sale__c"].reparentable = False
    shop.org.touch()
    one, two = shop.made("Sale__c", Sale_Key__c="1"), shop.made("Sale__c", Sale_Key__c="2")
    shop.made("Line__c", Line_Key__c="1-1", Sale__c=one)
    upsert = ("Line__c", "upsert", "Line_Key__c")
    assert [] == shop.code(*upsert, Line_Key__c="1-1", Sale__c=one, SKU__c="x")
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == shop.code(*upsert, Line_Key__c="1-1", Sale__c=two)
    shop.org.switches["detail_upsert_refuses_master"] = True
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == shop.code(*upsert, Line_Key__c="1-1", Sale__c=one)


def test_a_reparentable_detail_moves(shop):
    one, two = shop.made("Sale__c"), shop.made("Sale__c")
    line = shop.made("Line__c", Line_Key__c="1", Sale__c=one)
    assert [] == shop.code("Line__c", "update", Id=line, Sale__c=two)
    assert [line] == shop.ids(f"SELECT Id FROM Line__c WHERE Sale__c = '{two}'")


# -- rights (§8.2, §8.3) --------------------------------------------------------------


def test_deploying_a_field_does_not_let_anyone_see_it(shop):
    assert ["INVALID_FIELD"] == shop.code("Sale__c", Secret__c="x")
    grant = PermissionSet("More", fields={"Sale__c.Secret__c": (True, True)})
    shop.org.add_permission_set(grant)
    shop.write("PermissionSetAssignment", AssigneeId=shop.user.id, PermissionSetId=grant.id)
    assert [] == shop.code("Sale__c", Secret__c="x")


def test_a_field_may_be_readable_and_not_editable(shop):
    shop.control(
        "POST", "fls", {"user": shop.user.username, "field": "Sale__c.Total__c", "readable": 1, "editable": 0}
    )
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == shop.code("Sale__c", Total__c=1)
    assert [] == shop.query("SELECT Total__c FROM Sale__c")


def test_a_private_object_shows_a_user_only_its_own_rows(shop):
    shop.org.schema["Sale__c"].sharing = "Private"
    shop.org.permission_sets["Sync"].objects["Sale__c"] -= {"viewAll", "modifyAll"}
    shop.org.touch()
    own = shop.made("Sale__c", Sale_Key__c="own")
    other = shop.org.write(shop.org.staff, "Sale__c", "insert", {"Sale_Key__c": "other"}).id
    assert [own] == shop.ids("SELECT Id FROM Sale__c")
    assert ["INSUFFICIENT_ACCESS_OR_READONLY"] == shop.code("Sale__c", "update", Id=other, Total__c=1)
    line = shop.org.write(shop.org.staff, "Line__c", "insert", {"Sale__c": other})
    assert line.success
    assert [] == shop.ids("SELECT Id FROM Line__c")


def test_an_owner_who_left_is_refused(shop):
    _, made = shop.control(
        "POST", "user", {"username": "gone@shop.example", "name": "Gone Clerk", "active": False}
    )
    assert ["INACTIVE_OWNER_OR_USER"] == shop.code("Account", Name="x", OwnerId=made["id"])


# -- deletion and merging (§7.4) -------------------------------------------------------


def test_deleting_a_master_takes_its_details_and_empties_lookups(shop):
    store = shop.made("Store__c", Store_Key__c="S1")
    sale = shop.made("Sale__c", Store__c=store)
    line = shop.made("Line__c", Sale__c=sale)
    shop.write("Store__c", "delete", Id=store)
    assert "Store__c" not in shop.row(sale)
    shop.write("Sale__c", "delete", Id=sale)
    assert [] == shop.ids("SELECT Id FROM Line__c")
    assert [line] == shop.ids("SELECT Id FROM Line__c WHERE IsDeleted = true", all_rows=True)


def test_a_deleted_row_cannot_be_changed_and_leaves_the_bin_after_fifteen_days(shop):
    row_id = shop.made("Account", Name="Acme")
    shop.write("Account", "delete", Id=row_id)
    assert ["ENTITY_IS_DELETED"] == shop.code("Account", "update", Id=row_id, Name="x")
    shop.clock.advance(16 * 86_400)
    assert [] == shop.ids("SELECT Id FROM Account", all_rows=True)


def test_a_hard_deleted_row_is_in_no_bin(shop):
    row_id = shop.made("Account", Name="Acme")
    shop.write("Account", "hardDelete", Id=row_id)
    assert [] == shop.ids("SELECT Id FROM Account", all_rows=True)


def test_a_merge_leaves_a_sign_moves_the_children_and_frees_the_key(shop):
    winner = shop.made("Account", Name="Acme", Customer_Key__c="C1")
    loser = shop.made("Account", Name="Acme Inc", Customer_Key__c="C2", Phone="1")
    sale = shop.made("Sale__c", Account__c=loser)
    shop.clock.advance(60)
    shop.org.merge(winner, loser)
    seen = shop.query("SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true", all_rows=True)
    assert [(loser, winner)] == [(row["Id"], row["MasterRecordId"]) for row in seen]
    assert winner == shop.row(sale)["Account__c"]
    assert "Phone" not in shop.row(winner)
    # The loser's key is no longer in live data: an upsert by it makes a duplicate.
    assert shop.write("Account", "upsert", "Customer_Key__c", Customer_Key__c="C2", Name="Acme").created


# -- persons (§7.1) --------------------------------------------------------------------


@pytest.fixture
def persons():
    return Shop(person_accounts=True)


def test_a_person_account_has_a_hidden_contact_and_a_derived_name(persons):
    row = persons.row(persons.made("Account", FirstName="Ann", LastName="Lee", PersonEmail="ann@x.example"))
    contact = persons.row(row["PersonContactId"])
    assert ("Ann Lee", True) == (row["Name"], row["IsPersonAccount"])
    shown = (contact["Name"], contact["Email"], contact["AccountId"], contact["IsPersonAccount"])
    assert ("Ann Lee", "ann@x.example", row["Id"], True) == shown


def test_a_change_of_the_person_shows_on_the_contact(persons):
    account = persons.made("Account", LastName="Lee", PersonEmail="a@x.example")
    persons.write("Account", "update", Id=account, FirstName="Ann", PersonEmail=None)
    contact = persons.query(f"SELECT Name, Email FROM Contact WHERE AccountId = '{account}'")[0]
    assert ("Ann Lee", None) == (contact["Name"], contact["Email"])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param(
            {"LastName": "Lee", "Name": "Ann Lee"}, "INVALID_FIELD_FOR_INSERT_UPDATE", id="a name of its own"
        ),
        pytest.param(
            {"Name": "Acme", "PersonEmail": "a@x.example"},
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            id="a business with a person's field",
        ),
        pytest.param(
            {"FirstName": "Ann"}, "INVALID_FIELD_FOR_INSERT_UPDATE", id="no last name and no record type"
        ),
    ],
)
def test_a_person_account_is_refused_with(persons, fields, code):
    assert [code] == persons.code("Account", **fields)


def test_a_record_type_decides_over_the_last_name(persons):
    rows = persons.query(
        "SELECT Id, DeveloperName, IsPersonType FROM RecordType WHERE SobjectType = 'Account'"
    )
    person = next(row["Id"] for row in rows if row["IsPersonType"])
    assert ["REQUIRED_FIELD_MISSING"] == persons.code("Account", FirstName="Ann", RecordTypeId=person)
    assert persons.row(persons.made("Account", LastName="Lee", RecordTypeId=person))["IsPersonAccount"]


def test_a_person_stays_a_person(persons):
    rows = persons.query("SELECT Id FROM RecordType WHERE DeveloperName = 'Business_Account'")
    account = persons.made("Account", LastName="Lee")
    assert ["INVALID_CROSS_REFERENCE_KEY"] == persons.code(
        "Account", "update", Id=account, RecordTypeId=rows[0]["Id"]
    )


def test_a_person_s_contact_is_not_written_by_itself_and_persons_have_no_staff(persons):
    account = persons.made("Account", LastName="Lee")
    contact = persons.row(account)["PersonContactId"]
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == persons.code(
        "Contact", "update", Id=contact, Email="a@x.example"
    )
    assert ["FIELD_INTEGRITY_EXCEPTION"] == persons.code("Contact", LastName="Boy", AccountId=account)


def test_a_contact_s_custom_field_shows_on_the_account_as_pc(persons):
    account = persons.made("Account", LastName="Lee", Customer_Key__pc="K")
    assert "K" == persons.query("SELECT Customer_Key__c FROM Contact")[0]["Customer_Key__c"]
    assert "Customer_Key__c" not in persons.row(account)


def test_without_person_accounts_their_fields_do_not_exist(shop):
    assert ["INVALID_FIELD"] == shop.code("Account", Name="x", PersonEmail="a@x.example")


def test_persons_merge_with_their_contacts_and_only_with_persons(persons):
    ann, twin = persons.made("Account", LastName="Lee"), persons.made("Account", LastName="Leigh")
    acme = persons.made("Account", Name="Acme")
    with pytest.raises(Refused):
        persons.org.merge(acme, ann)
    persons.org.merge(ann, twin)
    assert [persons.row(ann)["PersonContactId"]] == persons.ids("SELECT Id FROM Contact")


def test_a_converted_lead_is_read_only_and_names_what_it_became(shop):
    lead = shop.made("Lead", LastName="Lee", Company="Acme", Email="a@x.example")
    shop.control("POST", "convert-lead", {"id": lead})
    row = shop.row(lead)
    assert (True, "a@x.example") == (row["IsConverted"], shop.row(row["ConvertedContactId"])["Email"])
    assert "Acme" == shop.row(row["ConvertedAccountId"])["Name"]
    assert ["CANNOT_UPDATE_CONVERTED_LEAD"] == shop.code("Lead", "update", Id=lead, Email="b@x.example")


def test_with_person_accounts_a_lead_without_company_becomes_one(persons):
    lead = persons.made("Lead", LastName="Lee")
    persons.control("POST", "convert-lead", {"id": lead})
    assert persons.row(persons.row(lead)["ConvertedAccountId"])["IsPersonAccount"]


# -- products and prices (§7.2) --------------------------------------------------------


def test_a_price_in_a_book_needs_the_standard_price_first(shop):
    product, book = shop.made("Product2", Name="Ring"), shop.made("Pricebook2", Name="Outlet", IsActive=True)
    price = {"Product2Id": product, "UnitPrice": 10, "IsActive": True}
    assert ["STANDARD_PRICE_NOT_DEFINED"] == shop.code("PricebookEntry", Pricebook2Id=book, **price)
    assert [] == shop.code("PricebookEntry", Pricebook2Id=shop.org.standard_pricebook, **price)
    assert [] == shop.code("PricebookEntry", Pricebook2Id=book, **price)
    assert ["DUPLICATE_VALUE"] == shop.code("PricebookEntry", Pricebook2Id=book, **price)


def test_a_price_stays_with_its_book_and_product(shop):
    product = shop.made("Product2", Name="Ring")
    entry = shop.made(
        "PricebookEntry", Product2Id=product, Pricebook2Id=shop.org.standard_pricebook, UnitPrice=1
    )
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == shop.code(
        "PricebookEntry", "update", Id=entry, Product2Id=product
    )


def test_there_is_one_standard_book_and_it_stays(shop):
    books = shop.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")
    assert ["DELETE_FAILED"] == shop.code("Pricebook2", "delete", Id=books[0]["Id"])
    assert ["INVALID_FIELD_FOR_INSERT_UPDATE"] == shop.code("Pricebook2", Name="Two", IsStandard=True)


def test_a_line_item_takes_a_price_or_a_total_not_both(shop):
    deal = shop.made("Opportunity", Name="D", StageName="Closed Won", CloseDate="2026-11-21")
    product = shop.made("Product2", Name="Ring")
    line = {"OpportunityId": deal, "Product2Id": product, "Quantity": -2}
    assert ["FIELD_INTEGRITY_EXCEPTION"] == shop.code(
        "OpportunityLineItem", **line, UnitPrice=1, TotalPrice=2
    )
    row = shop.row(shop.made("OpportunityLineItem", **line, UnitPrice=5))
    assert (-10.0, True) == (row["TotalPrice"], shop.row(deal)["IsWon"])


# -- what an org may have switched on --------------------------------------------------


def test_without_currencies_there_is_no_currency_field(shop):
    assert ["INVALID_FIELD"] == shop.code("Account", Name="x", CurrencyIsoCode="EUR")


def test_with_currencies_every_row_has_one(shop):
    """§7.3."""
    shop.control("POST", "switches", {"multi_currency": ["USD", "EUR"]})
    assert "USD" == shop.row(shop.made("Account", Name="x"))["CurrencyIsoCode"]
    assert "EUR" == shop.row(shop.made("Sale__c", CurrencyIsoCode="EUR"))["CurrencyIsoCode"]
    assert ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"] == shop.code(
        "Account", Name="x", CurrencyIsoCode="JPY"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"MailingState": "ny", "MailingCountry": "United States"},
            "FIELD_INTEGRITY_EXCEPTION",
            id="a code is no name",
        ),
        pytest.param(
            {"MailingState": "New York"}, "FIELD_INTEGRITY_EXCEPTION", id="a state without its country"
        ),
        pytest.param({"MailingCountry": "Freedonia"}, "FIELD_INTEGRITY_EXCEPTION", id="an unknown country"),
        pytest.param(
            {"MailingStateCode": "NY", "MailingCountryCode": "US"}, "New York", id="codes fill in the names"
        ),
        pytest.param(
            {"MailingState": "New York", "MailingCountry": "united states"},
            "New York",
            id="names in any case",
        ),
    ],
)
def test_state_and_country_picklists(fields, expected):
    """§7.1: the code wins, a bad name is FIELD_INTEGRITY_EXCEPTION."""
    shop = Shop(state_country_picklists=True)
    result = shop.write("Contact", LastName="Lee", **fields)
    assert expected == (result.errors[0].code if result.errors else shop.row(result.id)["MailingState"])


def test_a_clearly_equal_person_is_a_duplicate_when_the_rule_is_on():
    """§6.3: allowSave overrides an alert, never a block."""
    shop = Shop(duplicate_rules={"Contact": "alert"})
    ann = shop.made("Contact", FirstName="Ann", LastName="Lee", Email="a@x.example")
    twin = {"FirstName": "Ann", "LastName": "LEE", "Email": "A@x.example"}
    error = shop.write("Contact", **twin).errors[0]
    match = error.extra["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"]
    assert ("DUPLICATES_DETECTED", ann) == (error.code, match["Id"])
    assert shop.org.write(shop.user, "Contact", "insert", twin, allow_duplicates=True).success
    shop.org.switches["duplicate_rules"] = {"Contact": "block"}
    assert not shop.org.write(shop.user, "Contact", "insert", twin, allow_duplicates=True).success
    assert shop.write("Contact", FirstName="Bob", LastName="Lee", Email="a@x.example").success


def test_a_row_under_lock_fails_and_so_does_a_child_of_it(shop):
    sale = shop.made("Sale__c")
    shop.control("POST", "lock", {"ids": [sale]})
    assert ["UNABLE_TO_LOCK_ROW"] == shop.code("Sale__c", "update", Id=sale, Total__c=1)
    assert ["UNABLE_TO_LOCK_ROW"] == shop.code("Line__c", Sale__c=sale)
    shop.control("POST", "lock", {"ids": []})
    assert [] == shop.code("Line__c", Sale__c=sale)


def test_a_share_of_rows_may_fail_to_lock(shop):
    shop.control("POST", "lock", {"percent": 20})
    failed = sum(bool(shop.code("Sale__c")) for _ in range(500))
    assert 50 < failed < 150


def test_the_org_s_own_validation_speaks_the_admin_s_words(shop):
    rule = {"type": "Sale__c", "field": "Status__c", "bad": "Voided", "message": "No voids on Sundays"}
    shop.control("POST", "validation", rule)
    error = shop.write("Sale__c", Status__c="Voided").errors[0]
    expected = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "No voids on Sundays", ["Status__c"])
    assert expected == (error.code, error.message, error.fields)


def test_a_full_org_takes_no_more(shop):
    shop.org.switches["storage_rows_max"] = shop.org.row_count
    assert ["STORAGE_LIMIT_EXCEEDED"] == shop.code("Account", Name="x")


# -- the org's own flows (design §5) ---------------------------------------------------


@pytest.fixture
def live():
    """An org whose flow thanks people for what they bought."""
    shop = Shop(thank_you_flow=True)
    fields = [
        lookup("Account__c", "Account", "Account__r"),
        Field("Loaded_As_History__c", "boolean", default=False, custom=True),
    ]
    shop.org.add_object(custom("Sales_Transaction__c", "Sale", *fields))
    held = shop.org.permission_sets["Sync"]
    held.objects["Sales_Transaction__c"] = {"create", "read", "edit"}
    held.fields["Sales_Transaction__c.Account__c"] = (True, True)
    held.fields["Sales_Transaction__c.Loaded_As_History__c"] = (True, True)
    shop.org.touch()
    return shop


@pytest.mark.parametrize(
    ("bypass", "history", "customer", "mails"),
    [
        pytest.param(False, False, True, 1, id="a live sale of a customer: one mail"),
        pytest.param(False, False, False, 0, id="a walk-in: nobody to thank"),
        pytest.param(False, True, True, 0, id="history: none"),
        pytest.param(True, False, True, 0, id="a user who holds the bypass: none"),
    ],
)
def test_the_thank_you_flow(live, bypass, history, customer, mails):
    if bypass:
        live.org.permission_sets["Sync"].custom_permissions.add("Tillbridge_Bypass")
    account = live.made("Account", Name="Acme")
    fields = {"Loaded_As_History__c": history, **({"Account__c": account} if customer else {})}
    live.made("Sales_Transaction__c", **fields)
    assert (200, {"mails": mails, "tasks": 0}) == live.control("GET", "automation")


@pytest.mark.parametrize(("header", "tasks"), [("TRUE", 1), ("FALSE", 0)])
def test_lead_assignment_runs_unless_the_header_says_no(header, tasks):
    """§2.1: Sforce-Auto-Assign."""
    shop = Shop(lead_assignment_rule=True)
    shop.rest("POST", "/sobjects/Lead", {"LastName": "Lee", "Company": "X"}, sforce_auto_assign=header)
    assert tasks == shop.org.automation["tasks"]
