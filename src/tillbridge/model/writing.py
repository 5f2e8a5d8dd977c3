"""What we hand to a connector to write and what a CRM tells about itself, in nobody's wire form.

Objects and fields are named as the field map names them; values are Python's
(str, bool, Decimal, int, date, aware datetime, None = empty this field).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args

import msgspec


class KeyRef(msgspec.Struct, frozen=True):
    """A lookup by key instead of id: the parent is created in the same request.

    `relationship` is the name the remote gives the way to the parent (Store__r),
    `field` the parent's key field, `key` its value.
    """

    relationship: str
    field: str
    key: str


Value = str | bool | int | Decimal | date | datetime | KeyRef | None


# What can be written of a till's customer, by the names that the field map reads them by.
TillSlot = Literal[
    "first_name",
    "last_name",
    "title",
    "company",
    "email",
    "secondary_email",
    "home_phone",
    "work_phone",
    "mobile_phone",
    "pager",
    "fax",
    "birth_date",
    "street",
    "city",
    "state",
    "state_code",
    "zip",
    "country",
    "country_code",
    "no_email",
    "no_phone",
    "no_mail",
]
TILL_SLOTS: tuple[TillSlot, ...] = get_args(TillSlot)

# A birthday is an aware UTC instant, the shop's local midnight (see model.times); None empties the slot.
TillValue = str | bool | datetime | None


class Slot(msgspec.Struct, frozen=True):
    """Rows of one object that travel together: at most 200.

    upsert: by `key_field`, whose value every row holds. update: every row holds
    "Id". create: plain insert, only for objects without a key of ours.
    """

    operation: Literal["upsert", "update", "create"]
    object: str
    rows: list[dict[str, Value]]
    key_field: str | None = None


class FieldFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the CRM says of one field, as far as the connected user may see it."""

    name: str
    type: str  # string, textarea, email, phone, boolean, double, currency, date, datetime, picklist, ...
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False  # must be given on create
    createable: bool = True
    updateable: bool = True
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    restricted: bool = False
    values: tuple[str, ...] = ()  # active picklist values
    references: tuple[str, ...] = ()
    relationship: str | None = None


class ObjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the CRM says of one object; `fields` is keyed by field name."""

    name: str
    label: str
    createable: bool
    updateable: bool
    fields: dict[str, FieldFacts]
    record_types: dict[str, str] = {}  # developer name -> id, available ones only


AutomationKind = Literal["flow", "trigger", "validation rule", "duplicate rule"]


class Automation(msgspec.Struct, frozen=True):
    """Something that the CRM does by itself when a row of an object comes, or may refuse the row for."""

    kind: AutomationKind
    name: str
    object: str
    when: str = ""  # as the CRM says it: RecordBeforeSave and the like


class CrmOrg(msgspec.Struct, frozen=True):
    """Which org we are let into, and as whom. `id` has 18 characters."""

    id: str
    user_id: str
    instance_url: str


class CrmUsage(msgspec.Struct, frozen=True):
    """The org's API use in its rolling day, all apps together, as last told by a header."""

    used: int
    allowed: int


class BulkJob(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bulk job stands. `state` "complete" says nothing of its rows."""

    id: str
    state: Literal["open", "working", "complete", "failed", "aborted"]
    processed: int = 0
    failed: int = 0
    message: str | None = None


class BulkAck(msgspec.Struct, frozen=True):
    """The target's word on one bulk row; rows come in any order, so `key` names it.

    `unprocessed` rows were never looked at: send them again. `row` is what was
    sent of a row that was not written, as the target repeats it: text, None
    for a field that was to be emptied.
    """

    key: str
    id: str | None = None
    created: bool | None = None
    code: str | None = None
    message: str | None = None
    fields: tuple[str, ...] = ()
    unprocessed: bool = False
    row: Mapping[str, str | None] | None = None


class Merge(msgspec.Struct, frozen=True):
    """Records that go into another one of the same object, and what that one is given with it.

    `fields` are texts as the target writes them; None empties a field. At most two losers.
    """

    object: str
    master: str
    losers: tuple[str, ...]
    fields: Mapping[str, str | None] = {}
