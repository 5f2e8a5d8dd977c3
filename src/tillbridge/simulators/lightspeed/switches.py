"""The questions the vendor's documentation leaves open, as switches.

Defaults follow the [inferred] verdicts of fact sheet A3-A12 and part C; a client
must survive the other positions too. `POST /control/switches` sets them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self


@dataclass(slots=True)
class Switches:
    """One attribute a question. Unknown names and wrong types are refused by `set`."""

    # A12: updatetime is documented as "last update"; what moves it is not.
    updatetime_moves_on_children: bool = True
    updatetime_moves_on_void: bool = True
    updatetime_moves_on_merge: bool = False
    # A12: the merged person's history is shown joined, so old sales are probably re-pointed.
    merge_rewrites_sales: bool = True
    # A12: the newer article says that the secondary is archived, the older one that it is deleted.
    merge_deletes_secondary: bool = False
    # A7.8: the endpoint page and the tutorials spell it differently.
    updatetime_key_spelling: Literal["updatetime", "updateTime"] = "updatetime"
    # A4: one client saw load_relations missing from `next`.
    drop_relations_from_next: bool = False
    limit_over_100: Literal["refuse", "clamp"] = "refuse"
    # A7.2: a collection without rows is absent, or "".
    empty_collections: Literal["absent", "blank"] = "absent"
    # A10: a partial Contact in a PUT keeps the other slots, or replaces them all.
    contact_replace: bool = False
    # A7.11: whether a customer's echo shows its contact, or any relation that was asked for.
    customer_echo_bare: bool = False
    # A5: `~` without a wildcard means equal, or starts with.
    like_without_wildcard: Literal["equal", "prefix"] = "equal"
    unknown_fields: Literal["ignore", "refuse"] = "ignore"
    # A2: two shapes of 401.
    legacy_401: bool = False
    # A2: a retried refresh revokes the pair that the lost answer carried.
    retried_refresh_revokes_sibling: bool = True
    expires_in: int = 3600
    # A2: what the employee behind the token may do now; may shrink after the grant.
    employee_rights: str = "employee:all"
    employee_locked: bool = False
    redirect_uri: str = "https://retailer.example/callback"
    # A1: a token is good for one account and names it; older ones may be good for several, and name none.
    accounts_listed: int = 1
    token_names_account: bool = True
    # A3.
    bucket: bool = True
    burst: bool = True
    # A8.8: negative means the store owes. Two pages against one.
    credit_is_negative: bool = True
    # A11: some 400s only mean "try again later"; every n-th API request, 0: never.
    random_try_again_every: int = 0
    # A5: load_relations=all can run out of memory.
    all_relations_fail: bool = False
    # A12: changed sales that a feed by updatetime or timeStamp never shows, in percent.
    feed_drop_percent: int = 0

    @classmethod
    def of(cls, wishes: dict[str, Any] | None) -> Self:
        """Return the defaults with some of them changed."""
        switches = cls()
        switches.set(wishes or {})
        return switches

    def set(self, wishes: dict[str, Any]) -> None:
        """Change some. Raises ValueError for an unknown name or a value of another type."""
        known = {f.name for f in fields(self)}
        for name, value in wishes.items():
            if name not in known:
                raise ValueError(f"there is no switch {name}; there are {', '.join(sorted(known))}")
            if type(value) is not type(getattr(self, name)):
                raise ValueError(f"switch {name} takes a {type(getattr(self, name)).__name__}")
            setattr(self, name, value)

    def read(self) -> dict[str, Any]:
        """Return all of them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
