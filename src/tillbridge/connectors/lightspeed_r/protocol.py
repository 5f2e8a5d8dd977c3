"""What to ask of Lightspeed R-Series and what its answers mean. No I/O and no clock.

Builds addresses, keeps a read on its page after page, predicts what a request
costs, and sorts every answer by what can be done about it. Facts are those of
https://developers.lightspeedhq.com/retail/introduction/ unless said otherwise.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from tillbridge.connectors.http import HttpAnswer, encode_params
from tillbridge.model.errors import BadRequest, Halted, NotFound, PermissionMissing, SyncError
from tillbridge.model.reading import Query

BASE_PATH = "/API/V3/"
TOKEN_PATH = "/auth/oauth/token"  # noqa: S105  # an address, no secret

# The largest page and the most values that IN takes.  …/introduction/pagination/ and …/parameters/
PAGE_ROWS_MAX = 100
IDS_MAX = 100

# https://developers.lightspeedhq.com/retail/authentication/scopes/: reading alone is customers_read.
WRITE_SCOPE = "employee:customers"

# Counting reads the whole table.  …/introduction/ratelimits/
COUNT_DRIPS = 10.0

# Who cannot manage this few has another problem than the size of a page.
PAGE_ROWS_MIN = 10

Method = Literal["GET", "POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Relation:
    """Something loaded along with a row. `many` and `nested` decide its price."""

    name: str
    many: bool = False
    nested: bool = False  # below a to-many relation

    def drips(self, *, on_list: bool) -> float:
        """Return what it adds to a request (rules of 17 March 2026). Doubled once, for either reason."""
        return (0.2 if self.many else 0.1) * (2 if on_list or self.nested else 1)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of row: its name, its id, what is loaded with it, and how it tells what changed.

    `stamp` is None where rows carry no change time that can be filtered.
    """

    name: str
    id_field: str
    relations: tuple[Relation, ...] = ()
    stamp: str | None = None
    fixed: tuple[tuple[str, str], ...] = ()


ARCHIVED_TOO = ("archived", "true")

# Loaded with a sale: all that its record holds and nothing more. Lines without Item lack SKU and
# description, miscellaneous lines are described by their Note alone, tenders are known by the type of
# their PaymentType, whose ids differ by account. 2.6 drips a page of 100; Customer and Contact would add
# 0.4 and are read once a person instead. There is no Employee, Shop or Register relation.
SALES = Resource(
    "Sale",
    "saleID",
    (
        Relation("SaleLines", many=True),
        Relation("SaleLines.Item", nested=True),
        Relation("SaleLines.Note", nested=True),
        Relation("SalePayments", many=True),
        Relation("SalePayments.PaymentType", nested=True),
        Relation("SaleNotes"),
    ),
    stamp="updatetime",
    fixed=(ARCHIVED_TOO,),
)
CUSTOMERS = Resource(
    "Customer",
    "customerID",
    (
        Relation("Contact"),
        Relation("CustomerType"),
        Relation("Note"),
        Relation("Tags", many=True),
        Relation("CustomFieldValues", many=True),
        Relation("CustomFieldValues.value", nested=True),
    ),
    stamp="timeStamp",
    fixed=(ARCHIVED_TOO,),
)
ITEMS = Resource(
    "Item",
    "itemID",
    (Relation("Category"), Relation("Manufacturer"), Relation("ItemShops", many=True)),
    stamp="timeStamp",
    fixed=(ARCHIVED_TOO,),
)
# Shop "0" is the sum of all shops: half of the rows, and none of our business.
ITEM_SHOPS = Resource("ItemShop", "itemShopID", stamp="timeStamp", fixed=(("shopID", "!=,0"),))
VOIDS = Resource("SaleVoid", "saleVoidID")
# Read alone, to learn of children that did not move their sale's stamp (fact sheet A12). A payment's body
# carries no stamp; its ids grow.
SALE_LINES = Resource("SaleLine", "saleLineID", stamp="timeStamp")
SALE_PAYMENTS = Resource("SalePayment", "salePaymentID", fixed=(ARCHIVED_TOO,))
SHOPS = Resource("Shop", "shopID", (Relation("TaxCategory"),), fixed=(ARCHIVED_TOO,))
REGISTERS = Resource("Register", "registerID", fixed=(ARCHIVED_TOO,))
EMPLOYEES = Resource("Employee", "employeeID", fixed=(ARCHIVED_TOO,))
CATEGORIES = Resource("Category", "categoryID")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API. `path` is below the base path; params are not yet encoded."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    cost: float = 1.0
    method: Method = "GET"
    body: bytes | None = None

    @property
    def label(self) -> str:
        """Name the endpoint without ids, for counters and sentences. Writes are named by their verb too."""
        name = re.sub(r"/\d+", "", self.path).removesuffix(".json").removeprefix("Account/") or self.path
        return name if self.method == "GET" else f"{self.method} {name}"

    def url(self, api_url: str) -> str:
        """Return the whole address. Operators and plus signs are encoded: a bare + is read as a space."""
        query = f"?{encode_params(self.params)}" if self.params else ""
        return f"{api_url}{BASE_PATH}{self.path}{query}"

    def get(self, name: str) -> str | None:
        """Return one parameter."""
        return dict(self.params).get(name)

    def with_params(self, changes: Mapping[str, str]) -> Request:
        """Return the same request with some parameters set."""
        kept = tuple((name, value) for name, value in self.params if name not in changes)
        return replace(self, params=(*kept, *changes.items()))


