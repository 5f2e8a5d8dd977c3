"""The engine's questions to an org, put into SOQL: products, prices, people, totals, keys.

Each answer is in the words of `model`. The one thing a reader would get wrong:
small tables are read by query, large ones by one bulk job, whichever spends
fewer calls of the org's day; and an address may hold 16,384 bytes, no more
(fact sheet Salesforce 2.4), so lists of ids are cut.
"""

# ruff: noqa: S608  The literals in these queries are ours, or quoted by `soql`.

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Protocol

from tillbridge.connectors.salesforce.people_question import PEOPLE, PeopleQuestion, Scope
from tillbridge.connectors.salesforce.soql import (
    as_decimal,
    as_str,
    as_text,
    like_pattern,
    quoted_list,
    row_id,
    text_of,
)
from tillbridge.model.answers import (
    CrmPersonRow,
    CrmProduct,
    CrmSaleSum,
    CrmStamp,
    CrmTenderSum,
    CrmTotals,
    HeldAsk,
    KeyedRow,
)
from tillbridge.model.batches import batched
from tillbridge.model.errors import BadRequest
from tillbridge.model.writing import ObjectFacts

# A query page holds 2,000 rows and costs a call; a bulk query costs about six calls however many rows.
_PAGES_MAX = 8

# 400 ids of 18 characters keep an address well below its limit.
_IDS_MAX = 400

# SKUs are longer than ids and appear once a field.
_NUMBERS_MAX = 100

# An aggregate query answers at most 2,000 groups (fact sheet: SOQL limits); ask for half of it at a time.
_GROUPS_SAFE = 1_000

# So many queries go in one composite call (fact sheet Salesforce: composite limits).
_TOGETHER = 5

# So many people are read by their ids in one call; each object has its own query.
_PEOPLE_MAX = 200

# What an id begins with tells its object.
# https://help.salesforce.com/s/articleView?id=000385203&type=1
_PREFIXES = {"Account": "001", "Contact": "003", "Lead": "00Q"}

_SKU_FIELDS = ("ProductCode", "StockKeepingUnit")
# Where administrators name a user: object, key, lookup.
_OWNERS = (
    ("Retail_Store__c", "Store_Key__c", "Default_Owner__c"),
    ("Retail_Employee__c", "Employee_Key__c", "User__c"),
)
_ITEM_KEY = "Lightspeed_Item_Key__c"
_CUSTOMER_KEY = "Lightspeed_Customer_Key__c"


class Asking(Protocol):
    """What a question needs of the client."""

    def query(self, text: str, *, deleted: bool = False) -> Iterator[list[dict[str, object]]]:
        """Run a query page by page."""

    def query_many(self, texts: Sequence[str], *, deleted: bool = False) -> list[list[dict[str, object]]]:
        """Run up to five queries in one call."""

    def bulk_query(self, text: str) -> Iterator[list[dict[str, str]]]:
        """Run a large query as a bulk job."""


