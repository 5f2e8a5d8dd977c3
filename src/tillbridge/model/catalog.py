"""What the CRM shows of a store, an employee and a stock level beyond the till's own words."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tillbridge.model.records import Employee, Stock, Store


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A shop with the code that reports and sharing rules know it by."""

    id: str
    name: str
    code: str
    time_zone: str
    currency: str | None
    tax_inclusive: bool
    archived: bool


class EmployeeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who sells; `name` is never empty."""

    id: str
    name: str
    first_name: str | None
    last_name: str | None
    active: bool


class StockFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one store holds of one product."""

    product_id: str
    store_id: str
    store_code: str
    on_hand: Decimal
    sellable: Decimal | None
    reorder_point: Decimal | None
    reorder_level: Decimal | None


def store_facts(store: Store, code: str | None = None, currency: str | None = None) -> StoreFacts:
    """Derive a store's facts; without a configured code it is called by its id."""
    return StoreFacts(
        id=store.id,
        name=store.name,
        code=code or store.id,
        time_zone=store.time_zone,
        currency=currency,
        tax_inclusive=store.tax_inclusive,
        archived=store.archived,
    )


def employee_facts(employee: Employee) -> EmployeeFacts:
    """Derive an employee's facts."""
    name = " ".join(filter(None, (employee.first_name, employee.last_name)))
    return EmployeeFacts(
        id=employee.id,
        name=name or f"Employee {employee.id}",
        first_name=employee.first_name,
        last_name=employee.last_name,
        active=employee.active,
    )


def stock_facts(stock: Stock, store_code: str | None = None) -> StockFacts:
    """Derive the facts of one product in one store."""
    return StockFacts(
        product_id=stock.product_id,
        store_id=stock.store_id,
        store_code=store_code or stock.store_id,
        on_hand=stock.on_hand,
        sellable=stock.sellable,
        reorder_point=stock.reorder_point,
        reorder_level=stock.reorder_level,
    )