def accounts_request() -> Request:
    """Ask which accounts the token belongs to."""
    return Request("Account.json")


def account_request(account_id: str) -> Request:
    """Ask for one account's name and currency."""
    return Request(f"Account/{account_id}.json")


def list_request(
    account_id: str, resource: Resource, filters: Sequence[tuple[str, str]] = (), sort: str | None = None
) -> Request:
    """Ask for the first page of a list."""
    params = [*resource.fixed, *filters, ("sort", sort or resource.id_field), ("limit", str(PAGE_ROWS_MAX))]
    if resource.relations:
        names = [relation.name for relation in resource.relations]
        params.append(("load_relations", msgspec.json.encode(names).decode()))
    cost = 1 + drips(resource.relations, on_list=True)
    return Request(f"Account/{account_id}/{resource.name}.json", tuple(params), cost)


def count_request(account_id: str, resource: Resource, filters: Sequence[tuple[str, str]] = ()) -> Request:
    """Ask how many rows there are: ten drips, and no limit, sort or relation beside it (…/pagination/)."""
    params = (*resource.fixed, *filters, ("count", "1"))
    return Request(f"Account/{account_id}/{resource.name}.json", params, COUNT_DRIPS)


def drips(relations: Sequence[Relation], *, on_list: bool) -> float:
    """Return what relations add to a request."""
    return round(sum(relation.drips(on_list=on_list) for relation in relations), 3)


def query_requests(
    account_id: str, resource: Resource, query: Query, *, id_filter: str | None = None
) -> list[Request]:
    """Return the first request of each batch of a query: one, or one for every hundred ids."""
    if query.ids is not None:
        name = id_filter or resource.id_field
        batches = [query.ids[start : start + IDS_MAX] for start in range(0, len(query.ids), IDS_MAX)]
        return [
            list_request(account_id, resource, [(name, f"IN,[{','.join(batch)}]")])
            for batch in batches
            if batch
        ]
    by_id = f"-{resource.id_field}" if query.newest_first else resource.id_field
    if query.customer is not None:
        return [list_request(account_id, resource, [("customerID", query.customer)], by_id)]
    if query.since is None and query.until is None:
        return [list_request(account_id, resource, sort=by_id)]
    if query.by == "completed":
        # Paged by id, not by time: a back-dated completion must not shift rows under the reader.
        filters = [("completeTime", between(query.since, query.until))]
        return [list_request(account_id, resource, filters, by_id)]
    if resource.stamp is None:
        raise ValueError(f"{resource.name} has no change stamp")
    # By stamp, a row edited while we page moves to the end and is seen again: nothing is missed. Newest
    # first it could be missed, so that order goes by id.
    filters = [(resource.stamp, between(query.since, query.until))]
    return [list_request(account_id, resource, filters, by_id if query.newest_first else resource.stamp)]


