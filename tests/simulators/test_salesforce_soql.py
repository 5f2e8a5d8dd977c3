"""The SOQL the simulated org understands (fact sheet §2.4), over a handful of stores and sales."""

# ruff: noqa: E501  The tables read best with one case a line.

import pytest
from salesforce_org import Shop

from tillbridge.simulators.salesforce import soql
from tillbridge.simulators.salesforce.values import Refused


@pytest.fixture(scope="module")
def shop():
    """Two stores, six sales on three days, lines on the first."""
    shop = Shop(person_accounts=False)
    stores = {
        code: shop.made("Store__c", Store_Key__c=code, Name=name)
        for code, name in (("S1", "Main Street"), ("S2", "O'Hare \\ Airport"))
    }
    acme = shop.made("Account", Name="Acme", BillingCity="Utrecht", BillingCountry="Netherlands")
    rows = [
        ("A1", "S1", 10.10, "2026-11-19", "Completed", "a;b", None),
        ("a2", "S1", 20.20, "2026-11-19", "Completed", "b", acme),
        ("A3", "S2", -5.05, "2026-11-20", "Completed", None, None),
        ("A4", "S2", None, "2026-11-20", "Voided", "c", acme),
        ("A5", "S1", 0.1, "2026-11-21", "Voided", "a;c", None),
        ("A6", None, 0.2, None, "Completed", None, acme),
    ]
    sales = []
    for key, store, total, day, status, tags, account in rows:
        fields = {
            "Total__c": total,
            "Day__c": day,
            "Status__c": status,
            "Tags__c": tags,
            "Account__c": account,
        }
        parent = {"Store__c": stores[store]} if store else {}
        sales.append(
            shop.made(
                "Sale__c", Sale_Key__c=key, At__c=f"{day}T10:00:00Z" if day else None, **fields, **parent
            )
        )
        shop.clock.advance(60)
    for i in range(3):
        shop.made("Line__c", Line_Key__c=f"A1-{i}", Sale__c=sales[0], SKU__c=f"SKU{i}")
    return shop


