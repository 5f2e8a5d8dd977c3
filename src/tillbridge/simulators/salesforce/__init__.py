"""A Salesforce org in memory: OAuth, REST, Bulk API 2.0 and metadata deployment over one set of rules.

It follows the vendor's facts, never our client (fact sheet §1 to §8 and §10). `build` makes one, filled with
what a retailer's CRM held before we came; `python -m tillbridge.simulators.salesforce` serves it.
"""

from __future__ import annotations

from typing import Any

from tillbridge.simulators import retailer
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.salesforce import oauth
from tillbridge.simulators.salesforce.app import SalesforceApp
from tillbridge.simulators.salesforce.org import SWITCHES, Org

__all__ = ["SWITCHES", "Org", "SalesforceApp", "build"]


def build(
    plan: retailer.Plan | None,
    *,
    clock: SimClock,
    switches: dict[str, Any] | None = None,
    consumer_key: str = "demo-consumer",
    consumer_secret: str = "demo-consumer-secret",  # noqa: S107  The simulator's own, on loopback.
    username: str = "integration@demo.example",
    public_key_pem: str | None = None,
) -> SalesforceApp:
    """Make an org with one integration user and one app; with a plan, filled as that retailer's CRM was."""
    persons = plan is not None and plan.crm_model == "person_account"
    org = Org(clock, switches={"person_accounts": persons, **(switches or {})}, seed=plan.seed if plan else 1)
    user = org.add_user(username, "Integration User", profile="Minimum Access - API Only Integrations")
    # The first user is who an admin would pick when asked without a name.
    org.users = {user.id: user, **org.users}
    oauth.register(
        org,
        oauth.Client(
            consumer_key,
            secret=consumer_secret,
            public_key=public_key_pem or "",
            run_as=user.username,
            approved={user.username},
        ),
    )
    if plan is not None:
        org.load(retailer.build(plan, with_sales=False).crm)
    return SalesforceApp(clock, org)
