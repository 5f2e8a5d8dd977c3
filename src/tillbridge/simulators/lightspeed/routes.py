"""Read a path of the API: which resource, which record, which action (fact sheet A1, A8).

No state: an unknown path is 404, a verb the resource does not have is 405.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.schema import ENTITIES

# What may be written, by resource; everything may be read (A8, A12 "Actions allowed").
VERBS: dict[str, frozenset[str]] = {
    "Sale": frozenset({"POST", "PUT", "DELETE"}),
    "SaleLine": frozenset({"POST", "PUT", "DELETE"}),
    "Customer": frozenset({"POST", "PUT", "DELETE"}),
    "CustomerType": frozenset({"POST", "PUT", "DELETE"}),
    "Item": frozenset({"POST", "PUT", "DELETE"}),
    "ItemShop": frozenset({"PUT"}),
    "Category": frozenset({"POST", "PUT", "DELETE"}),
    "Register": frozenset({"PUT"}),
}
_SALE_PART = r"Sale/(?P<sale>\d+)"
_NAME = r"(?P<entity>[A-Za-z]+)"


@dataclass(frozen=True, slots=True)
class Route:
    """One resource address. `row_id` None is the list; `action` is what is done to the record."""

    entity: str
    row_id: int | None = None
    parent_id: int | None = None
    action: str = ""
    template: bool = False

    @property
    def listing(self) -> bool:
        """Whether the list is meant."""
        return self.row_id is None

    @property
    def priced_as(self) -> str:
        """The name in the price table."""
        return f"{self.entity}/{self.action}" if self.action else self.entity


_PATTERNS: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = tuple(
    (re.compile(pattern), more)
    for pattern, more in (
        (r"DisplayTemplate/Sale/(?P<row>\d+)", {"entity": "Sale", "template": "yes"}),
        (rf"{_SALE_PART}/SaleLine/(?P<row>\d+)", {"entity": "SaleLine"}),
        (rf"{_SALE_PART}/SaleLine", {"entity": "SaleLine"}),
        (r"Sale/(?P<row>\d+)/(?P<action>refund|EmailReceipt)", {"entity": "Sale"}),
        (r"Customer/CustomField/(?P<row>\d+)", {"entity": "CustomField"}),
        (r"Customer/CustomField", {"entity": "CustomField"}),
        (r"Customer/(?P<row>\d+)/(?P<action>Anonymize)", {"entity": "Customer"}),
        (rf"{_NAME}/(?P<row>\d+)", {}),
        (_NAME, {}),
    )
)


def find_route(method: str, path: str, account_id: int) -> Route:
    """Return what a path means. Raises Refused (404, 405)."""
    rest = path.removeprefix("/API/").removesuffix(".json")
    if rest in {"Session", "V3/Session"}:
        return Route("Session", 0)
    if not rest.startswith("V3/"):
        raise Refused(404, "API versions before V3 are not served.")
    rest = rest.removeprefix("V3/")
    if rest == "Account":
        return Route("Accounts", 0)
    account, _, resource = rest.removeprefix("Account/").partition("/")
    if account != str(account_id):
        raise Refused(404, f"Object of type 'Account' not found with primary ID '{account}'.")
    return _resource(method, resource) if resource else Route("Account", 0)


def _resource(method: str, path: str) -> Route:
    for pattern, more in _PATTERNS:
        if found := pattern.fullmatch(path):
            parts = found.groupdict() | more
            break
    else:
        raise Refused(404, f"There is no resource {path}.")
    entity = parts["entity"]
    if entity not in ENTITIES or (entity == "CustomField" and not path.startswith("Customer/")):
        raise Refused(404, f"There is no resource {entity}.")
    route = Route(
        entity,
        _number(parts.get("row")),
        _number(parts.get("sale")),
        parts.get("action") or "",
        bool(parts.get("template")),
    )
    _check_verb(method, route)
    return route


def _check_verb(method: str, route: Route) -> None:
    if route.action:
        allowed = {"Anonymize": {"DELETE"}, "refund": {"POST"}, "EmailReceipt": {"POST"}}[route.action]
    else:
        written = set() if route.template else VERBS.get(route.entity, frozenset())
        allowed = {"GET", *(written & ({"POST"} if route.listing else {"PUT", "DELETE"}))}
    if method not in allowed:
        raise Refused(405, f"{method} is not allowed on {route.priced_as}.", Allow=", ".join(sorted(allowed)))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None else None
