"""The REST door of the simulated org: versions, envelopes, rows, limits. Sections are the fact sheet's."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from salesforce_doors import ask
from salesforce_org import NOON, Shop, V, custom, text

from tillbridge.simulators.salesforce.schema import Field


@pytest.fixture
def shop():
    return Shop()


# -- versions (§2.1) -------------------------------------------------------------------


def test_the_list_of_versions_needs_no_login_and_ends_with_latest(shop):
    status, versions, headers = shop.rest("GET", "/services/data", authorization="")
    assert (200, False) == (status, "Sforce-Limit-Info" in headers)
    assert {"label": "Latest Release", "url": "/services/data/latest", "version": "68.0"} == versions[-1]
    assert {"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"} in versions
    assert {"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"} in versions
    numbers = [float(v["version"]) for v in versions]
    assert sorted(numbers) == numbers


@pytest.mark.parametrize(
    ("version", "status"),
    [
        pytest.param("v67.0", 200, id="current"),
        pytest.param("v31.0", 200, id="old and alive"),
        pytest.param("v30.0", 410, id="retired with Summer '25"),
        pytest.param("v99.0", 404, id="not yet there"),
        pytest.param("latest", 200, id="latest"),
    ],
)
def test_a_version_answers(shop, version, status):
    assert status == shop.rest("GET", f"/services/data/{version}/sobjects/Account")[0]


def test_a_bad_token_is_401_and_json(shop):
    """§1.3."""
    status, body, headers = shop.rest("GET", "/limits", authorization="Bearer nonsense")
    assert (401, "INVALID_SESSION_ID") == (status, body[0]["errorCode"])
    assert "Token" == headers["WWW-Authenticate"]


# -- limits (§2.2, §4) -----------------------------------------------------------------


def test_every_answer_tells_the_usage_and_a_day_later_it_is_forgotten(shop):
    infos = [shop.rest("GET", "/sobjects/Account")[2]["Sforce-Limit-Info"] for _ in range(2)]
    assert ["api-usage=1/105000", "api-usage=2/105000"] == infos
    shop.clock.advance(86_400 + 61)
    shop.login()
    assert "api-usage=1/105000" == shop.rest("GET", "/sobjects/Account")[2]["Sforce-Limit-Info"]


def test_the_header_may_carry_more_keys():
    shop = Shop(limit_info_extra="api-bursts=1/750")
    assert "api-usage=1/105000; api-bursts=1/750" == shop.rest("GET", "/limits")[2]["Sforce-Limit-Info"]


def test_over_the_daily_limit_every_call_is_403_and_still_counts(shop):
    shop.control("POST", "limit", {"daily": 100, "used_by_others": 99})
    assert 200 == shop.rest("GET", "/limits")[0]
    status, body, headers = shop.rest("GET", "/limits")
    expected = {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    assert (403, [expected], "api-usage=101/100") == (status, body, headers["Sforce-Limit-Info"])


@pytest.mark.parametrize(
    ("switch", "message"),
    [
        pytest.param("concurrent_limit", "ConcurrentPerOrgLongTxn Limit exceeded.", id="too many long calls"),
        pytest.param("api_disabled", "API is not enabled for this Organization or Partner", id="no API"),
    ],
)
def test_a_403_tells_its_reason_in_the_message(switch, message):
    status, body, _ = Shop(**{switch: True}).rest("GET", "/limits")
    assert (403, message) == (status, body[0]["message"])


def test_limits_show_what_is_left(shop):
    body = shop.rest("GET", "/limits")[1]
    assert {"Max": 105_000, "Remaining": 104_999} == body["DailyApiRequests"]
    assert {"Max": 15_000, "Remaining": 15_000} == body["DailyBulkApiBatches"]


def test_usage_is_counted_by_route(shop):
    store = shop.made("Store__c", Store_Key__c="S1")
    shop.rest("GET", f"/sobjects/Store__c/{store}")
    shop.rest("PATCH", "/sobjects/Store__c/Store_Key__c/S1", {"Name": "x"})
    shop.rest("PATCH", "/sobjects/Store__c/Store_Key__c/S2", {"Name": "y"})
    usage = shop.control("GET", "usage")[1]
    assert {"GET /sobjects/Store__c/{id}": 1, "PATCH /sobjects/Store__c/Store_Key__c/{value}": 2} == usage[
        "by_route"
    ]
    assert {"Store__c": 3} == usage["rows_written"]


@pytest.mark.parametrize(
    ("size", "header", "status"),
    [
        pytest.param(17_000, 0, 414, id="the URI alone is too long"),
        pytest.param(9_000, 9_000, 431, id="URI and headers together are"),
        pytest.param(9_000, 5_000, 200, id="within 16,384 bytes"),
    ],
)
def test_long_requests(shop, size, header, status):
    """§2.1: the edge answers, not in JSON."""
    query = "SELECT+Id+FROM+Account+WHERE+Name+IN+(" + ",".join(["'x'"] * (size // 4)) + ")"
    answer = shop.rest("GET", f"/query?q={query}", x_padding="p" * header)
    assert status == answer[0]
    assert (status == 200) == isinstance(answer[1], dict)


# -- single rows (§2.5) ----------------------------------------------------------------


def test_create_read_change_delete(shop):
    status, made, headers = shop.rest("POST", "/sobjects/Account", {"Name": "Acme", "BillingCity": "Utrecht"})
    assert (201, True, []) == (status, made["success"], made["errors"])
    assert f"{V}/sobjects/Account/{made['id']}" == headers["Location"]
    path = f"/sobjects/Account/{made['id']}"
    assert (204, b"") == shop.rest("PATCH", path, {"Name": "Acme Inc"})[:2]
    row = shop.rest("GET", f"{path}?fields=Name,BillingAddress")[1]
    assert ("Acme Inc", "Utrecht") == (row["Name"], row["BillingAddress"]["city"])
    assert 204 == shop.rest("DELETE", path)[0]
    assert (404, "ENTITY_IS_DELETED") == (
        shop.rest("GET", path)[0],
        shop.rest("PATCH", path, {"Name": "x"})[1][0]["errorCode"],
    )


def test_sources_disagree_on_the_status_of_a_deleted_row():
    shop = Shop(entity_is_deleted_status=400)
    row_id = shop.made("Account", Name="Acme")
    shop.write("Account", "delete", Id=row_id)
    assert 400 == shop.rest("GET", f"/sobjects/Account/{row_id}")[0]


def test_a_row_that_is_not_there_is_404(shop):
    expected = [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]
    assert (404, expected) == shop.rest("GET", "/sobjects/Account/001000000000001AAA")[:2]
    assert 404 == shop.rest("PATCH", "/sobjects/Account/001000000000001AAA", {"Name": "x"})[0]


def test_a_read_shows_every_field_the_user_sees(shop):
    row = shop.rest("GET", f"/sobjects/Sale__c/{shop.made('Sale__c', Total__c=5)}")[1]
    assert (5.0, False, None) == (row["Total__c"], row["Gift__c"], row["Store__c"])
    assert "Secret__c" not in row


@pytest.mark.parametrize(
    ("version", "statuses"),
    [
        pytest.param("v67.0", [201, 200], id="since v46 an update says so in a body"),
        pytest.param("v45.0", [201, 204], id="before, it had none"),
    ],
)
def test_upsert_by_key(shop, version, statuses):
    path = f"/services/data/{version}/sobjects/Store__c/Store_Key__c/a%2Fb%20c"
    answers = [shop.rest("PATCH", path, {"Name": name}) for name in ("One", "Two")]
    assert statuses == [answer[0] for answer in answers]
    assert answers[0][1]["created"]
    assert ["a/b c"] == [row["Store_Key__c"] for row in shop.query("SELECT Store_Key__c FROM Store__c")]


def test_upsert_that_matches_several_is_300_with_their_addresses(shop):
    ids = [shop.made("Store__c", Loose_Key__c="L") for _ in range(2)]
    status, body, _ = shop.rest("PATCH", "/sobjects/Store__c/Loose_Key__c/L", {"Name": "x"})
    assert (300, [f"{V}/sobjects/Store__c/{row_id}" for row_id in ids]) == (status, body)


KEY_1 = "/sobjects/Store__c/Store_Key__c/1"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        pytest.param("/sobjects/Store__c/Nope__c/1", {}, 404, "NOT_FOUND", id="a key field that is none"),
        pytest.param(
            "/sobjects/Store__c/Store_Key__c/1?updateOnly=true",
            {},
            404,
            "NOT_FOUND",
            id="update only, and not there",
        ),
        pytest.param(KEY_1, {"Id": "x"}, 400, "INVALID_FIELD", id="an Id in the body"),
        pytest.param(
            "/sobjects/Store__c/Store_Key__c/1",
            {"Store_Key__c": "1"},
            400,
            "INVALID_FIELD",
            id="the key in the body",
        ),
        pytest.param("/sobjects/Nope__c/Key__c/1", {}, 404, "NOT_FOUND", id="no such object"),
    ],
)
def test_an_upsert_is_refused(shop, path, body, status, code):
    answer = shop.rest("PATCH", path, body)
    assert (status, code) == (answer[0], answer[1][0]["errorCode"])


def test_a_row_can_be_read_and_deleted_by_its_key(shop):
    store = shop.made("Store__c", Store_Key__c="S1")
    assert store == shop.rest("GET", "/sobjects/Store__c/Store_Key__c/S1")[1]["Id"]
    assert 204 == shop.rest("DELETE", "/sobjects/Store__c/Store_Key__c/S1")[0]
    assert 404 == shop.rest("GET", "/sobjects/Store__c/Store_Key__c/S1")[0]


def test_conditional_requests(shop):
    path = f"/sobjects/Account/{shop.made('Account', Name='Acme')}"
    earlier, later = (format_datetime(NOON + timedelta(minutes=m), usegmt=True) for m in (-1, 1))
    assert 304 == shop.rest("GET", path, if_modified_since=later)[0]
    assert 200 == shop.rest("GET", path, if_modified_since=earlier)[0]
    assert 412 == shop.rest("PATCH", path, {"Name": "x"}, if_unmodified_since=earlier)[0]
    assert 304 == shop.rest("GET", "/sobjects/Account/describe", if_modified_since=later)[0]


# -- errors (§6) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {},
            {
                "message": "Required fields are missing: [Name]",
                "errorCode": "REQUIRED_FIELD_MISSING",
                "fields": ["Name"],
            },
            id="required",
        ),
        pytest.param(
            {"Name": "x", "Nope__c": 1},
            {"message": "No such column 'Nope__c' on sobject of type Account", "errorCode": "INVALID_FIELD"},
            id="no such column",
        ),
        pytest.param(
            {"Name": "y" * 256},
            {
                "message": f"Name: data value too large: {'y' * 256} (max length=255)",
                "errorCode": "STRING_TOO_LONG",
                "fields": ["Name"],
            },
            id="too long",
        ),
    ],
)
def test_an_error_is_an_array_with_errorcode(shop, fields, expected):
    assert (400, [expected]) == shop.rest("POST", "/sobjects/Account", fields)[:2]


def test_a_duplicate_carries_the_rule_and_the_match_and_no_fields():
    """§6.3."""
    shop = Shop(duplicate_rules={"Contact": "alert"})
    person = {"FirstName": "Ann", "LastName": "Lee", "Email": "a@x.example"}
    first = shop.rest("POST", "/sobjects/Contact", person)[1]["id"]
    status, [error], _ = shop.rest("POST", "/sobjects/Contact", person)
    assert (400, "DUPLICATES_DETECTED", "Use one of these records?") == (
        status,
        error["errorCode"],
        error["message"],
    )
    assert "fields" not in error
    result = error["duplicateResult"]
    assert (True, "Standard_Contact_Duplicate_Rule") == (result["allowSave"], result["duplicateRule"])
    assert first == result["matchResults"][0]["matchRecords"][0]["record"]["Id"]
    header = {"sforce_duplicate_rule_header": "allowSave=true; includeRecordDetails=false"}
    assert 201 == shop.rest("POST", "/sobjects/Contact", person, **header)[0]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        pytest.param(
            "PUT", "/sobjects/Account", {}, 405, "METHOD_NOT_ALLOWED", id="a method that is not allowed"
        ),
        pytest.param("POST", "/query", {}, 405, "METHOD_NOT_ALLOWED", id="there is no POST query"),
        pytest.param("GET", "/nowhere", {}, 404, "NOT_FOUND", id="a path that is none"),
        pytest.param(
            "POST",
            "/sobjects/Account",
            {"content_type": "text/plain"},
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            id="no JSON",
        ),
    ],
)
def test_a_call_is_refused(shop, method, path, headers, status, code):
    answer = shop.rest(method, path, {"Name": "x"}, **headers)
    assert (status, code) == (answer[0], answer[1][0]["errorCode"])


def test_a_body_that_is_no_json_is_a_parser_error(shop):
    headers = {"content_type": "application/json", "authorization": f"Bearer {shop.token}"}
    response = shop.app.handle(ask("POST", f"{V}/sobjects/Account", b'{"Name": ', **headers))
    assert (400, True) == (response.status, b"JSON_PARSER_ERROR" in response.body)


# -- describe (§2.3) -------------------------------------------------------------------


def test_describe_shows_what_a_preflight_needs(shop):
    fields = {f["name"]: f for f in shop.rest("GET", "/sobjects/Sale__c/describe")[1]["fields"]}
    assert "Secret__c" not in fields
    key = fields["Sale_Key__c"]
    shown = {
        name: key[name] for name in ("type", "length", "externalId", "unique", "caseSensitive", "nillable")
    }
    assert {
        "type": "string",
        "length": 60,
        "externalId": True,
        "unique": True,
        "caseSensitive": True,
        "nillable": True,
    } == shown
    assert (10, 2, "xsd:double") == tuple(
        fields["Total__c"][name] for name in ("precision", "scale", "soapType")
    )
    assert ["Completed", "Voided"] == [v["value"] for v in fields["Status__c"]["picklistValues"]]
    assert (["Store__c"], "Store__r") == (
        fields["Store__c"]["referenceTo"],
        fields["Store__c"]["relationshipName"],
    )


def test_required_on_create_can_be_told_from_describe(shop):
    fields = shop.rest("GET", "/sobjects/Line__c/describe")[1]["fields"]
    required = {
        f["name"] for f in fields if f["createable"] and not f["nillable"] and not f["defaultedOnCreate"]
    }
    assert {"Sale__c"} == required


def test_person_accounts_show_in_describe(shop):
    names = {f["name"] for f in shop.rest("GET", "/sobjects/Account/describe")[1]["fields"]}
    assert "IsPersonAccount" not in names
    shop.control("POST", "switches", {"person_accounts": True})
    described = shop.rest("GET", "/sobjects/Account/describe")[1]
    fields = {f["name"]: f for f in described["fields"]}
    assert ("email", 80) == (fields["PersonEmail"]["type"], fields["PersonEmail"]["length"])
    assert "Customer_Key__pc" in fields
    assert {"PersonAccount", "Business_Account", "Master"} == {
        r["developerName"] for r in described["recordTypeInfos"]
    }


def test_the_global_describe_lists_objects_with_their_prefixes(shop):
    listed = {s["name"]: s for s in shop.rest("GET", "/sobjects")[1]["sobjects"]}
    assert ("001", "003", "00Q") == tuple(
        listed[name]["keyPrefix"] for name in ("Account", "Contact", "Lead")
    )
    assert (True, True) == (listed["Sale__c"]["custom"], listed["Sale__c"]["createable"])


def test_children_are_described(shop):
    children = shop.rest("GET", "/sobjects/Sale__c/describe")[1]["childRelationships"]
    assert [("Line__c", "Sale__c", "Lines__r", True)] == [
        (c["childSObject"], c["field"], c["relationshipName"], c["cascadeDelete"]) for c in children
    ]


# -- query pages (§2.4) ----------------------------------------------------------------


@pytest.fixture
def many():
    shop = Shop(page_size=300)
    for i in range(1_000):
        shop.write("Sale__c", Sale_Key__c=f"{i:04d}")
    return shop


def pages(shop, path="/query?q=SELECT+Sale_Key__c+FROM+Sale__c+ORDER+BY+Sale_Key__c", **headers):
    found = []
    while path:
        body = shop.rest("GET", path, **headers)[1]
        found.append(body)
        path = body.get("nextRecordsUrl")
        assert body["done"] is (path is None)
    return found


def test_pages_follow_a_path_until_done(many):
    found = pages(many)
    assert [300, 300, 300, 100] == [len(page["records"]) for page in found]
    assert {1_000} == {page["totalSize"] for page in found}
    assert found[0]["nextRecordsUrl"].startswith(f"{V}/query/01g")
    assert found[0]["nextRecordsUrl"].endswith("-300")
    rows = [row["Sale_Key__c"] for page in found for row in page["records"]]
    assert [f"{i:04d}" for i in range(1_000)] == rows


def test_a_page_may_have_any_size(many):
    many.org.switches["page_size_random"] = True
    found = pages(many)
    sizes = [len(page["records"]) for page in found]
    assert (1_000, True) == (sum(sizes), len(set(sizes)) > 2)


@pytest.mark.parametrize(("wish", "size"), [(200, 200), (50, 200), (5_000, 1_000)])
def test_the_batch_size_is_held_between_200_and_2000(many, wish, size):
    found = pages(many, sforce_query_options=f"batchSize={wish}")
    assert size == len(found[0]["records"])


def test_a_cursor_lives_two_days(many):
    path = many.rest("GET", "/query?q=SELECT+Id+FROM+Sale__c")[1]["nextRecordsUrl"]
    many.clock.advance(2 * 86_400 - 10)
    many.login()
    assert 200 == many.rest("GET", path)[0]
    many.clock.advance(20)
    status, body, _ = many.rest("GET", path)
    assert (404, "INVALID_QUERY_LOCATOR") == (status, body[0]["errorCode"])


def test_count_answers_in_total_size(many):
    assert {"totalSize": 1_000, "done": True, "records": []} == many.rest(
        "GET", "/query?q=SELECT+COUNT()+FROM+Sale__c"
    )[1]


def test_query_all_shows_the_deleted(shop):
    row_id = shop.made("Account", Name="Acme")
    shop.write("Account", "delete", Id=row_id)
    text = "SELECT+Id,IsDeleted+FROM+Account"
    assert 0 == shop.rest("GET", f"/query?q={text}")[1]["totalSize"]
    assert [True] == [row["IsDeleted"] for row in shop.rest("GET", f"/queryAll?q={text}")[1]["records"]]


def test_query_all_goes_into_a_composite_and_sees_no_further_than_the_bin(shop):
    winner, loser = shop.made("Account", Name="Acme"), shop.made("Account", Name="Acme Inc")
    shop.org.merge(winner, loser)
    text = "SELECT+Id,MasterRecordId+FROM+Account+WHERE+IsDeleted+=+true"
    part = {"method": "GET", "url": f"/services/data/v67.0/queryAll?q={text}", "referenceId": "gone"}

    def gone():
        answer = shop.rest("POST", "/composite", {"compositeRequest": [part]})[1]
        [result] = answer["compositeResponse"]
        return [(row["Id"], row["MasterRecordId"]) for row in result["body"]["records"]]

    assert [(loser, winner)] == gone()
    assert (200, {"rows": 1}) == shop.control("POST", "empty-bin", {})
    assert [] == gone()


def test_updated_and_deleted_since(shop):
    """§5.4."""
    kept, gone = shop.made("Account", Name="a"), shop.made("Account", Name="b")
    shop.clock.advance(120)
    shop.write("Account", "delete", Id=gone)
    shop.clock.advance(120)
    window = "start=2026-11-21T11:00:00%2B00:00&end=2026-11-21T12:04:00%2B00:00"
    assert [kept] == shop.rest("GET", f"/sobjects/Account/updated?{window}")[1]["ids"]
    deleted = shop.rest("GET", f"/sobjects/Account/deleted?{window}")[1]["deletedRecords"]
    assert [(gone, "2026-11-21T12:02:00.000+0000")] == [(d["id"], d["deletedDate"]) for d in deleted]


# -- the control API -------------------------------------------------------------------


def test_rows_are_loaded_with_their_ages_and_refs(shop):
    rows = [
        {"ref": "p", "type": "Product2", "fields": {"Name": "Ring"}},
        {
            "ref": "e",
            "type": "PricebookEntry",
            "fields": {"Product2Id": {"ref": "p"}, "Pricebook2Id": {"pricebook": "standard"}, "UnitPrice": 5},
        },
        {"ref": "a", "type": "Account", "fields": {"Name": "Acme", "CreatedDate": "2024-05-01T10:00:00Z"}},
        {"ref": "c", "type": "Contact", "fields": {"LastName": "Lee", "AccountId": {"ref": "a"}}},
        {
            "ref": "l",
            "type": "Lead",
            "fields": {
                "LastName": "Lee",
                "Company": "Acme",
                "IsConverted": True,
                "ConvertedContactId": {"ref": "c"},
            },
        },
    ]
    status, refs = shop.control("POST", "load", rows)
    assert (200, refs) == (status, shop.control("GET", "refs")[1])
    account = shop.row(refs["a"])
    assert ("2024-05-01T10:00:00.000+0000", "2024-05-01T10:00:00.000+0000") == (
        account["CreatedDate"],
        account["SystemModstamp"],
    )
    assert refs["a"] == shop.row(refs["c"])["AccountId"]
    assert refs["c"] == shop.row(refs["l"])["ConvertedContactId"]
    assert [refs["e"]] == [row["Id"] for row in shop.control("GET", "dump?type=PricebookEntry")[1]]


def test_staff_edit_as_somebody_else(shop):
    account = shop.made("Account", Name="Acme")
    shop.control("POST", "edit", {"id": account, "fields": {"Phone": "1"}})
    assert {shop.user.id} != {shop.row(account)["LastModifiedById"]}
    assert "1" == shop.row(account)["Phone"]


def test_a_late_commit_shows_up_with_an_old_stamp(shop):
    """§5.4: stamps are set during the transaction and visible at commit."""
    account = shop.made("Account", Name="Acme")
    shop.clock.advance(60)
    shop.control("POST", "edit", {"id": account, "fields": {"Phone": "1"}, "commit_after": 90})
    shop.clock.advance(80)
    assert "Phone" not in shop.row(account)
    shop.clock.advance(20)
    row = shop.rest("GET", "/query?q=SELECT+Phone,SystemModstamp+FROM+Account")[1]["records"][0]
    assert ("1", "2026-11-21T12:01:00.000+0000") == (row["Phone"], row["SystemModstamp"])


def test_revoking_sessions_ends_them(shop):
    shop.control("POST", "revoke-sessions", {})
    assert 401 == shop.rest("GET", "/limits")[0]


def test_totals_are_by_store_and_day():
    shop = Shop()
    fields = [text("Store_Code__c"), Field("Business_Date__c", "date", custom=True)]
    fields.append(Field("Total__c", "currency", precision=18, scale=2, custom=True))
    shop.org.add_object(custom("Sales_Transaction__c", "Sale", *fields))
    for total in (0.1, 0.2):
        row = {"Store_Code__c": "MAIN", "Business_Date__c": "2026-11-20", "Total__c": total}
        shop.org.write(shop.org.staff, "Sales_Transaction__c", "insert", row)
    day = shop.control("GET", "totals")[1]["MAIN"]["2026-11-20"]
    assert (2, 0.3) == (day["count"], day["Total__c"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("nowhere", {}, id="no such control"),
        pytest.param("edit", {"id": "001000000000001AAA", "fields": {}}, id="no such row"),
        pytest.param("create", {"type": "Account"}, id="fields forgotten"),
    ],
)
def test_a_control_mistake_is_a_400_with_its_reason(shop, path, body):
    status, answer = shop.control("POST", path, body)
    assert (400, True) == (status, bool(answer["message"]))


def test_a_body_nobody_foresaw_is_the_vendor_s_500(shop, capsys):
    status, body, _ = shop.rest("POST", "/composite/sobjects", {"records": [{"attributes": "Account"}]})
    assert (500, "UNKNOWN_EXCEPTION") == (status, body[0]["errorCode"])
    assert "Traceback" in capsys.readouterr().err
