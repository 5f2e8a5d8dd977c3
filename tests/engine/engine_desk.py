"""A connection with hand-made remotes: a CRM that writes down what it is sent and answers as it is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal

from store_home import Home

from tillbridge.engine.connection import Connection, Settings, Silent
from tillbridge.engine.rows import Row
from tillbridge.model.acks import Refused, Written
from tillbridge.model.reading import TillAccount
from tillbridge.model.records import Payment, Sale, SaleLine, SaleState, Store
from tillbridge.model.sale import Ref, Surroundings
from tillbridge.model.writing import CrmOrg, FieldFacts, KeyRef, ObjectFacts
from tillbridge.sync.fieldmap import compile_maps

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNT = "190001"


class ScriptedCrm:
    """Accepts every row, unless a script refuses it. `calls` holds the slots of each call."""

    def __init__(self) -> None:
        self.sent: list[list[tuple[str, str, list[dict]]]] = []
        self.script: Callable[[str, dict], Refused | None] = lambda _name, _row: None
        self._ids: dict[tuple[str, object], str] = {}

    @property
    def calls(self):
        return len(self.sent)

    def org(self):
        return CrmOrg("00D000000000000AAA", "005000000000000AAA", "https://crm.example")

    def write(self, slots):
        self.sent.append([(slot.operation, slot.object, [dict(row) for row in slot.rows]) for slot in slots])
        return [[self._ack(slot, row) for row in slot.rows] for slot in slots]

    def _ack(self, slot, row):
        refused = self.script(slot.object, row)
        if refused is not None:
            return refused
        if slot.operation == "update":
            return Written(str(row["Id"]), False)
        name = (slot.object, row[slot.key_field] if slot.key_field else len(self._ids))
        created = name not in self._ids
        return Written(self._ids.setdefault(name, f"{slot.object[:3]}{len(self._ids)}"), created)

    def rows(self, name):
        """Return everything that was sent of one object, in order."""
        return [
            row for call in self.sent for _, object_name, rows in call if object_name == name for row in rows
        ]


def refuse_once(wanted, ack):
    """Refuse the first row that fits."""
    todo = [True]

    def script(name, row):
        if todo and wanted(name, row):
            todo.clear()
            return ack
        return None

    return script


class Desk(Home):
    """A home with a connection whose maps are the presets and whose org takes any value."""

    def __init__(self, path, **settings):
        super().__init__(path)
        self.crm = ScriptedCrm()
        model = settings.get("model", "person_account")
        compiled = compile_maps({}, account=ACCOUNT, model=model)
        maps = {table.name: table for table in compiled.all()}
        given = {
            "settings": Settings(**settings),
            "crm": self.crm,
            "state": self.state,
            "journal": self.journal,
            "people": self.people,
            "spool": self.spool,
            "clock": self.clock,
            "rng": random.Random(1),
            "maps": maps,
            "account": TillAccount(ACCOUNT, "Shop", "USD"),
            "objects": {table.object: _any_object(table) for table in maps.values()},
            "around": Surroundings(
                currency="USD",
                stores={"1": Store(id="1", name="Albany", time_zone="US/Eastern")},
                registers={"1": "Front"},
            ),
            "progress": Silent(),
        }
        # A remote that a test does not hand in is not there: touching it is the failure.
        self.connection = Connection(**{f.name: given.get(f.name) for f in fields(Connection)})


def _any_object(table):
    names = [*table.targets, *([table.key_field] if table.key_field else [])]
    return ObjectFacts(
        name=table.object,
        label=table.object,
        createable=True,
        updateable=True,
        fields={name: FieldFacts(name=name, type="any") for name in names},
    )


def sale_row(number, **lookups):
    payload = {"Transaction_Key__c": f"{ACCOUNT}-S{number}", "Total__c": Decimal(number)}
    return Row(
        kind="sale",
        till_id=str(number),
        object="Sales_Transaction__c",
        payload={**payload, **lookups},
        key_field="Transaction_Key__c",
        till_stamp=1.0,
    )


def line_row(number, sale, **lookups):
    payload = {"Line_Key__c": f"{ACCOUNT}-L{number}", "Sales_Transaction__c": Ref("sale", str(sale))}
    return Row(
        kind="line",
        till_id=str(number),
        object="Sales_Transaction_Line__c",
        payload={**payload, **lookups},
        key_field="Line_Key__c",
        sale=str(sale),
    )


def customer_row(number):
    payload = {"Lightspeed_Customer_Key__c": f"{ACCOUNT}-C{number}", "LastName": "Prins"}
    return Row(
        kind="customer",
        till_id=str(number),
        object="Account",
        payload=payload,
        key_field="Lightspeed_Customer_Key__c",
    )


def by_key(relationship, field, letter, number):
    return KeyRef(relationship, field, f"{ACCOUNT}-{letter}{number}")


def sale(number, *, lines=(), payments=(), state=SaleState.COMPLETED, **more):
    total = sum((line.total for line in lines), Decimal(0))
    amounts = {"subtotal": total, "total": total, "due": total, "paid": total}
    nothing = dict.fromkeys(("discount", "tax1", "tax2", "tips", "change"), Decimal(0))
    given = {
        "completed_at": NOON,
        "created_at": NOON,
        "changed_at": NOON,
        "store_id": "1",
        "register_id": "1",
    }
    return Sale(
        id=str(number),
        ticket=f"T{number}",
        state=state,
        lines=tuple(lines),
        payments=tuple(payments),
        **{**amounts, **nothing, **given, **more},
    )


def line(number, amount="10", **more):
    money = Decimal(amount)
    nothing = dict.fromkeys(("discount", "tax1", "tax2"), Decimal(0))
    return SaleLine(
        id=str(number),
        product_id="5",
        quantity=Decimal(1),
        unit_price=money,
        subtotal=money,
        total=money,
        **nothing,
        **more,
    )


def payment(number, amount="10", **more):
    return Payment(
        id=str(number), amount=Decimal(amount), tip=Decimal(0), tender="Cash", tender_type="cash", **more
    )