def keys(shop, where):
    rows = shop.query(f"SELECT Sale_Key__c FROM Sale__c WHERE {where} ORDER BY Id")
    return " ".join(row["Sale_Key__c"] for row in rows)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        pytest.param("Sale_Key__c = 'A2'", "", id="a case-sensitive field means its case"),
        pytest.param("Sale_Key__c = 'a2'", "a2", id="equal"),
        pytest.param("Status__c = 'VOIDED'", "A4 A5", id="other text in any case"),
        pytest.param("Status__c != 'Voided'", "A1 a2 A3 A6", id="unlike"),
        pytest.param("Total__c != 10.1", "a2 A3 A4 A5 A6", id="unlike includes null"),
        pytest.param("Total__c > 0.1", "A1 a2 A6", id="greater"),
        pytest.param("Total__c <= -5.05", "A3", id="less or equal, a negative number"),
        pytest.param("Total__c = null", "A4", id="null"),
        pytest.param("Total__c != NULL AND Total__c < 1e0", "A3 A5 A6", id="not null, an exponent"),
        pytest.param("Day__c = 2026-11-20", "A3 A4", id="a day"),
        pytest.param("Day__c >= 2026-11-20 AND Day__c < 2026-11-21", "A3 A4", id="a span of days"),
        pytest.param(
            "At__c >= 2026-11-20T11:00:00+01:00 AND At__c < 2026-11-21T00:00:00Z",
            "A3 A4",
            id="moments with offsets",
        ),
        pytest.param("Day__c = YESTERDAY", "A3 A4", id="a relative day"),
        pytest.param("Day__c = LAST_N_DAYS:1", "A3 A4 A5", id="the last days and today"),
        pytest.param("SystemModstamp > 2026-11-21T12:03:30Z", "A5 A6", id="since a stamp"),
        pytest.param(
            "SystemModstamp >= 2026-11-21T12:01:00Z AND SystemModstamp <= 2026-11-21T12:02:00Z",
            "a2 A3",
            id="between stamps",
        ),
        pytest.param("Sale_Key__c IN ('A1', 'A6', 'zz')", "A1 A6", id="in a list"),
        pytest.param("Status__c NOT IN ('Voided')", "A1 a2 A3 A6", id="not in a list"),
        pytest.param("Sale_Key__c LIKE 'a_'", "A1 a2 A3 A4 A5 A6", id="like, in any case"),
        pytest.param("Sale_Key__c LIKE '%3'", "A3", id="like an end"),
        pytest.param("Tags__c INCLUDES ('a;b', 'c')", "A1 A4 A5", id="includes all of one group"),
        pytest.param("Tags__c EXCLUDES ('b', 'c')", "A3 A6", id="excludes"),
        pytest.param("Gift__c = false AND NOT (Total__c > 0)", "A3 A4", id="not"),
        pytest.param(
            "(Total__c > 15 OR Total__c < 0) AND Status__c = 'Completed'", "a2 A3", id="parentheses"
        ),
        pytest.param("Sale_Key__c = 'A1' OR Sale_Key__c = 'A3'", "A1 A3", id="or over an index"),
        pytest.param("Store__r.Name = 'main street'", "A1 a2 A5", id="a parent's field"),
        pytest.param("Store__r.Name = 'O\\'Hare \\\\ Airport'", "A3 A4", id="escapes"),
        pytest.param("Store__r.Store_Key__c IN ('S1', 'zz')", "A1 a2 A5", id="a parent's key"),
        pytest.param("Store__c = null", "A6", id="no parent"),
        pytest.param("Store__r.Store_Key__c = null", "A6", id="a field of no parent"),
        pytest.param(
            "Account__c IN (SELECT Id FROM Account WHERE Name = 'acme')", "a2 A4 A6", id="semi-join"
        ),
        pytest.param("Id NOT IN (SELECT Sale__c FROM Line__c)", "a2 A3 A4 A5 A6", id="anti-join"),
        pytest.param(
            "CALENDAR_YEAR(Day__c) = 2026 AND DAY_ONLY(At__c) = 2026-11-21", "A5", id="date functions"
        ),
    ],
)
def test_where(shop, where, expected):
    assert expected == keys(shop, where)


def test_a_lookup_may_be_compared_with_a_short_id(shop):
    store = shop.ids("SELECT Id FROM Store__c WHERE Store_Key__c = 'S1'")[0]
    assert "A1 a2 A5" == keys(shop, f"Store__c = '{store[:15]}'")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param("Total__c", "A4 A3 A5 A6 A1 a2", id="nulls come first"),
        pytest.param("Total__c DESC", "A4 a2 A1 A6 A5 A3", id="nulls come first downwards too"),
        pytest.param("Total__c DESC NULLS LAST", "a2 A1 A6 A5 A3 A4", id="unless they are to be last"),
        pytest.param("Status__c, Sale_Key__c DESC", "A6 A3 a2 A1 A5 A4", id="two terms, case aside"),
        pytest.param("Store__r.Store_Key__c NULLS LAST, Id", "A1 a2 A5 A3 A4 A6", id="by a parent's field"),
        pytest.param("Id LIMIT 2 OFFSET 1", "a2 A3", id="limit and offset"),
    ],
)
def test_order(shop, order, expected):
    rows = shop.query(f"SELECT Sale_Key__c FROM Sale__c ORDER BY {order}")
    assert expected == " ".join(row["Sale_Key__c"] for row in rows)


