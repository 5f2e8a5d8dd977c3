"""Describe the account and the session: two answers with shapes of their own (fact sheet A1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tillbridge.simulators.lightspeed.grants import AccessToken, Grants
from tillbridge.simulators.lightspeed.tables import World

ACCOUNT_NAME = "Fairway & Sons"
CURRENCY = {"code": "USD", "symbol": "$"}


def accounts(world: World) -> dict[str, Any]:
    """List the accounts of the token: one, unless a switch says otherwise."""
    count = world.switches.accounts_listed
    rows = [
        {
            "accountID": str(world.account_id + number),
            "name": f"{ACCOUNT_NAME} {number + 1}" if number else ACCOUNT_NAME,
            "link": {"@attributes": {"href": f"/API/Account/{world.account_id + number}"}},
        }
        for number in range(count)
    ]
    return {"@attributes": {"count": str(count)}, "Account": rows[0] if count == 1 else rows}


def account(world: World) -> dict[str, Any]:
    """Describe the account: flat, not wrapped in "Account"."""
    return {
        "@attributes": {"systemCustomerID": str(world.account_id)},
        "status": "customer",
        "name": ACCOUNT_NAME,
        "employeeCount": str(len(world["Employee"])),
        "employeeLimit": "100",
        "uniqueSubscriptionIdentifier": "FWS778812",
        "defaultCurrency": CURRENCY,
        "purchasingCurrencies": {"purchasingCurrency": {**CURRENCY, "rate": "1"}},
    }


def session(world: World, grants: Grants, token: AccessToken) -> dict[str, Any]:
    """Say who authorised the token. `checkedInAt` has a local offset, unlike every other time."""
    employee = world["Employee"].get(token.grant.employee_id) or {}
    rights = grants.rights(token)
    shop = next(iter(world["Shop"]), {})
    checked_in = (world.now() - timedelta(hours=1)).astimezone(ZoneInfo(shop.get("timeZone") or "UTC"))

    def allowed(*names: str) -> str:
        return "true" if rights & {"all", *names} else "false"

    return {
        "sessionID": "",
        "sessionCookie": "PHPSESSID=; path=/",
        "employeeID": str(token.grant.employee_id),
        "systemCustomerID": str(world.account_id),
        "systemUserID": str(grants.user_id),
        "systemAPIClientID": "30417",
        "systemAPIKeyID": "9911442",
        "ecomUrl": "",
        "shopCount": str(len(world["Shop"])),
        "Employee": {
            "employeeID": str(token.grant.employee_id),
            "firstName": employee.get("firstName", ""),
            "lastName": employee.get("lastName", ""),
            "singleShop": "false",
            "hasPin": "true",
            "isCheckedIn": "true",
            "checkedInAt": checked_in.isoformat(),
        },
        "Rights": {
            "admin": allowed("admin"),
            "customers": allowed("customers", "customers_read"),
            "register": allowed("register", "register_read"),
            "reports": allowed("reports"),
        },
    }
