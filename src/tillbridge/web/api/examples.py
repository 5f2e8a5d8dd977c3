"""An example of what the API takes and answers, made up from its schema: by a value's name or its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# By the name of a parameter or field. Invented, and alike wherever the same thing is meant.
NAMED: dict[str, Any] = {
    "Customers.counts": {"linked": 1_186, "review": 3},
    "AccountGiven.account": "190001",
    "LinesGiven.lines": {"LastName": "last_name | upper"},
    "NewSetUp.name": "north",
    "Overview.people": {"linked": 1_186, "review": 3},
    "SignInGiven.seen": "3f2a9c0d4b7e6a51",
    "SignInGiven.roles": {"office": "operator"},
    "SignInGiven.stores": {"harbour": ["2"]},
    "actions": {"create": 2},
    "by_lane": {"live": 212.0},
    "Persons.ids": ["001XX0000012345AAA"],
    "Ruling.seen": {"3": "3f2a9c0d4b7e6a51"},
    "SettingsGiven.seen": "3f2a9c0d4b7e6a51",
    "SettingsGiven.settings": {"sales_seconds": 30},
    "cause": "STRING_TOO_LONG:Account:LastName",
    "choice": "001XX0000012345AAA",
    "checksum": "3f2a9c0d4b7e6a51",
    "city": "1011 AB Amsterdam",
    "code": "001",
    "connection": "default",
    "counts": {"created": 3},
    "crm_id": "001XX0000012345AAA",
    "currency": "EUR",
    "customer": "Ada Vermeulen",
    "customer_id": "42",
    "customers": ["42"],
    "day": "2026-11-20",
    "email": "ada@mail.example",
    "emails": ["ada@mail.example"],
    "field": "LastName",
    "fields": ["LastName"],
    "first": "2026-11-01",
    "id": "42",
    "ids": ["42"],
    "kind": "customer",
    "last": "2026-11-20",
    "limit": 50,
    "link": "https://yourcompany.my.salesforce.com/001XX0000012345AAA",
    "name": "Ada Vermeulen",
    "number": 3,
    "object": "Account",
    "offset": 0,
    "phone": "+31201234567",
    "phones": ["+31201234567"],
    "q": "vermeulen",
    "registers": ["1"],
    "sale": "7731",
    "sku": "SKU-000017",
    "store": "1",
    "store_id": "1",
    "stream": "sales",
    "ticket": "220000007731",
    "title": "Gold ring",
    "values": {"Novák": "Novak"},
    "what_if": "interval=2m,stores=10",
    "which": "17",
    "why": "stock-taking",
    "who": "42",
}
_FORMATS = {"date-time": "2026-11-20T15:00:00Z", "date": "2026-11-20", "decimal": "100.00"}
# For a text that nothing is known of.
UNTOLD = "…"
_TYPES: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None, "string": UNTOLD}
_DEEP = 6
_MOMENTS = frozenset({"at", "now", "since"})
_OF_FIELDS = frozenset({"fields", "values", "edit", "sent"})


def example_of(
    schema: Mapping[str, Any], components: Mapping[str, Any], name: str = "", deep: int = 0
) -> Any:
    """Return a value that suits a schema."""
    if reference := schema.get("$ref"):
        return example_of(components[reference.rpartition("/")[2]], components, name, deep)
    if "enum" in schema:
        return schema["enum"][0]
    for choices in ("anyOf", "oneOf", "allOf"):
        if choices in schema:
            return _one_of(schema[choices], components, name, deep)
    told = NAMED.get(name)
    if schema.get("type") == "object":
        return _object(schema, components, name, deep)
    if schema.get("type") == "array":
        return _array(schema, components, name, deep)
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    # The schema of a moment names no format.
    if schema.get("type") == "string" and (name in _MOMENTS or name.endswith(("_at", "_since", "_until"))):
        return _FORMATS["date-time"]
    if told is not None and _suits(told, schema):
        return told
    return _TYPES.get(schema.get("type", ""))


def _one_of(choices: list[Mapping[str, Any]], components: Mapping[str, Any], name: str, deep: int) -> Any:
    there = [each for each in choices if each.get("type") != "null"]
    # A value that need not be there is left out where things hold themselves.
    return example_of(there[0], components, name, deep) if there and deep < _DEEP else None


def _object(schema: Mapping[str, Any], components: Mapping[str, Any], name: str, deep: int) -> Any:
    if "properties" in schema:
        names = {key: f"{schema.get('title')}.{key}" for key in schema["properties"]}
        return {
            key: example_of(each, components, names[key] if names[key] in NAMED else key, deep + 1)
            for key, each in schema["properties"].items()
        }
    values, told = schema.get("additionalProperties"), NAMED.get(name)
    if isinstance(told, dict):
        return told
    key = "LastName" if name in _OF_FIELDS else "1"
    return {key: example_of(values, components, "", deep + 1)} if isinstance(values, dict) else {}


def _array(schema: Mapping[str, Any], components: Mapping[str, Any], name: str, deep: int) -> list[Any]:
    if "prefixItems" in schema:
        return [example_of(each, components, "", deep + 1) for each in schema["prefixItems"]]
    items = schema.get("items")
    told = NAMED.get(name)
    if isinstance(items, dict) and items.get("type") == "string" and isinstance(told, list):
        return told
    return [example_of(items, components, name.removesuffix("s"), deep + 1)] if items and deep < _DEEP else []


def _suits(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "number": (int, float)}
    kind = schema.get("type")
    if kind not in kinds or not isinstance(value, kinds[kind]):
        return False
    return "pattern" not in schema or re.search(schema["pattern"], str(value)) is not None
