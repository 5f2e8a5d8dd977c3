"""Put the account behind HTTP: who is calling, what it costs, which resource, which answer.

Order of the checks: token (401), price and limits (429), scope (403), then the
work. Every answer of the API carries the limit headers (fact sheet A3).
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.lightspeed import account, control, oauth, paging, render
from tillbridge.simulators.lightspeed.cost import request_cost
from tillbridge.simulators.lightspeed.errors import Refused, TokenRefused, escaped, refusal, unauthorized
from tillbridge.simulators.lightspeed.filters import read_query
from tillbridge.simulators.lightspeed.grants import AccessToken, Grants
from tillbridge.simulators.lightspeed.limits import Meter
from tillbridge.simulators.lightspeed.relations import Tree, ask, credit_shown
from tillbridge.simulators.lightspeed.routes import Route, find_route
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row
from tillbridge.simulators.lightspeed.shopfloor import ShopFloor
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.writes import write

JSON_TYPE = "application/json"
API_CLIENT_ID = "30417"
# Percent of the feed dropped is decided by id, so that a row stays dropped on every poll.
_FEED_HASH = 2_654_435_761


class LightspeedApp:
    """One Lightspeed account as an HTTP application."""

    def __init__(self, world: World, grants: Grants, meter: Meter) -> None:
        self.world = world
        self.grants = grants
        self.meter = meter
        self.floor = ShopFloor(world)
        self.clock: SimClock = world.clock
        self._api_requests = 0
        self._gift_card_second = -1

    def handle(self, request: Request) -> Response:
        """Answer one vendor request."""
        if oauth.answers(request.path):
            return oauth.handle(request, self.grants)
        if not request.path.startswith("/API/"):
            return Response(
                404, b"<html><body>Not Found</body></html>", {"Content-Type": "text/html; charset=UTF-8"}
            )
        try:
            token = self.grants.admit(oauth.bearer(request))
        except TokenRefused as refused:
            return unauthorized(refused.hint, legacy=self.world.switches.legacy_401)
        return self._metered(request, token)

    def control(self, request: Request) -> Response:
        """Answer one request of the control API."""
        return control.handle(request, self)

    def _metered(self, request: Request, token: AccessToken) -> Response:
        cost, charged = 1.0, False
        try:
            route = find_route(request.method, request.path, self.world.account_id)
            body = _body(request)
            tree = ask(route.entity, request.param("load_relations")) if route.entity in ENTITIES else {}
            cost = request_cost(
                request.method, route.priced_as, request.query, tree, listing=route.listing, body=body
            )
            charged = True
            limited = self._charge(f"{request.method} {route.priced_as}", cost)
            response = limited or self._work(request, token, route, tree, body)
            if request.param("pretty_print") in {"1", "true"}:
                response.body = json.dumps(json.loads(response.body), indent=2).replace("/", "\\/").encode()
        except Refused as refused:
            # A request that makes no sense is not free either. [inferred]
            limited = None if charged else self._charge(f"{request.method} nonsense", cost)
            response = limited or refusal(refused)
        response.headers = {**self.meter.headers(cost, API_CLIENT_ID), **response.headers}
        return response

    def _charge(self, what: str, cost: float) -> Response | None:
        switches = self.world.switches
        return self.meter.charge(self.clock.now(), what, cost, bucket=switches.bucket, burst=switches.burst)

    def _work(self, request: Request, token: AccessToken, route: Route, tree: Tree, body: Any) -> Response:
        self._fail_at_random()
        _check_accept(request)
        match route.entity:
            case "Accounts":
                return _ok(escaped(account.accounts(self.world)))
            case "Account":
                return _ok(escaped(account.account(self.world)))
            case "Session":
                return _ok(escaped(account.session(self.world, self.grants, token)))
        rights = self.grants.rights(token)
        self._check_scope(route, request.method, rights)
        if request.method != "GET":
            return _ok(write(self.world, route, request.method, body, tree))
        self._check_restrictions(route, request)
        if route.listing:
            return _ok(self._list(request, route, tree, rights))
        return _ok(self._one(route, tree, rights))

    # ---- reading ----

    def _list(self, request: Request, route: Route, tree: Tree, rights: frozenset[str]) -> bytes:
        table, switches = self.world[route.entity], self.world.switches
        params = request.query
        if route.parent_id is not None:
            params = [*params, ("saleID", str(route.parent_id))]
        if route.entity == "CreditAccount" and "giftCard" not in dict(params):
            # Gift cards appear only when asked for (A5).
            params = [*params, ("giftCard", "false")]
        query = read_query(route.entity, [p for p in params if p[0] != "offset"], tree, switches)
        known = dict(request.query)
        if known.get("count") == "1":
            if known.keys() & {"limit", "after", "before", "sort"}:
                raise Refused(400, "count cannot be combined with limit, after, before or sort.")
            return render.count(paging.total(table, query))
        window = paging.read_window(table, known, switches)
        page = paging.cut(table, query, window)
        url = request.origin + quote(request.path)
        following, previous = paging.links(url, request.query, table, window, page, switches)
        rows = [self._masked(route.entity, row, rights) for row in self._fed(route.entity, known, page.rows)]
        return render.listing(self.world, route.entity, rows, tree, following, previous)

    def _one(self, route: Route, tree: Tree, rights: frozenset[str]) -> bytes:
        assert route.row_id is not None
        row = self.world[route.entity].get(route.row_id)
        if row is None or (route.parent_id is not None and row.get("saleID") != route.parent_id):
            raise Refused(404, f"Object of type '{route.entity}' not found with primary ID '{route.row_id}'.")
        if route.template:
            tree = ask(
                "Sale",
                '["Customer.Contact","SaleLines.Item","SalePayments.PaymentType","SaleNotes","TaxCategory"]',
            )
        body = render.record(self.world, route.entity, self._masked(route.entity, row, rights), tree)
        if route.template:
            body = self._receipt(row, body)
        return render.single(route.entity, body)

    def _receipt(self, sale: Row, body: str) -> str:
        """Add the three records that only the display template shows (A8.10)."""
        more = [
            f'"{entity}":{render.record(self.world, entity, row, {})}'
            for entity, key in (("Employee", "employeeID"), ("Register", "registerID"), ("Shop", "shopID"))
            if (row := self.world[entity].get(sale.get(key, 0))) is not None
        ]
        return body[:-1] + "".join(f",{part}" for part in more) + "}"

    def _masked(self, entity: str, row: Row, rights: frozenset[str]) -> Row:
        if entity != "CreditAccount":
            return row
        shown = row
        if row.get("giftCard") and not rights & {"all", "customers_view_gift_card_numbers"}:
            code = str(row.get("code", ""))
            shown = {**row, "code": "*" * 10 + code[-4:]}
        return credit_shown(self.world, shown)

    def _fed(self, entity: str, params: dict[str, str], rows: list[Row]) -> list[Row]:
        percent = self.world.switches.feed_drop_percent
        if not percent or entity != "Sale" or not params.keys() & {"updatetime", "updateTime", "timeStamp"}:
            return rows
        return [row for row in rows if row["saleID"] * _FEED_HASH % 2**32 % 100 >= percent]

    # ---- refusing ----

    def _fail_at_random(self) -> None:
        self._api_requests += 1
        every = self.world.switches.random_try_again_every
        if every and self._api_requests % every == 0:
            raise Refused(400, "The request could not be completed. Please try again later.")

    def _check_scope(self, route: Route, method: str, rights: frozenset[str]) -> None:
        needed = ENTITIES[route.entity].scopes
        if method != "GET":
            needed = frozenset(name for name in needed if not name.endswith("_read") and name != "reports")
        if not rights & needed:
            raise Refused(403, f"You do not have permission to access {route.entity}.", "PermissionException")

    def _check_restrictions(self, route: Route, request: Request) -> None:
        if self.world.switches.all_relations_fail and request.param("load_relations") == "all":
            raise Refused(500, "Allowed memory size exhausted.")
        params = dict(request.query)
        if route.entity == "CreditAccount" and params.get("giftCard") and params.get("code"):
            second = int(self.clock.now())
            if second == self._gift_card_second:
                raise Refused(429, "Gift card lookups are limited to 1 per second.", Retry_After="1")
            self._gift_card_second = second


def _body(request: Request) -> Any:
    if request.method == "GET" or not request.body.strip():
        return None
    try:
        return request.json()
    except ValueError as error:
        raise Refused(400, "The request body is not valid JSON.") from error


def _check_accept(request: Request) -> None:
    """XML is the vendor's default and Accept beats the suffix (A1); this server speaks JSON only."""
    accept = request.headers.get("accept", "*/*")
    takes_json = "json" in accept or (re.search(r"\*/\*", accept) and "xml" not in accept)
    if not takes_json or (not request.path.endswith(".json") and "json" not in accept):
        raise Refused(406, "This simulator answers JSON only: ask for .json with Accept: application/json.")


def _ok(body: bytes) -> Response:
    return Response(200, body, {"Content-Type": JSON_TYPE})
