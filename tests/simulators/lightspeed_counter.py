"""A counter to stand at: talks to the Lightspeed simulator without a socket, as a client would."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.lightspeed import LightspeedApp, build
from tillbridge.simulators.retailer import Plan

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8001"
BASE = "/API/V3/Account/190001"
QUIET = {"bucket": False, "burst": False}


class Counter:
    """One account, one client with a token in hand, and the control API."""

    def __init__(self, app: LightspeedApp) -> None:
        self.app = app
        self.clock = app.clock
        self.token = ""

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        **headers: str,
    ) -> Response:
        parts = urlsplit(target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return self.app.handle(Request(method, target, unquote(parts.path), query, named, body, ORIGIN))

    def tokens(self, refresh_token: str = "demo-refresh", **more: str) -> tuple[int, dict[str, Any]]:
        """Refresh; the answer's status and body."""
        fields = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": "demo-client",
            "client_secret": "demo-secret",
            **more,
        }
        response = self.send(
            "POST", "/auth/oauth/token", json.dumps(fields).encode(), content_type="application/json"
        )
        return response.status, json.loads(response.body)

    def log_in(self) -> None:
        status, pair = self.tokens()
        assert 200 == status, pair
        self.token = pair["access_token"]

    def call(
        self,
        method: str,
        resource: str,
        params: dict[str, Any] | None = None,
        body: Any = None,
        **headers: str,
    ) -> Response:
        """Send an API request for a resource such as `Sale` or `Sale/7`."""
        target = f"{BASE}/{resource}.json" + (f"?{urlencode(params)}" if params else "")
        return self.call_url(method, target, body, **headers)

    def call_url(self, method: str, target: str, body: Any = None, **headers: str) -> Response:
        if not self.token:
            self.log_in()
        named = {"authorization": f"Bearer {self.token}", "accept": "application/json", **headers}
        payload = b"" if body is None else json.dumps(body).encode()
        return self.send(method, target.removeprefix(ORIGIN), payload, **named)

    def get(self, resource: str, **params: Any) -> dict[str, Any]:
        """Return the body of a successful GET."""
        return self._good(self.call("GET", resource, params))

    def rows(self, resource: str, entity: str = "", **params: Any) -> list[dict[str, Any]]:
        """Return the rows of one page as a list."""
        return many(self.get(resource, **params), entity or resource.rsplit("/", 1)[-1])

    def all_rows(self, resource: str, **params: Any) -> list[dict[str, Any]]:
        """Follow `next` to the end."""
        page = self.get(resource, **params)
        rows = many(page, resource)
        while following := page["@attributes"]["next"]:
            page = self._good(self.call_url("GET", following))
            rows += many(page, resource)
        return rows

    def write(self, method: str, resource: str, body: Any = None, **params: Any) -> dict[str, Any]:
        """Return the echoed record of a successful write."""
        answer = self._good(self.call(method, resource, params, body))
        [(_, record)] = [(k, v) for k, v in answer.items() if k != "@attributes"]
        return record

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """Return the answer of a successful control call."""
        status, answer = self.control_answer(method, name, body)
        assert 200 == status, answer
        return answer

    def control_answer(self, method: str, name: str, body: Any = None) -> tuple[int, Any]:
        target = f"/control/{name}"
        parts = urlsplit(target)
        payload = b"" if body is None else json.dumps(body).encode()
        request = Request(method, target, parts.path, parse_qsl(parts.query), {}, payload, ORIGIN)
        response = self.app.control(request)
        return response.status, json.loads(response.body)

    def switch(self, **switches: Any) -> None:
        self.control("POST", "switches", switches)

    def _good(self, response: Response) -> dict[str, Any]:
        assert 200 == response.status, response.body
        answer: dict[str, Any] = json.loads(response.body)
        return answer


def many(page: dict[str, Any], entity: str) -> list[dict[str, Any]]:
    """Read the 0 / 1 / many collapse."""
    rows = page.get(entity, [])
    return rows if isinstance(rows, list) else [rows]


def refusal(response: Response) -> tuple[int, str]:
    """Return the status and the sentence of a refusal."""
    return response.status, json.loads(response.body)["message"]


def clock_at(moment: datetime = NOW) -> SimClock:
    return SimClock(moment.timestamp(), running=False)


def empty_account(**options: Any) -> Counter:
    """An account with one shop and one register."""
    return Counter(build(None, clock=clock_at(), **options))


def busy_account(sales: int = 600, customers: int = 250, **options: Any) -> Counter:
    """An account with a retailer's history, without limits unless asked for."""
    plan = Plan(seed=7, sales=sales, customers=customers, end=NOW)
    return Counter(build(plan, clock=clock_at(), **{"switches": QUIET, **options}))
