"""Many rows or many calls in one: collections, composite, batch, tree, graph (fact sheet §2.6, §2.7)."""

import pytest
from salesforce_org import Shop, V


@pytest.fixture
def shop():
    return Shop()


def rows(kind, *fields):
    return [{"attributes": {"type": kind}, **row} for row in fields]


def part(ref, method, path, body=None, **headers):
    made = {"referenceId": ref, "method": method, "url": V + path}
    return {
        **made,
        **({"body": body} if body is not None else {}),
        **({"httpHeaders": headers} if headers else {}),
    }


def statuses(body):
    return {answer["referenceId"]: answer["httpStatusCode"] for answer in body["compositeResponse"]}


# -- collections (§2.6) ----------------------------------------------------------------


def test_a_collection_is_one_call_and_every_row_has_its_own_fate(shop):
    records = rows("Account", {"Name": "A"}, {}, {"Name": "C"})
    status, body, headers = shop.rest("POST", "/composite/sobjects", {"records": records})
    assert (200, [True, False, True]) == (status, [row["success"] for row in body])
    assert "api-usage=1/105000" == headers["Sforce-Limit-Info"]
    expected = {
        "statusCode": "REQUIRED_FIELD_MISSING",
        "message": "Required fields are missing: [Name]",
        "fields": ["Name"],
    }
    assert {"success": False, "errors": [expected]} == body[1]
    assert {"id", "success", "errors"} == set(body[0])


def test_all_or_none_rolls_the_innocent_back(shop):
    records = rows("Account", {"Name": "A"}, {})
    body = shop.rest("POST", "/composite/sobjects", {"allOrNone": True, "records": records})[1]
    assert ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"] == [
        row["errors"][0]["statusCode"] for row in body
    ]
    assert [] == shop.ids("SELECT Id FROM Account")


def test_a_rolled_back_update_leaves_the_old_row_and_its_keys(shop):
    one = shop.made("Sale__c", Sale_Key__c="1", Total__c=1)
    two = shop.made("Sale__c", Sale_Key__c="2")
    records = rows("Sale__c", {"Id": one, "Sale_Key__c": "9", "Total__c": 5}, {"Id": two, "Sale_Key__c": "9"})
    shop.rest("PATCH", "/composite/sobjects", {"allOrNone": True, "records": records})
    assert [one] == shop.ids("SELECT Id FROM Sale__c WHERE Sale_Key__c = '1'")
    assert [] == shop.ids("SELECT Id FROM Sale__c WHERE Sale_Key__c = '9'")
    assert 1.0 == shop.row(one)["Total__c"]


def test_upsert_says_created_row_by_row(shop):
    shop.made("Store__c", Store_Key__c="S1")
    records = rows(
        "Store__c", {"Store_Key__c": "S1", "Name": "x"}, {"Store_Key__c": "S2"}, {"Name": "no key"}
    )
    body = shop.rest("PATCH", "/composite/sobjects/Store__c/Store_Key__c", {"records": records})[1]
    assert [False, True, None] == [row.get("created") for row in body]
    assert "MISSING_ARGUMENT" == body[2]["errors"][0]["statusCode"]


@pytest.mark.parametrize(
    ("ext", "keys", "failed"),
    [
        pytest.param("Folded_Key__c", ["a", "A", "b"], [0, 1], id="a folded key twice in two cases"),
        pytest.param("Sale_Key__c", ["a", "A", "a"], [0, 2], id="a case-sensitive key twice"),
    ],
)
def test_a_key_twice_in_one_request_fails_all_its_rows(shop, ext, keys, failed):
    records = rows("Sale__c", *({ext: key} for key in keys))
    body = shop.rest("PATCH", f"/composite/sobjects/Sale__c/{ext}", {"records": records})[1]
    assert failed == [i for i, row in enumerate(body) if not row["success"]]
    assert f"Duplicate external id specified: {keys[0]}" == body[0]["errors"][0]["message"]


def test_an_id_twice_fails_too(shop):
    one = shop.made("Account", Name="A")
    records = rows("Account", {"Id": one, "Name": "B"}, {"Id": one, "Name": "C"})
    body = shop.rest("PATCH", "/composite/sobjects", {"records": records})[1]
    assert ["duplicate id in list"] * 2 == [row["errors"][0]["message"].partition(":")[0] for row in body]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(
            {"records": rows("Account", *({"Name": "x"},) * 201)}, "EXCEEDED_ID_LIMIT", id="201 rows"
        ),
        pytest.param({"records": [{"Name": "x"}]}, "INVALID_INPUT", id="a row without a type"),
        pytest.param({}, "INVALID_INPUT", id="no rows"),
        pytest.param(
            {
                "records": [
                    row for i in range(6) for row in rows("Account", {"Name": "x"}) + rows("Store__c", {})
                ]
            },
            "LIMIT_EXCEEDED",
            id="more than ten chunks: sort by type",
        ),
    ],
)
def test_a_malformed_collection_is_400_as_a_whole(shop, body, code):
    status, answer, _ = shop.rest("POST", "/composite/sobjects", body)
    assert (400, code) == (status, answer[0]["errorCode"])


