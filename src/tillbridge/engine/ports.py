"""The two doors of the engine: what it needs of a till and of a CRM, and what it may assume.

Every verb may raise the errors of `model.errors` and nothing else: `Transient`
after the connector's own retries are spent, `LimitReached` when a quota is
gone, `CredentialsRefused` and `PermissionMissing` when only a person can help,
`BadRequest` when a whole request was refused. A connector never retries a
request whose repetition could write twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal, Protocol

from tillbridge.model.acks import Ack, Refused
from tillbridge.model.answers import CrmPersonRow, CrmProduct, CrmStamp, CrmTotals, HeldAsk, KeyedRow
from tillbridge.model.reading import Countable, Page, Query, SaleChild, TillAccount
from tillbridge.model.records import Customer, Employee, Product, Register, Sale, SaleVoid, Stock, Store
from tillbridge.model.writing import (
    BulkAck,
    BulkJob,
    CrmOrg,
    CrmUsage,
    Merge,
    ObjectFacts,
    Slot,
    TillSlot,
    TillValue,
)


class Till(Protocol):
    """A till account. Reading never changes it. `calls` counts requests sent since the start.

    Its customers are the only thing that is ever written there.
    """

    calls: int

    def crowded(self) -> bool:
        """Say whether others use its limits so much that work which can wait should wait; no request."""

    def account(self) -> TillAccount:
        """Say which account this is."""

    def stores(self) -> list[Store]:
        """Read all stores, archived ones too."""

    def registers(self) -> list[Register]:
        """Read all registers."""

    def categories(self) -> dict[str, str]:
        """Read the product categories: id to full path."""

    def employees(self) -> list[Employee]:
        """Read all employees, archived ones too."""

    def customers(self, query: Query) -> Iterator[Page[Customer]]:
        """Read customers page by page; `birth_date` stays None (see model.times)."""

    def products(self, query: Query) -> Iterator[Page[tuple[Product, tuple[Stock, ...]]]]:
        """Read products, each with what every store holds of it (the all-stores total left out)."""

    def stock(self, query: Query) -> Iterator[Page[Stock]]:
        """Read stock that moved, without its products."""

    def sales(self, query: Query) -> Iterator[Page[Sale]]:
        """Read sales whole: lines, payments, tenders, notes; open, cancelled and voided ones too."""

    def voids(self, after_id: str | None) -> Iterator[Page[SaleVoid]]:
        """Read notes of voided sales that are newer than `after_id`, newest first, all when None."""

    def lines(self, query: Query) -> Iterator[Page[SaleChild]]:
        """Read the lines that changed, without their sales."""

    def payments(self, after_id: str | None) -> Iterator[Page[SaleChild]]:
        """Read the payments that are newer than `after_id`, newest first, without their sales."""

    def count(self, kind: Countable, since: datetime | None = None) -> int:
        """Count customers, products or sales without reading them; ten times the price of a page.

        `since`: only customers created, products changed, sales completed from then on.
        """

    def create_customer(self, slots: Mapping[TillSlot, TillValue]) -> Customer:
        """Create a customer and return it as the till keeps it. Opt-outs that are not named are false.

        Never repeated: after a lost answer `Transient(outcome_unknown=True)` is
        raised, and `find_customers` tells whether it happened.
        """

    def find_customers(self, *, emails: Collection[str], phones: Collection[str]) -> list[Customer]:
        """Ask the till itself who holds one of these e-mails or phones now, archived ones too.

        A phone is found as it was written, since the till compares text.
        """

    def change_customer(self, base: Customer, slots: Mapping[TillSlot, TillValue]) -> Customer | None:
        """Write some slots of a customer, leave all others, and return it as read back.

        Reads it first: None when a slot to be written does not show what `base`
        shows any more; then nothing was written. Repeatable: it says what shall be.
        """

    def clear_customer(self, customer_id: str) -> None:
        """Empty what the till's own erasure would keep: the note, the custom fields, the tags."""

    def anonymise_customer(self, customer_id: str) -> None:
        """Let the till erase who this is; the record stays, archived. One that is erased already stays so."""

    def archive_customer(self, customer_id: str) -> None:
        """Archive a customer."""