def between(since: datetime | None, until: datetime | None) -> str:
    """Word a filter with both ends included, in whole seconds as the remote keeps them."""
    if since is not None and until is not None:
        return f"><,{_time(since)},{_time(until)}"
    if since is not None:
        return f">=,{_time(since)}"
    assert until is not None
    return f"<=,{_time(until)}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


# --- from page to page


def following(current: Request, next_address: str | None) -> Request | None:
    """Return the request for the next page; None on the last one.

    Only the query of the address is taken: whatever host it names, the token goes
    nowhere but to our own. Filters and load_relations that the server left out, or
    respelt, are put back; `after` and `before` are the server's and stay.
    """
    if not next_address:
        return None
    parts = urlsplit(next_address)
    if _resource_path(parts.path) != _resource_path(current.path):
        raise Halted("Lightspeed's address of the next page leads to another resource")
    sent = {name for name, _ in current.params} - {"after", "before"}
    theirs = tuple(
        # Base64 has no spaces: one stands for a plus sign that was not encoded.
        (name, value.replace(" ", "+"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in sent
    )
    ours = tuple((name, value) for name, value in current.params if name in sent)
    found = replace(current, params=(*ours, *theirs))
    position = (found.get("after"), found.get("before"))
    if position in {(None, None), (current.get("after"), current.get("before"))}:
        raise Halted("Lightspeed's address of the next page does not lead any further")
    return found


def _resource_path(path: str) -> tuple[str, ...]:
    """Return (account id, resource, ...), whatever version and suffix the path has."""
    pieces = [unquote(piece) for piece in path.removesuffix(".json").split("/") if piece]
    start = pieces.index("Account") if "Account" in pieces else 0
    return tuple(pieces[start:])


def resume_token(batch: int, request: Request | None) -> str:
    """Word where a read stands, so that it can go on after a restart: batch number and address."""
    if request is None:
        return f"{batch}:"
    return f"{batch}:{request.path}?{encode_params(request.params)}"


def resumed(token: str, firsts: Sequence[Request]) -> tuple[int, Request | None]:
    """Read a resume token back against the query's own first requests. A foreign token raises Halted."""
    number, separator, address = token.partition(":")
    if not separator or not number.isdecimal():
        raise Halted("the stored place of a Lightspeed read cannot be read")
    batch = int(number)
    if batch >= len(firsts):
        return batch, None
    first = firsts[batch]
    if not address:
        return batch, first
    path, _, query = address.partition("?")
    if path != first.path:
        raise Halted("the stored place of a Lightspeed read belongs to another account or resource")
    stored = dict(parse_qsl(query, keep_blank_values=True))
    if stored.get("sort") != first.get("sort"):
        # A cursor is bound to its order (…/introduction/pagination/).
        raise Halted("the stored place of a Lightspeed read belongs to another order of rows")
    place = {name: value for name, value in stored.items() if name in {"after", "before", "limit"}}
    return batch, first.with_params(place)


def sorted_by(token: str | None) -> str | None:
    """Return by which field the read behind a resume token is sorted."""
    query = (token or "").partition("?")[2]
    return dict(parse_qsl(query)).get("sort")


def halved(request: Request) -> Request:
    """Return the request with half the rows, for a server that ran out of memory (…/relations/)."""
    limit = int(request.get("limit") or 0)
    smaller = limit // 2
    return request.with_params({"limit": str(smaller)}) if smaller >= PAGE_ROWS_MIN else request


def is_halved(request: Request) -> bool:
    """Tell whether a list asks for less than a full page."""
    return request.get("limit") not in {None, str(PAGE_ROWS_MAX)}


def full(request: Request) -> Request:
    """Return the request with full pages again."""
    return request.with_params({"limit": str(PAGE_ROWS_MAX)})


def by_time_stamp(resource: Resource) -> Resource:
    """Return the resource read by timeStamp, for an account that refuses updatetime."""
    return replace(resource, stamp="timeStamp")


# --- what an answer means


@dataclass(frozen=True, slots=True)
class Fine:
    """A success: the body holds what was asked for."""


@dataclass(frozen=True, slots=True)
class TokenDead:
    """The access token is not (or no longer) accepted."""


@dataclass(frozen=True, slots=True)
class TooFast:
    """429. The wait they named, and which of the two limiters spoke."""

    retry_after_seconds: float | None
    burst: bool


@dataclass(frozen=True, slots=True)
class TryAgain:
    """They failed for now. `heavy`: perhaps because too much was asked at once.

    `unknown`: it may have been carried out all the same.
    """

    sentence: str
    heavy: bool = False
    retry_after_seconds: float | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """They will not do this however often we ask."""

    error: SyncError


Outcome = Fine | TokenDead | TooFast | TryAgain | Refused

# Recorded in the wild with status 400: only the words tell that it will pass.
_PASSING = re.compile(r"\btry (?:it )?again\b|\btry later\b", re.IGNORECASE)

# 520-527 are Cloudflare's, which stands in front.
_TRY_AGAIN = frozenset({408, 409, 425, 500, 502, 503, 504, *range(520, 528)})


def sort_answer(request: Request, answer: HttpAnswer) -> Outcome:
    """Sort an answer of the API by what can be done about it. Bodies lie about their content type."""
    status = answer.status
    if 200 <= status < 300:
        return Fine()
    if status == 401:
        return TokenDead()
    if status == 429:
        return too_fast(answer)
    if is_page(answer.body) and status < 500:
        between = f"Something between us and Lightspeed answered {status} to {request.label} with a web page"
        # A filter may stand on the way back too.
        return TryAgain(f"{between}: a proxy or firewall, perhaps", unknown=True)
    message = error_message(answer.body)
    sentence = f"Lightspeed answered {status} to {request.label}" + (f": {message}" if message else "")
    if status in _TRY_AGAIN or (status == 400 and _PASSING.search(message or "")):
        # Whoever broke down may have done so behind the work; a conflict or a "try again" did nothing.
        unknown = status >= 500 or status == 408
        wish = answer.retry_after_seconds
        return TryAgain(sentence, heavy=status == 500, retry_after_seconds=wish, unknown=unknown)
    if status == 403:
        return Refused(PermissionMissing(f"{sentence}. {_missing(request)}"))
    code = _error_class(answer.body) or f"HTTP {status}"
    if status == 404:
        return Refused(NotFound(sentence, code=code, status=status))
    return Refused(BadRequest(sentence, code=code, status=status, fields=_named(request, message or "")))


def is_page(body: bytes) -> bool:
    """Say whether a body is a web page, which the API itself never answers with."""
    return _PAGE.match(body) is not None


_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)


def _missing(request: Request) -> str:
    if request.method == "GET":
        return f"The token lacks a scope for {request.label}, or the employee behind it a right."
    return (
        f"To change customers the token needs the scope {WRITE_SCOPE}, and the employee behind it the right "
        "to edit customers: give both, and authorise Tillbridge in Lightspeed again; or set customers.mode "
        "to till_to_crm."
    )


def too_fast(answer: HttpAnswer) -> TooFast:
    """Read a 429 by its headers alone: its body is documented nowhere."""
    kind = answer.headers.get("x-ls-api-ratelimit-type", "")
    return TooFast(answer.retry_after_seconds, burst="burst" in kind.lower())


def _loose(body: bytes) -> dict[str, Any]:
    """Read an error body as far as it is JSON; error pages of whatever stands in front are not."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def error_message(body: bytes) -> str | None:
    """Return the remote's own words, from either envelope, on one short line."""
    found = _loose(body)
    for key in ("message", "error_description", "error"):
        value = found.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:300]
    return None