def test_an_unknown_column_fails_its_row_or_the_whole_request(shop):
    records = rows("Account", {"Name": "A"}, {"Name": "B", "Nope__c": 1})
    body = shop.rest("POST", "/composite/sobjects", {"records": records})[1]
    assert [True, False] == [row["success"] for row in body]
    shop.org.switches["bad_column_fails_request"] = True
    status, answer, _ = shop.rest("POST", "/composite/sobjects", {"records": records})
    assert (400, "INVALID_FIELD") == (status, answer[0]["errorCode"])
    assert 1 == len(shop.ids("SELECT Id FROM Account"))


def test_rows_are_deleted_and_retrieved_by_id(shop):
    ids = [shop.made("Account", Name=name) for name in "ab"]
    body = shop.rest(
        "POST", "/composite/sobjects/Account", {"ids": [*ids, "001000000000009AAA"], "fields": ["Name"]}
    )[1]
    assert ["a", "b", None] == [row and row["Name"] for row in body]
    assert body[:2] == shop.rest("GET", f"/composite/sobjects/Account?ids={','.join(ids)}&fields=Name")[1]
    deleted = shop.rest("DELETE", f"/composite/sobjects?ids={ids[0]},{ids[0][:14]}")[1]
    assert [True, False] == [row["success"] for row in deleted]


# -- composite (§2.7) ------------------------------------------------------------------


def test_answers_feed_later_subrequests(shop):
    parts = [
        part("store", "PATCH", "/sobjects/Store__c/Store_Key__c/S1", {"Name": "One"}),
        part("sale", "POST", "/sobjects/Sale__c", {"Store__c": "@{store.id}", "Sale_Key__c": "K@{store.id}"}),
        part("read", "GET", "/sobjects/Sale__c/@{sale.id}?fields=Store__c"),
        part("rows", "POST", "/composite/sobjects", {"records": rows("Line__c", {"Sale__c": "@{sale.id}"})}),
        part("query", "GET", "/query?q=SELECT+Id+FROM+Line__c+WHERE+Id='@{rows[0].id}'"),
        part("wrong", "GET", "/sobjects/Sale__c/@{read.id}"),
    ]
    status, body, headers = shop.rest(
        "POST", "/composite", {"compositeRequest": parts, "collateSubrequests": False}
    )
    assert (200, "api-usage=1/105000") == (status, headers["Sforce-Limit-Info"])
    # `id` of a create, `Id` of a read: field names are case-sensitive.
    assert {"store": 201, "sale": 201, "read": 200, "rows": 200, "query": 200, "wrong": 400} == statuses(body)
    assert [p["referenceId"] for p in parts] == [a["referenceId"] for a in body["compositeResponse"]]
    assert 1 == body["compositeResponse"][4]["body"]["totalSize"]


def test_collections_inside_report_their_rows(shop):
    upsert = part(
        "stores",
        "PATCH",
        "/composite/sobjects/Store__c/Store_Key__c",
        {"records": rows("Store__c", {"Store_Key__c": "S1"})},
    )
    sales = part(
        "sales",
        "PATCH",
        "/composite/sobjects/Sale__c/Sale_Key__c",
        {
            "records": rows(
                "Sale__c",
                {"Sale_Key__c": "1", "Store__r": {"Store_Key__c": "S1"}},
                {"Sale_Key__c": "2", "Store__r": {"Store_Key__c": "S9"}},
            )
        },
    )
    body = shop.rest(
        "POST", "/composite", {"compositeRequest": [upsert, sales], "collateSubrequests": False}
    )[1]
    assert [True, False] == [row["success"] for row in body["compositeResponse"][1]["body"]]


def test_all_or_none_halts_and_rolls_back(shop):
    parts = [
        part("good", "POST", "/sobjects/Account", {"Name": "A"}),
        part("bad", "POST", "/sobjects/Account", {}),
    ]
    body = shop.rest("POST", "/composite", {"allOrNone": True, "compositeRequest": parts})[1]
    assert {"good": 400, "bad": 400} == statuses(body)
    expected = "The transaction was rolled back since another operation in the same transaction failed."
    assert [{"errorCode": "PROCESSING_HALTED", "message": expected}] == body["compositeResponse"][0]["body"]
    assert [] == shop.ids("SELECT Id FROM Account")


def test_collated_subrequests_may_change_places(shop):
    """Collation is on by default: order holds only without it."""
    parts = [
        part("a1", "POST", "/sobjects/Account", {"Name": "A"}),
        part("s1", "POST", "/sobjects/Store__c", {"Name": "S"}),
        part("a2", "POST", "/sobjects/Account", {"Name": "B"}),
    ]
    orders = [
        [
            a["referenceId"]
            for a in shop.rest("POST", "/composite", {"compositeRequest": parts, **more})[1][
                "compositeResponse"
            ]
        ]
        for more in ({}, {"collateSubrequests": False})
    ]
    assert [["a1", "a2", "s1"], ["a1", "s1", "a2"]] == orders