class Crm(Protocol):
    """A CRM org. `calls` counts API requests sent since the start (token requests apart)."""

    calls: int

    def org(self) -> CrmOrg:
        """Say which org this is; costs no API call."""

    def limits(self) -> dict[str, tuple[int, int]]:
        """Read what the org allows, as name -> (remaining, allowed). One call, and minutes old."""

    def usage(self) -> CrmUsage | None:
        """Return the org's API use as the last answer told it; None before the first answer."""

    def describe(self, name: str) -> ObjectFacts | None:
        """Describe one object as the connected user sees it; None when there is no such object. One call."""

    def query(self, text: str, *, deleted: bool = False) -> Iterator[list[dict[str, object]]]:
        """Run a query page by page. Rows are flat dicts; a parent's field is keyed "Parent__r.Field".

        `deleted` brings deleted and merged rows too. A query longer than an
        address may be raises ValueError before anything is sent.
        """

    def bulk_query(self, text: str) -> Iterator[list[dict[str, str]]]:
        """Run a large query as a bulk job, in chunks of rows; every value is text, "" is empty."""

    def write(self, slots: Sequence[Slot]) -> list[list[Ack]]:
        """Write up to `slots_max` slots in their order in ONE call; one list of acks a slot, in row order.

        Upserts and updates are repeated after a lost answer, creates are not:
        then `Transient(outcome_unknown=True)` is raised.
        """

    def merge(self, merges: Sequence[Merge]) -> list[Ack]:
        """Merge records, up to `merges_max` in ONE call; one ack a merge. What hangs on a loser moves over.

        Never repeated: `Transient(outcome_unknown=True)` after a lost answer; `people_by_id`
        tells who has become whom.
        """

    def delete(self, object_name: str, record_id: str) -> Refused | None:
        """Delete one record; return why it was refused, or None. One that is gone already is deleted."""

    def bulk_open(
        self, object_name: str, operation: Literal["upsert", "update", "insert"], key_field: str | None
    ) -> str:
        """Open a bulk job and return its id."""

    def bulk_upload(self, job_id: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> int:
        """Send the rows of a job (once), streaming; return how many. KeyRefs need columns "Parent__r.Key".

        `Transient(outcome_unknown=True)` when it may have them although no answer came.
        """

    def bulk_close(self, job_id: str) -> None:
        """Say that all rows are there: the job may start."""

    def bulk_abort(self, job_id: str) -> None:
        """Give a job up; a job that is gone is given up already."""

    def bulk_status(self, job_id: str) -> BulkJob | None:
        """Ask where a job stands; None when the CRM does not know it."""

    def bulk_results(self, job: BulkJob, key_column: str) -> Iterator[BulkAck]:
        """Read what became of every row, streaming: written, refused, and never looked at."""

    def add_picklist_values(self, object_name: str, field: str, values: Sequence[str]) -> None:
        """Add values to a field's list of values; those it has stay.

        PermissionMissing and BadRequest say what a person can do instead.
        """

    def deploy(self, package: bytes, *, check_only: bool) -> str:
        """Start installing a metadata package and return the deployment's id."""


class Questions(Protocol):
    """What the engine asks an org about what it holds. Each answer costs as few calls as its size allows."""

    def products(
        self, facts: ObjectFacts, numbers: Collection[str] | None, keys: Collection[str] = ()
    ) -> Iterator[CrmProduct]:
        """Find products that bear one of these numbers or keys; None: all there are."""

    def standard_price_book(self) -> str | None:
        """Return the id of the org's standard price book."""

    def prices(self, book: str, products: Collection[str] | None, currency: str | None) -> dict[str, str]:
        """Return which products have an entry in a price book: product id to entry id.

        `currency` where the org has several: an entry is in one of them.
        """

    def people(self, facts: ObjectFacts, more: Collection[str]) -> Iterator[CrmPersonRow]:
        """Read all people of one object, with `more` fields of it as text."""

    def changed_people(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], since: datetime
    ) -> list[CrmPersonRow]:
        """Read the people of several objects that changed since a moment of the org's clock, in one call.

        Whoever was deleted or merged away since comes too (`deleted`, `became`), and
        converted Leads: a deletion is told for as long as the org's bin holds it.
        """

    def people_stamps(
        self, objects: Collection[str], facts: Mapping[str, ObjectFacts], since: datetime
    ) -> list[CrmStamp]:
        """Say who changed since, deleted ones too, in a call for each 2,000: ten times as many as in full."""

    def people_by_id(
        self, objects: Mapping[str, Collection[str]], facts: Mapping[str, ObjectFacts], ids: Collection[str]
    ) -> list[CrmPersonRow]:
        """Read these people as they are now, deleted ones too, in one call for up to 200 of them."""

    def fates(self, name: str, ids: Collection[str]) -> dict[str, str | None]:
        """Say which of these records are gone: id to the one they were merged into, None if deleted."""

    def owners(self) -> dict[str, str]:
        """Return the owners that administrators named: store or employee key to user id, in one call."""

    def days(self, prefix: str) -> tuple[date, date, int] | None:
        """Return first and last business day of a till account's sales, and their count; None without any."""

    def totals(self, first: date, last: date, prefix: str) -> CrmTotals:
        """Add up what the org holds of one till account, both days included."""

    def rows_of_days(
        self, name: str, key_field: str, starts: str, fields: Sequence[str], first: date, last: date
    ) -> Iterator[dict[str, str | None]]:
        """Read the rows of these business days whose key begins with `starts`, as text."""

    def rows_or_remains(
        self, name: str, key_path: str, keys: Collection[str], fields: Sequence[str]
    ) -> Iterator[dict[str, str | None]]:
        """Read the rows whose `key_path` (a field, or a parent's) is one of these, deleted ones too.

        Rows carry "Id" and "IsDeleted" ("true", "false") beside `fields`.
        """

    def held(self, asks: Sequence[HeldAsk]) -> list[dict[str, Mapping[str, str | None]]]:
        """Return what the org holds of given rows, as text: by ask, by key. Absent: it does not hold it.

        All asks that fit go in one call (up to five queries of 400 keys each).
        """

    def sales_of(self, customers: Collection[str]) -> dict[str, list[str]]:
        """Return the keys of the sales that carry these customer keys, newest first."""

    def keyed(self, name: str, key_field: str, prefix: str, more: Sequence[str] = ()) -> Iterator[KeyedRow]:
        """Read every row of an object that carries a key of one till account."""