def _error_class(body: bytes) -> str | None:
    value = _loose(body).get("errorClass")
    return value if isinstance(value, str) and value and value != "Exception" else None


def _named(request: Request, message: str) -> tuple[str, ...]:
    """Return which of the fields that we asked by a refusal names."""
    asked = {name for name, _ in request.params} | {(request.get("sort") or "").lstrip("-")}
    return tuple(
        sorted(
            name for name in asked if name and re.search(rf"\b{re.escape(name)}\b", message, re.IGNORECASE)
        )
    )


def refuses_updatetime(error: BadRequest) -> bool:
    """Tell whether a request by updatetime was refused for that.

    A refused sort is documented to list the fields that are allowed, so the words may
    name timeStamp and not the field itself. Other 400s must not end reading by updatetime.
    """
    words = str(error).lower()
    about_fields = "updatetime" in words or "timestamp" in words or re.search(r"\bsort", words) is not None
    return error.status in {400, 422} and about_fields


# --- tokens


@dataclass(frozen=True, slots=True)
class Granted:
    """A new pair of tokens. Both replace the old ones."""

    access_token: str
    refresh_token: str
    expires_in_seconds: float


@dataclass(frozen=True, slots=True)
class GrantDenied:
    """The token server says no: `code` is its own, such as invalid_grant."""

    code: str
    sentence: str