def test_a_subrequest_may_have_headers_of_its_own():
    shop = Shop(duplicate_rules={"Contact": "alert"})
    person = {"FirstName": "Ann", "LastName": "Lee", "Email": "a@x.example"}
    shop.made("Contact", **person)
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    parts = [
        part("no", "POST", "/sobjects/Contact", person),
        part("yes", "POST", "/sobjects/Contact", person, **header),
    ]
    assert {"no": 400, "yes": 201} == statuses(
        shop.rest("POST", "/composite", {"compositeRequest": parts})[1]
    )


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([part(f"r{i}", "GET", "/limits") for i in range(26)], id="26 subrequests"),
        pytest.param(
            [part(f"r{i}", "GET", "/query?q=SELECT+Id+FROM+Account") for i in range(6)],
            id="6 queries or collections",
        ),
        pytest.param([part("a", "GET", "/limits"), part("a", "GET", "/limits")], id="a reference id twice"),
        pytest.param([part("a-b", "GET", "/limits")], id="a reference id with a dash"),
        pytest.param([part("a", "GET", "/limits", Authorization="x")], id="a forbidden header"),
    ],
)
def test_a_composite_is_refused_as_a_whole(shop, parts):
    assert 400 == shop.rest("POST", "/composite", {"compositeRequest": parts})[0]


# -- batch, tree, graph ----------------------------------------------------------------


def test_batch_addresses_start_with_the_version_and_may_halt(shop):
    parts = [
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "A"}},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {}},
        {"method": "GET", "url": "v67.0/limits"},
    ]
    going = shop.rest("POST", "/composite/batch", {"batchRequests": parts})[1]
    assert (True, [201, 400, 200]) == (going["hasErrors"], [r["statusCode"] for r in going["results"]])
    halted = shop.rest("POST", "/composite/batch", {"batchRequests": parts, "haltOnError": True})[1]
    assert [201, 400, 412] == [r["statusCode"] for r in halted["results"]]
    assert "BATCH_PROCESSING_HALTED" == halted["results"][2]["result"][0]["errorCode"]


def tree(**line):
    return {
        "records": [
            {
                "attributes": {"type": "Sale__c", "referenceId": "sale"},
                "Sale_Key__c": "1",
                "Lines__r": {"records": [{"attributes": {"type": "Line__c", "referenceId": "line"}, **line}]},
            }
        ]
    }


def test_a_tree_plants_parents_and_children(shop):
    status, body, _ = shop.rest("POST", "/composite/tree/Sale__c", tree(SKU__c="x"))
    assert (201, False, ["sale", "line"]) == (
        status,
        body["hasErrors"],
        [r["referenceId"] for r in body["results"]],
    )
    assert [body["results"][0]["id"]] == [row["Sale__c"] for row in shop.query("SELECT Sale__c FROM Line__c")]


def test_a_failed_tree_plants_nothing_and_names_the_culprits(shop):
    status, body, _ = shop.rest("POST", "/composite/tree/Sale__c", tree(SKU__c="x" * 21))
    assert (400, True, ["line"]) == (status, body["hasErrors"], [r["referenceId"] for r in body["results"]])
    assert "STRING_TOO_LONG" == body["results"][0]["errors"][0]["statusCode"]
    assert [] == shop.ids("SELECT Id FROM Sale__c")


def test_each_graph_is_a_transaction_of_its_own(shop):
    def graph(name, sku):
        parts = [
            part("sale", "PATCH", f"/sobjects/Sale__c/Sale_Key__c/{name}", {}),
            part(
                "line",
                "PATCH",
                f"/sobjects/Line__c/Line_Key__c/{name}-1",
                {"Sale__c": "@{sale.id}", "SKU__c": sku},
            ),
        ]
        return {"graphId": name, "compositeRequest": parts}

    body = shop.rest("POST", "/composite/graph", {"graphs": [graph("1", "x"), graph("2", "x" * 21)]})[1]
    assert [("1", True), ("2", False)] == [(g["graphId"], g["isSuccessful"]) for g in body["graphs"]]
    assert ["1"] == [row["Sale_Key__c"] for row in shop.query("SELECT Sale_Key__c FROM Sale__c")]


@pytest.mark.parametrize(
    "graphs",
    [
        pytest.param([{"graphId": str(i), "compositeRequest": []} for i in range(76)], id="76 graphs"),
        pytest.param(
            [
                {
                    "graphId": "1",
                    "compositeRequest": [part(f"r{i}", "POST", "/sobjects/Account", {}) for i in range(501)],
                }
            ],
            id="501 nodes",
        ),
        pytest.param([{"graphId": "1", "compositeRequest": [part("q", "GET", "/query?q=x")]}], id="a query"),
    ],
)
def test_graphs_are_refused(shop, graphs):
    assert 400 == shop.rest("POST", "/composite/graph", {"graphs": graphs})[0]
