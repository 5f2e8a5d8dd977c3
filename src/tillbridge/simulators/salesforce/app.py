"""The org behind HTTP: which door a request goes to, and what it costs (fact sheet §2.1, §4)."""

from __future__ import annotations

import re
import traceback
from typing import Any

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce import bulk, control, deploy, limits, oauth, rest, soap
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import RowError
from tillbridge.simulators.salesforce.values import Refused
from tillbridge.simulators.salesforce.wire import Context, Reply, not_found, parse_json, refusal

# Three releases a year; 31.0 was Summer '14. Older ones were retired with Summer '25 (fact sheet §2.1).
LATEST, OLDEST, RETIRED = 68, 31, 21
_SEASONS = ("Spring", "Summer", "Winter")
URI_BYTES_MAX = 16_384
_VERSIONED = re.compile(r"/services/data/(?:v(\d{1,3}\.\d)|(latest))(?:/(.*))?\Z", re.DOTALL)
_ID = re.compile(r"(?=.*\d)[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\Z")


class SalesforceApp:
    """One org with its doors."""

    def __init__(self, clock: SimClock, org: Org) -> None:
        self.clock = clock
        self.org = org

    def handle(self, request: Request) -> Response:
        """Answer one request of a client."""
        try:
            return self._answer(request)
        except Exception:  # noqa: BLE001  The vendor answers 500 with an id; whoever runs us reads the trace.
            traceback.print_exc()
            message = (
                "An unexpected error occurred. Please include this ErrorId if you contact support: 1-1 (1)"
            )
            return refusal(self.org, RowError("UNKNOWN_EXCEPTION", message)).response()

    def _answer(self, request: Request) -> Response:
        self.org.settle()
        if request.path.rstrip("/") == "/services/data":
            return Reply(200, versions()).response()
        if request.path.startswith(("/services/oauth2/", "/id/")):
            return oauth.handle(self.org, request) or not_found().response()
        response = _too_long(request) or self._data(request)
        response.headers.setdefault("Sforce-Limit-Info", limits.header(self.org))
        return response

    def control(self, request: Request) -> Response:
        """Answer one request below /control/."""
        self.org.settle()
        bulk.advance(self.org)
        deploy.advance(self.org)
        return control.handle(self.org, request)

    def _data(self, request: Request) -> Response:
        if soap.PATH.match(request.path):
            return soap.handle(self.org, request)
        match = _VERSIONED.match(request.path)
        if match is None:
            return not_found().response()
        number = float(match[1] or LATEST)
        if RETIRED <= number < OLDEST:
            return Reply(
                410, [{"errorCode": "GONE", "message": "This version of the API was retired"}]
            ).response()
        if not OLDEST <= number <= LATEST or number % 1:
            return not_found().response()
        user = oauth.authenticate(self.org, request)
        if isinstance(user, Response):
            return user
        rest_of_path = match[3] or ""
        self.org.usage.count(f"{request.method} {template(rest_of_path)}")
        if (refused := self._gate()) is not None:
            self.org.usage.refused += 1
            return refused.response()
        bulk.advance(self.org)
        deploy.advance(self.org)
        if rest_of_path.startswith("jobs/"):
            return bulk.handle(self.org, user, request)
        if rest_of_path.startswith("metadata/"):
            return deploy.handle(self.org, user, request)
        return self._rest(request, Context(self.org, user, f"{number:.1f}", request.headers))

    def _gate(self) -> Reply | None:
        """Refuse what the edition or the allocation does not allow."""
        switches = self.org.switches
        if switches["api_disabled"]:
            message = "API is not enabled for this Organization or Partner"
            return refusal(self.org, RowError("API_DISABLED_FOR_ORG", message))
        if self.org.usage.exhausted():
            return refusal(self.org, RowError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."))
        if switches["concurrent_limit"]:
            return refusal(
                self.org, RowError("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")
            )
        return None

    def _rest(self, request: Request, context: Context) -> Response:
        if request.method in {"POST", "PATCH", "PUT"} and not _is_json(request):
            message = f"The content type '{request.headers.get('content-type', '')}' is not supported"
            return Reply(415, [{"errorCode": "UNSUPPORTED_MEDIA_TYPE", "message": message}]).response()
        target = re.sub(r"^/services/data/[^/?]+", "", request.target)
        try:
            body = parse_json(request.body)
        except Refused as refused:
            return refusal(self.org, refused.error).response()
        method = request.method
        if method == "POST" and (override := dict(request.query).get("_HttpMethod")):
            method = override  # How clients without PATCH do it.
        return rest.dispatch(context, rest.Call.of(method, target, body)).response()


def versions() -> list[dict[str, str]]:
    """Return the list of versions, oldest first, with the extra entry that no URL gives away."""
    listed = [
        {
            "label": f"{_SEASONS[(n - 60) % 3]} '{24 + (n - 60) // 3 + ((n - 60) % 3 == 2)}",
            "url": f"/services/data/v{n}.0",
            "version": f"{n}.0",
        }
        for n in range(OLDEST, LATEST + 1)
    ]
    return [*listed, {"label": "Latest Release", "url": "/services/data/latest", "version": f"{LATEST}.0"}]


def template(path: str) -> str:
    """Return the route a path belongs to, ids and keys taken out, to count calls by."""
    parts = path.strip("/").split("/")
    shown = ["{id}" if _ID.match(part) else part for part in parts]
    if shown[:1] == ["sobjects"] and len(shown) == 4:
        shown[3] = "{value}"
    if shown[:1] in (["query"], ["queryAll"]) and len(shown) > 1:
        shown[1] = "{locator}"
    return "/" + "/".join(shown)


def _too_long(request: Request) -> Response | None:
    """Refuse a URI, or one with headers, over 16,384 bytes: the edge answers so, not the API (§2.1)."""
    if len(request.target) > URI_BYTES_MAX:
        return Response(
            414, b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", {"Content-Type": "text/html"}
        )
    if len(request.target) + sum(len(k) + len(v) + 4 for k, v in request.headers.items()) > URI_BYTES_MAX:
        body = b"<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>"
        return Response(431, body, {"Content-Type": "text/html"})
    return None


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "application/json")
    return not request.body or "json" in kind or _any_type(kind)


def _any_type(kind: Any) -> bool:
    return str(kind).strip() == "*/*"