def test_a_record_shows_its_type_its_url_nulls_and_its_parents(shop):
    soql_text = "select id, total__c, STORE__R.NAME, Account__r.Owner.Name, Account__r.BillingAddress from sale__c where sale_key__c = 'a2'"
    row = shop.query(soql_text)[0]
    assert {"type": "Sale__c", "url": f"/services/data/v67.0/sobjects/Sale__c/{row['Id']}"} == row[
        "attributes"
    ]
    assert (20.2, "Main Street", "Sync User") == (
        row["Total__c"],
        row["Store__r"]["Name"],
        row["Account__r"]["Owner"]["Name"],
    )
    assert ("Utrecht", None) == (
        row["Account__r"]["BillingAddress"]["city"],
        row["Account__r"]["BillingAddress"]["street"],
    )
    lone = shop.query("SELECT Store__r.Name FROM Sale__c WHERE Sale_Key__c = 'A6'")[0]
    assert lone["Store__r"] is None


def test_a_subquery_shows_the_children_or_null(shop):
    rows = shop.query(
        "SELECT Sale_Key__c, (SELECT SKU__c FROM Lines__r WHERE SKU__c != 'SKU0' ORDER BY SKU__c DESC) FROM Sale__c ORDER BY Id LIMIT 2"
    )
    lines = rows[0]["Lines__r"]
    assert (2, True, ["SKU2", "SKU1"]) == (
        lines["totalSize"],
        lines["done"],
        [r["SKU__c"] for r in lines["records"]],
    )
    assert rows[1]["Lines__r"] is None


def plain(rows):
    return [{k: v for k, v in row.items() if k != "attributes"} for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("SELECT COUNT(Id) FROM Sale__c", [{"expr0": 6}], id="count of rows"),
        pytest.param(
            "SELECT COUNT(Total__c) n, COUNT_DISTINCT(Status__c) FROM Sale__c",
            [{"n": 5, "expr0": 2}],
            id="null is not counted",
        ),
        pytest.param(
            "SELECT SUM(Total__c), MIN(Total__c), MAX(Day__c), AVG(Total__c) FROM Sale__c WHERE Store__c != null AND Status__c = 'Completed'",
            [{"expr0": 25.25, "expr1": -5.05, "expr2": "2026-11-20", "expr3": pytest.approx(8.4166667)}],
            id="sums are exact to the cent",
        ),
        pytest.param(
            "SELECT SUM(Total__c) FROM Sale__c WHERE Sale_Key__c = 'none'",
            [{"expr0": None}],
            id="a sum over nothing is null",
        ),
        pytest.param(
            "SELECT Store__r.Store_Key__c, Day__c d, SUM(Total__c) total FROM Sale__c WHERE Store__c != null "
            "GROUP BY Store__r.Store_Key__c, Day__c ORDER BY Store__r.Store_Key__c, Day__c",
            [
                {"Store_Key__c": "S1", "d": "2026-11-19", "total": 30.3},
                {"Store_Key__c": "S1", "d": "2026-11-21", "total": 0.1},
                {"Store_Key__c": "S2", "d": "2026-11-20", "total": -5.05},
            ],
            id="by a parent's field and a day",
        ),
        pytest.param(
            "SELECT Status__c, COUNT(Id) FROM Sale__c GROUP BY Status__c HAVING COUNT(Id) > 2",
            [{"Status__c": "Completed", "expr0": 4}],
            id="having",
        ),
        pytest.param(
            "SELECT CALENDAR_YEAR(Day__c), COUNT(Id) n FROM Sale__c GROUP BY CALENDAR_YEAR(Day__c) ORDER BY COUNT(Id) DESC",
            [{"expr0": 2026, "n": 5}, {"expr0": None, "n": 1}],
            id="by year, ordered by the count",
        ),
    ],
)
def test_aggregates(shop, text, expected):
    assert expected == plain(shop.query(text))


def test_count_without_a_field_answers_in_the_total(shop):
    result = soql.run(shop.org, shop.user, "SELECT COUNT() FROM Sale__c WHERE Total__c > 0")
    assert (4, 0, True) == (result.total, result.size, result.counted)