class Questions:
    """Answers the engine's questions about one org. Without a scope nobody is `wanted`."""

    def __init__(self, client: Asking, scope: Scope | None = None) -> None:
        self._client = client
        self._scope = scope

    # --- products ----------------------------------------------------------------------------

    def products(
        self, facts: ObjectFacts, numbers: Collection[str] | None, keys: Collection[str] = ()
    ) -> Iterator[CrmProduct]:
        """Find products that bear one of these numbers or keys; None: all there are."""
        skus = [name for name in _SKU_FIELDS if name in facts.fields]
        select = f"SELECT Id, {', '.join([*skus, _ITEM_KEY])} FROM Product2"
        rows = self._all(select) if numbers is None else self._numbered(select, skus, numbers, keys)
        for row in rows:
            found = tuple(dict.fromkeys(value for name in skus if (value := row.get(name))))
            yield CrmProduct(id=row_id(row), key=row.get(_ITEM_KEY), numbers=found)

    def _numbered(
        self, select: str, skus: Sequence[str], numbers: Collection[str], keys: Collection[str]
    ) -> Iterator[dict[str, str | None]]:
        wanted = [(skus, numbers), ([_ITEM_KEY], keys)]
        seen: set[str] = set()
        for fields, values in wanted:
            for part in batched(values, _NUMBERS_MAX):
                where = " OR ".join(f"{name} IN ({quoted_list(part)})" for name in fields)
                for row in self._some(f"{select} WHERE {where}"):
                    if row_id(row) not in seen:
                        seen.add(row_id(row))
                        yield row

    def standard_price_book(self) -> str | None:
        """Return the id of the org's standard price book."""
        rows = self._some("SELECT Id FROM Pricebook2 WHERE IsStandard = true")
        return row_id(rows[0]) if rows else None

    def prices(self, book: str, products: Collection[str] | None, currency: str | None) -> dict[str, str]:
        """Return which products (None: all) have an entry in a price book: product id to entry id.

        `currency` where the org has several: an entry is in one of them.
        """
        select = f"SELECT Id, Product2Id FROM PricebookEntry WHERE Pricebook2Id = {quoted_list([book])}"
        if currency is not None:
            select += f" AND CurrencyIsoCode = {quoted_list([currency])}"
        if products is None:
            return {str(row["Product2Id"]): row_id(row) for row in self._all(select)}
        found: dict[str, str] = {}
        for part in batched(products, _IDS_MAX):
            rows = self._some(f"{select} AND Product2Id IN ({quoted_list(part)})")
            found.update((str(row["Product2Id"]), row_id(row)) for row in rows)
        return found

    # --- people ------------------------------------------------------------------------------

    def people(self, facts: ObjectFacts, more: Collection[str]) -> Iterator[CrmPersonRow]:
        """Read all people of one object, Account, Contact or Lead, with `more` fields of it as text.

        Fields that the org does not have are left out. Contacts that only shadow
        a person account are left out too: their account stands for them.
        """
        asked = PeopleQuestion(facts, more, self._scope)
        yield from map(asked.read, self._all(asked.text(None)))

    def changed_people(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], since: datetime
    ) -> list[CrmPersonRow]:
        """Read the people of several objects that changed since a moment of the org's clock, in one call.

        Deleted, merged and converted ones are told too: whoever was linked to them belongs
        elsewhere now. What the bin no longer holds is not told; to be absent says nothing.
        """
        asked = [self._question(name, more, facts) for name, more in objects.items()]
        return self._people_of(asked, [each.text(since) for each in asked])

    def people_stamps(
        self, objects: Collection[str], facts: Mapping[str, ObjectFacts], since: datetime
    ) -> list[CrmStamp]:
        """Say who changed since, deleted ones too, in a call for each 2,000.

        Whole rows hold long texts, of which a page takes 200 (fact sheet Salesforce 3).
        """
        names = list(objects)
        texts = [PeopleQuestion(facts[name], ()).stamps_text(since) for name in names]
        answers = self._client.query_many(texts, deleted=True)
        return [
            CrmStamp(
                id=str(row["Id"]),
                object=name,
                changed_at=datetime.fromisoformat(str(row["SystemModstamp"])),
                changed_by=text_of(row.get("LastModifiedById")),
            )
            for name, rows in zip(names, answers, strict=True)
            for row in rows
        ]

    def people_by_id(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], ids: Collection[str]
    ) -> list[CrmPersonRow]:
        """Read these people as they are now, deleted ones too, in one call for up to 200 of them.

        Ids of other objects, and those that the org does not know (any more), are passed over.
        """
        found: list[CrmPersonRow] = []
        for part in batched(dict.fromkeys(ids), _PEOPLE_MAX):
            of = {name: [one for one in part if one.startswith(_PREFIXES[name])] for name in objects}
            asked = [self._question(name, more, facts) for name, more in objects.items() if of[name]]
            if asked:
                found += self._people_of(asked, [each.text_by_id(of[each.name]) for each in asked])
        return found

    def _question(self, name: str, more: Collection[str], facts: Mapping[str, ObjectFacts]) -> PeopleQuestion:
        return PeopleQuestion(facts[name], more, self._scope, accounts=facts.get("Account"))

    def _people_of(self, asked: Sequence[PeopleQuestion], texts: Sequence[str]) -> list[CrmPersonRow]:
        answers = self._client.query_many(texts, deleted=True)
        return [each.read(as_text(row)) for each, rows in zip(asked, answers, strict=True) for row in rows]

    def fates(self, name: str, ids: Collection[str]) -> dict[str, str | None]:
        """Say which of these records are gone: id to the one they were merged into, None if deleted.

        A loser of a merge names its winner, which may have lost another merge since
        (fact sheet 7.4). What the recycle bin has forgotten is deleted, too.
        """
        master = ", MasterRecordId" if name in PEOPLE else ""
        gone: dict[str, str | None] = {}
        for part in batched(ids, _IDS_MAX):
            text = f"SELECT Id, IsDeleted{master} FROM {name} WHERE Id IN ({quoted_list(part)})"
            rows = [as_text(row) for page in self._client.query(text, deleted=True) for row in page]
            seen = {row_id(row): row for row in rows}
            for old in part:
                row = seen.get(old)
                if row is None or row.get("IsDeleted") == "true":
                    gone[old] = row.get("MasterRecordId") if row else None
        winners = {new for new in gone.values() if new} - gone.keys()
        later = self.fates(name, winners) if winners else {}
        return {old: later.get(new, new) if new else None for old, new in gone.items()}

    def owners(self) -> dict[str, str]:
        """Return the owners that administrators named: store or employee key to user id, in one call."""
        texts = [f"SELECT {key}, {field} FROM {name} WHERE {field} != null" for name, key, field in _OWNERS]
        answers = self._client.query_many(texts)
        return {
            str(row[key]): str(row[field])
            for (_, key, field), rows in zip(_OWNERS, answers, strict=True)
            for row in rows
        }

    # --- totals ------------------------------------------------------------------------------

    def days(self, prefix: str) -> tuple[date, date, int] | None:
        """Return first and last business day of a till account's sales, and their count; None without any."""
        rows = self._some(
            # FIRST and LAST are reserved words in SOQL: no column may be called so.
            "SELECT MIN(Business_Date__c) earliest, MAX(Business_Date__c) latest, COUNT(Id) n "
            "FROM Sales_Transaction__c "
            f"WHERE Transaction_Key__c LIKE '{like_pattern(prefix)}-S%'"
        )
        first, last = (rows[0].get("earliest"), rows[0].get("latest")) if rows else (None, None)
        if not first or not last:
            return None
        return date.fromisoformat(first[:10]), date.fromisoformat(last[:10]), int(rows[0]["n"] or 0)

    def totals(self, first: date, last: date, prefix: str) -> CrmTotals:
        """Add up what the org holds of one till account from `first` to `last`, both included.

        The range is halved whenever the org says that there are too many groups.
        """
        try:
            return self._totals(first, last, prefix)
        except BadRequest as error:
            if first == last or error.code not in {
                "EXCEEDED_ID_LIMIT",
                "QUERY_TOO_COMPLICATED",
                "QUERY_TIMEOUT",
            }:
                raise
        middle = date.fromordinal((first.toordinal() + last.toordinal()) // 2)
        early = self.totals(first, middle, prefix)
        late = self.totals(date.fromordinal(middle.toordinal() + 1), last, prefix)
        return CrmTotals([*early.sales, *late.sales], [*early.tenders, *late.tenders])

    def _totals(self, first: date, last: date, prefix: str) -> CrmTotals:
        # Keys are compared as ranges, not by LIKE: "-S" is followed by digits only, and "-T" ends the range.
        day = f"Business_Date__c >= {first} AND Business_Date__c <= {last}"
        sales = self._grouped(
            "SELECT Store_Code__c store, Business_Date__c day, Currency_Code__c currency, Type__c type, "
            "Status__c status, COUNT(Id) n, SUM(Total__c) total, SUM(Tax__c) tax, SUM(Discount__c) discount, "
            "SUM(Net_Sales__c) net FROM Sales_Transaction__c "
            f"WHERE {day} AND Transaction_Key__c LIKE '{like_pattern(prefix)}-S%' "
            "GROUP BY Store_Code__c, Business_Date__c, Currency_Code__c, Type__c, Status__c"
        )
        tenders = self._grouped(
            "SELECT Store_Code__c store, Business_Date__c day, Currency_Code__c currency, Tender__c tender, "
            "COUNT(Id) n, SUM(Amount__c) amount FROM Sales_Payment__c "
            f"WHERE {day} AND Payment_Key__c LIKE '{like_pattern(prefix)}-P%' "
            "GROUP BY Store_Code__c, Business_Date__c, Currency_Code__c, Tender__c"
        )
        return CrmTotals(
            [
                CrmSaleSum(
                    store=as_str(row["store"]),
                    day=date.fromisoformat(as_str(row["day"])),
                    currency=as_str(row["currency"]),
                    type=as_str(row["type"]),
                    status=as_str(row["status"]),
                    count=int(as_str(row["n"])),
                    total=as_decimal(row["total"]),
                    tax=as_decimal(row["tax"]),
                    discount=as_decimal(row["discount"]),
                    net=as_decimal(row["net"]),
                )
                for row in sales
                if row["day"]
            ],
            [
                CrmTenderSum(
                    store=as_str(row["store"]),
                    day=date.fromisoformat(as_str(row["day"])),
                    currency=as_str(row["currency"]),
                    tender=as_str(row["tender"]),
                    count=int(as_str(row["n"])),
                    amount=as_decimal(row["amount"]),
                )
                for row in tenders
                if row["day"]
            ],
        )

    def _grouped(self, text: str) -> list[dict[str, object]]:
        rows = [row for page in self._client.query(text) for row in page]
        if len(rows) >= 2 * _GROUPS_SAFE:
            # Some orgs cut the answer at 2,000 groups without a word: take that as "too many".
            raise BadRequest("too many groups for one answer", code="EXCEEDED_ID_LIMIT", status=400)
        return rows

    # --- keys --------------------------------------------------------------------------------

    def keyed(self, name: str, key_field: str, prefix: str, more: Sequence[str] = ()) -> Iterator[KeyedRow]:
        """Read every row of an object that carries a key of one till account."""
        fields = ", ".join(["Id", key_field, *more])
        text = f"SELECT {fields} FROM {name} WHERE {key_field} LIKE '{like_pattern(prefix)}-%'"
        for row in self._all(text):
            key = row.get(key_field)
            if key:
                yield KeyedRow(row_id(row), key, {field: row.get(field) for field in more})

    # --- content -----------------------------------------------------------------------------

    def rows_of_days(
        self, name: str, key_field: str, starts: str, fields: Sequence[str], first: date, last: date
    ) -> Iterator[dict[str, str | None]]:
        """Read the rows of these business days whose key begins with `starts`, as text."""
        text = (
            f"SELECT {', '.join(dict.fromkeys([key_field, *fields]))} FROM {name} "
            f"WHERE Business_Date__c >= {first} AND Business_Date__c <= {last} "
            f"AND {key_field} LIKE '{like_pattern(starts)}%'"
        )
        return self._all(text)

    def rows_or_remains(
        self, name: str, key_path: str, keys: Collection[str], fields: Sequence[str]
    ) -> Iterator[dict[str, str | None]]:
        """Read the rows whose `key_path` (a field, or a parent's) is one of these, deleted ones too."""
        names = ", ".join(dict.fromkeys(["Id", "IsDeleted", key_path, *fields]))
        for part in batched(keys, _IDS_MAX):
            text = f"SELECT {names} FROM {name} WHERE {key_path} IN ({quoted_list(part)})"
            for page in self._client.query(text, deleted=True):
                yield from map(as_text, page)

    # --- the same rows -----------------------------------------------------------------------

    def held(self, asks: Sequence[HeldAsk]) -> list[dict[str, Mapping[str, str | None]]]:
        """Return what the org holds of given rows, as text: by ask, by key."""
        found: list[dict[str, Mapping[str, str | None]]] = [{} for _ in asks]
        todo = [
            (at, _held_text(ask, part)) for at, ask in enumerate(asks) for part in batched(ask.keys, _IDS_MAX)
        ]
        for start in range(0, len(todo), _TOGETHER):
            together = todo[start : start + _TOGETHER]
            answers = self._client.query_many([text for _, text in together])
            for (at, _), rows in zip(together, answers, strict=True):
                field = asks[at].key_field
                found[at].update((as_str(row[field]), as_text(row)) for row in rows)
        return found

    def sales_of(self, customers: Collection[str]) -> dict[str, list[str]]:
        """Return the keys of the sales that carry these customer keys, newest first."""
        found: dict[str, list[str]] = {}
        for part in batched(customers, _IDS_MAX):
            text = (
                "SELECT Transaction_Key__c, Customer_Key__c FROM Sales_Transaction__c "
                f"WHERE Customer_Key__c IN ({quoted_list(part)}) ORDER BY Completed_At__c DESC"
            )
            for row in self._some(text):
                found.setdefault(row["Customer_Key__c"] or "", []).append(row["Transaction_Key__c"] or "")
        return found

    # --- how ---------------------------------------------------------------------------------

    def _all(self, text: str) -> Iterator[dict[str, str | None]]:
        pages = self._client.query(text)
        first = list(islice(pages, _PAGES_MAX))
        if len(first) == _PAGES_MAX and next(pages, None) is not None:
            for chunk in self._client.bulk_query(text):
                yield from ({name: value or None for name, value in row.items()} for row in chunk)
            return
        for page in first:
            yield from map(as_text, page)

    def _some(self, text: str) -> list[dict[str, str | None]]:
        return [as_text(row) for page in self._client.query(text) for row in page]


def _held_text(ask: HeldAsk, keys: Collection[str]) -> str:
    fields = ", ".join(dict.fromkeys(["Id", ask.key_field, *ask.fields]))
    return f"SELECT {fields} FROM {ask.name} WHERE {ask.key_field} IN ({quoted_list(keys)})"