def token_body(client_id: str, client_secret: str, refresh_token: str) -> bytes:
    """Word the request for a new pair. Naming a scope here was seen to be rejected."""
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items()).encode()


def sort_token_answer(answer: HttpAnswer) -> Granted | GrantDenied | TooFast | TryAgain:
    """Sort an answer of the token server."""
    found = _loose(answer.body)
    if 200 <= answer.status < 300:
        access, refresh = found.get("access_token"), found.get("refresh_token")
        if not (isinstance(access, str) and access and isinstance(refresh, str) and refresh):
            return TryAgain("Lightspeed's token server answered without a pair of tokens")
        return Granted(access, refresh, _seconds(found.get("expires_in")))
    if answer.status == 429:
        return too_fast(answer)
    code = found.get("error")
    if answer.status in _TRY_AGAIN or not isinstance(code, str):
        return TryAgain(
            f"Lightspeed's token server answered {answer.status}",
            retry_after_seconds=answer.retry_after_seconds,
        )
    hint = found.get("hint")
    named = f" ({hint})" if isinstance(hint, str) and hint else ""
    return GrantDenied(code, f"Lightspeed's token server says {code}{named}")


def _seconds(value: Any) -> float:
    """Read expires_in; an hour is what the documentation says in prose."""
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return 3600.0


def token_account(access_token: str) -> str | None:
    """Return the account id that a token names for itself; None if it is no JWT or names none.

    The signature is not checked: the token came from the server over TLS, and this
    only finds out early that a token belongs to somebody else's account.
    """
    account = _claims(access_token).get("acct")
    return str(account) if isinstance(account, str | int) and str(account).isdecimal() else None


def token_scopes(access_token: str) -> frozenset[str] | None:
    """Return the scopes that a token names for itself; None if it names none, as older tokens do."""
    scopes = _claims(access_token).get("scope")
    return frozenset(scopes.split()) if isinstance(scopes, str) and scopes.strip() else None


def _claims(access_token: str) -> Mapping[str, Any]:
    pieces = access_token.split(".")
    if len(pieces) != 3:
        return {}
    padded = pieces[1] + "=" * (-len(pieces[1]) % 4)
    try:
        return _loose(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError):
        return {}