def test_more_than_2000_groups_are_an_error_unless_limited():
    shop = Shop()
    for i in range(2_001):
        shop.write("Sale__c", Sale_Key__c=str(i))
    text = "SELECT Sale_Key__c, COUNT(Id) FROM Sale__c GROUP BY Sale_Key__c"
    with pytest.raises(Refused, match="does not support queryMore") as refused:
        shop.query(text)
    assert "EXCEEDED_ID_LIMIT" == refused.value.error.code
    assert 2_000 == len(shop.query(text + " LIMIT 2000"))


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        pytest.param("SELECT Nope__c FROM Sale__c", "INVALID_FIELD", "No such column 'Nope__c' on entity 'Sale__c'", id="no such field"),
        pytest.param("SELECT Secret__c FROM Sale__c", "INVALID_FIELD", "No such column 'Secret__c' on entity 'Sale__c'", id="a hidden field reads the same"),
        pytest.param("SELECT Id FROM Sale__c WHERE Secret__c = 'x'", "INVALID_FIELD", "No such column", id="hidden in a condition too"),
        pytest.param("SELECT Id FROM Nope__c", "INVALID_TYPE", "sObject type 'Nope__c' is not supported", id="no such object"),
        pytest.param("SELECT Nope__r.Name FROM Sale__c", "INVALID_FIELD", "Didn't understand relationship 'Nope__r'", id="no such parent"),
        pytest.param("SELECT Id, (SELECT Id FROM Nopes__r) FROM Sale__c", "INVALID_TYPE", "Didn't understand relationship", id="no such children"),
        pytest.param("SELECT Id FORM Sale__c", "MALFORMED_QUERY", "unexpected token: 'Sale__c'", id="a misspelt FROM"),
        pytest.param("SELECT FROM Sale__c", "MALFORMED_QUERY", "unexpected token", id="nothing selected"),
        pytest.param("SELECT Id FROM Sale__c WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'", id="cut off"),
        pytest.param("SELECT Id FROM Sale__c WHERE Day__c = 'x' AND Id != null OR Id = null", "MALFORMED_QUERY", "unexpected token: 'OR'", id="AND and OR without parentheses"),
        pytest.param("SELECT Id FROM Sale__c WHERE Name = 'a", "MALFORMED_QUERY", "unexpected token", id="an open string"),
        pytest.param("SELECT Id FROM Sale__c WHERE Name = 'a\\q'", "MALFORMED_QUERY", "Illegal character sequence", id="an unknown escape"),
        pytest.param("SELECT Id FROM Sale__c WHERE Day__c = '2026-11-20'", "INVALID_FIELD", "must be of type date and should not be enclosed in quotes", id="a quoted day"),
        pytest.param("SELECT Id FROM Sale__c WHERE At__c > 2026-11-20", "INVALID_FIELD", "must be of type dateTime", id="a day for a moment"),
        pytest.param("SELECT Id FROM Sale__c WHERE Sale_Key__c = 5", "INVALID_FIELD", "must be of type string and should be enclosed in quotes", id="a bare text"),
        pytest.param("SELECT Id FROM Sale__c WHERE Note__c = 'x'", "INVALID_FIELD", "can not be filtered", id="a long text in a condition"),
        pytest.param("SELECT Id FROM Sale__c WHERE Id = 'x1'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: x1", id="an id that is none"),
        pytest.param("SELECT Id, Id FROM Sale__c", "MALFORMED_QUERY", "duplicate field selected: Id", id="a field twice"),
        pytest.param("SELECT Status__c, COUNT(Id) FROM Sale__c", "MALFORMED_QUERY", "must be grouped or aggregated", id="neither grouped nor aggregated"),
        pytest.param("SELECT Total__c, COUNT(Id) FROM Sale__c GROUP BY Total__c", "INVALID_FIELD", "can not be grouped", id="money is not grouped by"),
        pytest.param("SELECT SUM(Status__c) FROM Sale__c", "INVALID_FIELD", "does not support aggregate operator SUM", id="a sum of texts"),
        pytest.param("SELECT COUNT() FROM Sale__c ORDER BY Id", "MALFORMED_QUERY", "ORDER BY", id="an order of a count"),
        pytest.param("SELECT Id FROM Sale__c LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000", id="too far an offset"),
        pytest.param("SELECT FIELDS(ALL) FROM Sale__c", "MALFORMED_QUERY", "LIMIT", id="all fields without a limit"),
        pytest.param("SELECT Account__r.Owner.Owner.Owner.Owner.Owner.Name FROM Sale__c", "MALFORMED_QUERY", "exceeds the maximum of 5 levels", id="too deep"),
        pytest.param("SELECT Id FROM Sale__c WHERE Name = '" + "x" * 4_001 + "'", "MALFORMED_QUERY", "longer than 4000", id="a literal too long"),
        pytest.param("SELECT Id FROM Sale__c WHERE Name = '' " + " " * 100_000, "MALFORMED_QUERY", "100000", id="a statement too long"),
    ],
)  # fmt: skip
def test_a_query_is_refused(shop, text, code, words):
    with pytest.raises(Refused) as refused:
        shop.query(text)
    assert code == refused.value.error.code
    assert words in refused.value.error.message


