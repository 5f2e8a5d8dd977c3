"""All routes of the console, in one table: what is where, and who may.

Nothing else adds a route; a test walks the table with every role. `limited`:
viewers who are to see some stores only may come as well, so its page shows them
no other store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tillbridge.web import assets
from tillbridge.web.api import doing, openapi, reading
from tillbridge.web.pages import (
    account,
    audit,
    budget,
    customers,
    decisions,
    entrance,
    overview,
    people,
    problems,
    runs,
    sales,
    shops,
    standing,
    tokens,
)
from tillbridge.web.security.roles import Role

ANONYMOUS, VIEWER, OPERATOR, ADMIN = Role.ANONYMOUS, Role.VIEWER, Role.OPERATOR, Role.ADMIN


@dataclass(frozen=True, slots=True)
class Route:
    """One route: whoever has `role` may, or more."""

    method: str
    path: str
    role: Role
    does: Callable[..., Any]
    limited: bool = False

    @property
    def is_api(self) -> bool:
        """Say whether programs are meant, which bring a token and read JSON."""
        return self.path.startswith("/api/")


ROUTES: tuple[Route, ...] = (
    # Those who watch, and what a browser needs before anybody has signed in.
    Route("GET", "/healthz", ANONYMOUS, standing.healthy),
    Route("GET", "/readyz", ANONYMOUS, standing.ready),
    Route("GET", "/metrics", ANONYMOUS, standing.metrics),
    Route("GET", "/assets/{edition}/{name:path}", ANONYMOUS, assets.show),
    # Coming in and going out.
    Route("GET", "/login", ANONYMOUS, entrance.show),
    Route("POST", "/login", ANONYMOUS, entrance.sign_in),
    Route("GET", "/enter/{secret}", ANONYMOUS, entrance.show_link),
    Route("POST", "/enter/{secret}", ANONYMOUS, entrance.use_link),
    Route("POST", "/logout", VIEWER, entrance.sign_out, limited=True),
    Route("GET", "/", VIEWER, overview.begin, limited=True),
    # One's own account.
    Route("GET", "/account", VIEWER, account.show, limited=True),
    Route("POST", "/account/password", VIEWER, account.change_password, limited=True),
    Route("POST", "/account/sessions/end", VIEWER, account.end_session, limited=True),
    Route("POST", "/account/tokens", VIEWER, tokens.make, limited=True),
    Route("POST", "/account/tokens/end", VIEWER, tokens.end_own, limited=True),
    # A connection's pages.
    Route("GET", "/c/{connection}", VIEWER, overview.show, limited=True),
    Route("GET", "/c/{connection}/customers", VIEWER, customers.show, limited=True),
    Route("POST", "/c/{connection}/customers/sync", OPERATOR, customers.send),
    Route("GET", "/c/{connection}/customers/sent/{run}", OPERATOR, customers.sent),
    Route("GET", "/c/{connection}/customers/{who}", VIEWER, customers.show_person, limited=True),
    Route("GET", "/c/{connection}/sales", VIEWER, sales.show, limited=True),
    Route("GET", "/c/{connection}/sales/{sale}", VIEWER, sales.show_receipt, limited=True),
    Route("GET", "/c/{connection}/problems", VIEWER, problems.show, limited=True),
    Route("GET", "/c/{connection}/problems/of", VIEWER, problems.show_cause, limited=True),
    Route("POST", "/c/{connection}/problems/retry", OPERATOR, problems.retry),
    Route("GET", "/c/{connection}/problems/{number}", VIEWER, problems.show_one, limited=True),
    Route("GET", "/c/{connection}/reviews", VIEWER, decisions.show_reviews),
    Route("POST", "/c/{connection}/reviews", OPERATOR, decisions.choose),
    Route("GET", "/c/{connection}/conflicts", VIEWER, decisions.show_conflicts),
    Route("POST", "/c/{connection}/conflicts", OPERATOR, decisions.keep),
    Route("GET", "/c/{connection}/runs", VIEWER, runs.show),
    Route("POST", "/c/{connection}/runs/steer", OPERATOR, runs.steer),
    Route("GET", "/c/{connection}/runs/{number}", VIEWER, runs.show_one),
    Route("POST", "/c/{connection}/runs/{number}/undo", OPERATOR, runs.undo),
    Route("GET", "/c/{connection}/plans/{number}", VIEWER, runs.show_plan),
    Route("POST", "/c/{connection}/plans/{number}/approve", OPERATOR, runs.approve),
    Route("POST", "/c/{connection}/plans/{number}/drop", OPERATOR, runs.drop),
    Route("GET", "/c/{connection}/products", VIEWER, shops.show_products, limited=True),
    Route("GET", "/c/{connection}/products/{number}", VIEWER, shops.show_product, limited=True),
    Route("GET", "/c/{connection}/stores", VIEWER, shops.show_stores, limited=True),
    Route("GET", "/c/{connection}/budget", VIEWER, budget.show),
    Route("GET", "/c/{connection}/certificates", VIEWER, shops.show_certificates, limited=True),
    Route("GET", "/c/{connection}/certificates/{number}", VIEWER, shops.show_certificate, limited=True),
    # Settings of the installation.
    Route("GET", "/settings", ADMIN, people.begin),
    Route("GET", "/settings/people", ADMIN, people.show),
    Route("POST", "/settings/people", ADMIN, people.add),
    Route("POST", "/settings/people/{number}", ADMIN, people.change),
    Route("POST", "/settings/people/{number}/link", ADMIN, people.make_link),
    Route("GET", "/settings/tokens", ADMIN, tokens.show_all),
    Route("POST", "/settings/tokens/end", ADMIN, tokens.end_any),
    Route("GET", "/settings/audit", ADMIN, audit.show),
    Route("POST", "/settings/audit/verify", ADMIN, audit.verify),
    # For programs: what the pages show ...
    Route("GET", "/api/v1/openapi.json", VIEWER, openapi.show, limited=True),
    Route("GET", "/api/v1/connections", VIEWER, reading.connections, limited=True),
    Route("GET", "/api/v1/c/{connection}/overview", VIEWER, reading.overview, limited=True),
    Route("GET", "/api/v1/c/{connection}/stores", VIEWER, reading.stores, limited=True),
    Route("GET", "/api/v1/c/{connection}/figures", VIEWER, reading.figures, limited=True),
    Route("GET", "/api/v1/c/{connection}/customers", VIEWER, reading.customers, limited=True),
    Route("GET", "/api/v1/c/{connection}/customers/{who}", VIEWER, reading.person, limited=True),
    Route("GET", "/api/v1/c/{connection}/sales", VIEWER, reading.sales, limited=True),
    Route("GET", "/api/v1/c/{connection}/sales/{sale}", VIEWER, reading.receipt, limited=True),
    Route("GET", "/api/v1/c/{connection}/products", VIEWER, reading.products, limited=True),
    Route("GET", "/api/v1/c/{connection}/products/{which}", VIEWER, reading.product, limited=True),
    Route("GET", "/api/v1/c/{connection}/causes", VIEWER, reading.causes, limited=True),
    Route("GET", "/api/v1/c/{connection}/problems", VIEWER, reading.problems, limited=True),
    Route("GET", "/api/v1/c/{connection}/problems/{number}", VIEWER, reading.problem, limited=True),
    Route("GET", "/api/v1/c/{connection}/reviews", VIEWER, reading.reviews, limited=True),
    Route("GET", "/api/v1/c/{connection}/conflicts", VIEWER, reading.conflicts, limited=True),
    Route("GET", "/api/v1/c/{connection}/certificates", VIEWER, reading.certificates, limited=True),
    Route("GET", "/api/v1/c/{connection}/certificates/{number}", VIEWER, reading.certificate, limited=True),
    Route("GET", "/api/v1/c/{connection}/runs", VIEWER, reading.run_list),
    Route("GET", "/api/v1/c/{connection}/runs/{number}", VIEWER, reading.run),
    Route("GET", "/api/v1/c/{connection}/work", VIEWER, reading.work),
    Route("GET", "/api/v1/c/{connection}/plans", VIEWER, reading.plans),
    Route("GET", "/api/v1/c/{connection}/plans/{number}", VIEWER, reading.plan),
    Route("GET", "/api/v1/c/{connection}/budget", VIEWER, reading.budget),
    # ... and what they do.
    Route("POST", "/api/v1/c/{connection}/customers/sync", OPERATOR, doing.send_customers),
    Route("POST", "/api/v1/c/{connection}/sales/sync", OPERATOR, doing.send_sales),
    Route("POST", "/api/v1/c/{connection}/sales/{sale}/preview", OPERATOR, doing.preview_receipt),
    Route("POST", "/api/v1/c/{connection}/products/sync", OPERATOR, doing.send_products),
    Route("POST", "/api/v1/c/{connection}/problems/retry", OPERATOR, doing.retry),
    Route("POST", "/api/v1/c/{connection}/problems/ignore", OPERATOR, doing.ignore),
    Route("POST", "/api/v1/c/{connection}/problems/{number}/edit", OPERATOR, doing.edit),
    Route("POST", "/api/v1/c/{connection}/causes/fix", OPERATOR, doing.fix),
    Route("POST", "/api/v1/c/{connection}/reviews/{who}/choose", OPERATOR, doing.choose),
    Route("POST", "/api/v1/c/{connection}/newcomers/{who}/choose", OPERATOR, doing.choose_newcomer),
    Route("POST", "/api/v1/c/{connection}/conflicts/keep", OPERATOR, doing.keep),
    Route("POST", "/api/v1/c/{connection}/changes/{number}/restore", OPERATOR, doing.restore),
    Route("POST", "/api/v1/c/{connection}/plans/preview", OPERATOR, doing.preview),
    Route("POST", "/api/v1/c/{connection}/plans/{number}/apply", OPERATOR, doing.apply),
    Route("POST", "/api/v1/c/{connection}/plans/{number}/approve", OPERATOR, doing.approve),
    Route("POST", "/api/v1/c/{connection}/plans/{number}/drop", OPERATOR, doing.drop),
    Route("POST", "/api/v1/c/{connection}/runs/{number}/undo", OPERATOR, doing.undo),
    Route("POST", "/api/v1/c/{connection}/pause", OPERATOR, doing.pause),
    Route("POST", "/api/v1/c/{connection}/resume", OPERATOR, doing.resume),
    Route("POST", "/api/v1/c/{connection}/run-now", OPERATOR, doing.run_now),
)