def test_a_refusal_shows_the_place(shop):
    with pytest.raises(Refused) as refused:
        shop.query("SELECT Id, Nope__c FROM Sale__c")
    lines = refused.value.error.message.split("\n")
    assert ["", "SELECT Id, Nope__c FROM Sale__c", "           ^", "ERROR at Row:1:Column:12"] == lines[:4]


def test_fields_all_shows_what_the_user_sees(shop):
    row = shop.query("SELECT FIELDS(ALL) FROM Sale__c LIMIT 1")[0]
    assert "Secret__c" not in row
    assert {"Id", "Sale_Key__c", "SystemModstamp", "OwnerId"} <= set(row)


def test_the_setup_objects_can_be_read(shop):
    """How a client finds out whether it holds a permission set."""
    held = shop.query("SELECT Id, Name FROM PermissionSet WHERE Name = 'Sync'")
    granted = shop.query(
        "SELECT Field, PermissionsEdit FROM FieldPermissions "
        f"WHERE ParentId = '{held[0]['Id']}' AND Field = 'Sale__c.Total__c'"
    )
    assert [("Sale__c.Total__c", True)] == [(row["Field"], row["PermissionsEdit"]) for row in granted]


def test_check_refuses_without_running(shop):
    assert "Sale__c" == shop.org.check_query(
        shop.user, "SELECT Id, Store__r.Name FROM sale__c WHERE Total__c > 1"
    )
    with pytest.raises(Refused):
        shop.org.check_query(shop.user, "SELECT Nope__c FROM Sale__c")


def test_an_index_stays_true_through_changes():
    shop = Shop()
    sales = [
        shop.made("Sale__c", Sale_Key__c=str(i), Day__c="2026-11-01", Status__c="Completed") for i in range(5)
    ]
    by_day = "SELECT Sale_Key__c FROM Sale__c WHERE Day__c = 2026-11-02 ORDER BY Id"
    assert [] == shop.query(by_day)
    shop.write("Sale__c", "update", Id=sales[1], Day__c="2026-11-02")
    shop.write("Sale__c", "update", Id=sales[2], Day__c="2026-11-02")
    shop.write("Sale__c", "update", Id=sales[2], Day__c=None)
    shop.write("Sale__c", "delete", Id=sales[3])
    late = shop.made("Sale__c", Sale_Key__c="late", Day__c="2026-11-02")
    assert ["1", "late"] == [row["Sale_Key__c"] for row in shop.query(by_day)]
    shop.write("Sale__c", "delete", Id=late)
    assert ["1"] == [row["Sale_Key__c"] for row in shop.query(by_day)]
