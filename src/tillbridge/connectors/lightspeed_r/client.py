"""The loop: pace, send, sort the answer, wait or refresh or give up, page after page.

Questions are repeated; a write only where nothing was done yet. Every wait is the clock's, so
that a rehearsal on a simulated clock sleeps nothing out. What an answer means
is decided in `protocol`, how long to wait in `limits`.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from tillbridge.connectors.http import Http, HttpAnswer, checked_host
from tillbridge.connectors.lightspeed_r import protocol, wire, writing
from tillbridge.connectors.lightspeed_r.limits import Limits
from tillbridge.connectors.lightspeed_r.protocol import (
    Fine,
    Refused,
    Request,
    Resource,
    TokenDead,
    TooFast,
    TryAgain,
)
from tillbridge.connectors.lightspeed_r.shapes import NotJson, Unreadable
from tillbridge.connectors.lightspeed_r.tokens import TokenKeeper, TokenStore
from tillbridge.connectors.lightspeed_r.wire import Listing
from tillbridge.model.clock import Clock
from tillbridge.model.customer import anonymised
from tillbridge.model.errors import (
    BadRequest,
    CredentialsRefused,
    GiveWay,
    LimitReached,
    NotFound,
    SyncError,
    Transient,
)
from tillbridge.model.quota import NoTillQuota, TillQuota
from tillbridge.model.reading import Countable, Page, Query, SaleChild, TillAccount
from tillbridge.model.records import Customer, Employee, Product, Register, Sale, SaleVoid, Stock, Store
from tillbridge.model.writing import TillSlot, TillValue

R = TypeVar("R")
T = TypeVar("T")

API_URL = "https://api.lightspeedapp.com"
AUTH_URL = "https://cloud.lightspeedapp.com"

REQUEST_SECONDS = 60.0

# Failures are waited out for so long within one request; the engine has longer breaths.
RETRY_SECONDS_MAX = 120.0
BACK_OFF_SECONDS_FIRST = 1.0
BACK_OFF_SECONDS_MAX = 30.0

# A bucket drains in 90 s; who asks for more patience has a quota in mind, not a rate.
PATIENCE_SECONDS_MAX = 300.0

# How often a change is tried, each time with a look at the record first.
_PUTS_MAX = 4

# After so many pages of fewer rows, full ones are worth another try.
SMALL_PAGES = 8


# What is counted, and by which stamp it is new.
_COUNTED: Mapping[Countable, tuple[Resource, str]] = {
    "customers": (protocol.CUSTOMERS, "createTime"),
    "products": (protocol.ITEMS, "timeStamp"),
    "sales": (protocol.SALES, "completeTime"),
}


class _Unsettled(Transient):
    """A PUT that failed for now, or may have been carried out: look at the record again."""


class LightspeedR:
    """A till account. Satisfies `engine.ports.Till`; may be shared by threads.

    `calls` counts every API request sent, `calls_by_endpoint` the same by name,
    `token_calls` the refreshes, `refused_429` how often we were too fast.
    `reads_by_time_stamp` becomes true when the account refuses updatetime: reads
    by change then miss late edits, and voids and sweeps matter more.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        store: TokenStore,
        clock: Clock,
        rng: random.Random,
        http: Http | None = None,
        account_id: str | None = None,
        api_url: str = API_URL,
        auth_url: str = AUTH_URL,
        limits: Limits | None = None,
        quota: TillQuota | None = None,
    ) -> None:
        self.calls = 0
        self.calls_by_endpoint: Counter[str] = Counter()
        self.token_calls = 0
        self.refused_429 = 0
        self.reads_by_time_stamp = False
        self._api_url = api_url.rstrip("/")
        self._auth_url = auth_url.rstrip("/")
        for url in (self._api_url, self._auth_url):
            checked_host(url)
        self._client_id = client_id
        self._client_secret = client_secret
        self._configured_account = account_id
        self._account_id: str | None = None
        self._checked_token: str | None = None
        self._http = http or Http()
        self._clock = clock
        self._rng = rng
        self._limits = limits or Limits()
        self._quota = quota or NoTillQuota()
        self._costs: dict[str, float] = {}  # what the server last charged for a request of that shape
        self._turn = threading.Condition()  # guards limits, costs and counters
        self._tokens = TokenKeeper(
            configured=refresh_token, store=store, exchange=self._exchange_token, clock=clock, rng=rng
        )

    def crowded(self) -> bool:
        """Say whether others use the account's limits so much that work which can wait should wait."""
        with self._turn:
            return self._limits.crowded(self._clock.monotonic())

    # --- reads (ports.Till)

    def account(self) -> TillAccount:
        """Say which account this is."""
        account_id = self._account()
        _, answer = self._send(protocol.account_request(account_id))
        found = self._understood(wire.read_account, answer.body)
        return TillAccount(account_id, found.name or account_id, found.currency, self._limits.registers)

    def stores(self) -> list[Store]:
        """Read all stores, archived ones too."""
        return self._all(protocol.SHOPS, wire.read_stores)

    def registers(self) -> list[Register]:
        """Read all registers."""
        return self._all(protocol.REGISTERS, wire.read_registers)

    def categories(self) -> dict[str, str]:
        """Read all product categories: id to full path."""
        return dict(self._all(protocol.CATEGORIES, wire.read_categories))

    def employees(self) -> list[Employee]:
        """Read all employees, archived ones too. Deleted ones leave no trace there."""
        return self._all(protocol.EMPLOYEES, wire.read_employees)

    def customers(self, query: Query) -> Iterator[Page[Customer]]:
        """Read customers page by page."""
        return self._query(protocol.CUSTOMERS, query, wire.read_customers)

    def products(self, query: Query) -> Iterator[Page[tuple[Product, tuple[Stock, ...]]]]:
        """Read products with their stock. Their change stamp does not move when only stock does."""
        return self._query(protocol.ITEMS, query, wire.read_products)

    def stock(self, query: Query) -> Iterator[Page[Stock]]:
        """Read stock rows; `ids` are product ids."""
        return self._query(protocol.ITEM_SHOPS, query, wire.read_stock, id_filter="itemID")

    def sales(self, query: Query) -> Iterator[Page[Sale]]:
        """Read sales whole. An account that refuses updatetime is read by timeStamp from then on."""
        if not self._is_by_stamp(query):
            yield from self._query(protocol.SALES, query, wire.read_sales)
            return
        if not self.reads_by_time_stamp and protocol.sorted_by(query.resume) != "timeStamp":
            begun = False
            try:
                for page in self._query(protocol.SALES, query, wire.read_sales):
                    begun = True
                    yield page
            except BadRequest as error:
                if begun or not protocol.refuses_updatetime(error):
                    raise
                self.reads_by_time_stamp = True
            else:
                return
        if protocol.sorted_by(query.resume) == "updatetime":
            query = msgspec.structs.replace(query, resume=None)  # That order is gone: begin anew.
        resource = protocol.by_time_stamp(protocol.SALES)
        yield from self._query(resource, query, wire.read_sales_by_time_stamp)

    def voids(self, after_id: str | None) -> Iterator[Page[SaleVoid]]:
        """Read void notes newer than `after_id`, newest first. They carry no time that could be asked by."""
        return self._newer(protocol.VOIDS, after_id, wire.read_voids, lambda void: void.id)

    def lines(self, query: Query) -> Iterator[Page[SaleChild]]:
        """Read lines without their sales: a line's stamp moves where its sale's need not."""
        return self._query(protocol.SALE_LINES, query, wire.read_lines)

    def payments(self, after_id: str | None) -> Iterator[Page[SaleChild]]:
        """Read payments newer than `after_id` without their sales, newest first."""
        return self._newer(protocol.SALE_PAYMENTS, after_id, wire.read_payments, lambda row: row.id)

    def count(self, kind: Countable, since: datetime | None = None) -> int:
        """Count customers, products or sales without reading them; ten times the price of a page.

        `since`: only customers created, products changed, sales completed from then on.
        """
        resource, stamp = _COUNTED[kind]
        filters = [] if since is None else [(stamp, protocol.between(since, None))]
        _, answer = self._send(protocol.count_request(self._account(), resource, filters))
        return self._understood(wire.read_count, answer.body)

    # --- writes (ports.Till): customers, nothing else

    def create_customer(self, slots: Mapping[TillSlot, TillValue]) -> Customer:
        """Create a customer and return it as the till keeps it. Opt-outs that are not named are false.

        Never repeated after a lost answer: then `Transient(outcome_unknown=True)` is raised.
        """
        body = writing.new_body(writing.as_kept(slots))
        found = self._echo(writing.create_request(self._account(), body))
        if found is None:
            raise Transient("Lightspeed's answer to a new customer could not be read", outcome_unknown=True)
        if found.has_contact:
            return found.customer
        try:
            return self._customer(found.customer.id).customer
        except SyncError as error:
            # There is somebody now, of whom the caller could only hear by asking.
            said = f"customer {found.customer.id} was created in Lightspeed, but not read back: {error}"
            raise Transient(said, outcome_unknown=True) from error

    def find_customers(self, *, emails: Collection[str], phones: Collection[str]) -> list[Customer]:
        """Ask the till itself who holds one of these e-mails or phones now, archived ones too.

        A phone is found as it was written, since the till compares text. One call asks for
        an e-mail and a number, six for many of both, and one more reads who was found.
        """
        firsts = writing.search_requests(self._account(), emails, phones)
        if not firsts:
            return []
        pages = self._pages(firsts, 0, firsts[0], wire.read_customers)
        ids = tuple(dict.fromkeys(customer.id for page in pages for customer in page.rows))
        if not ids:
            return []
        return [customer for page in self.customers(Query(ids=ids)) for customer in page.rows]

    def change_customer(self, base: Customer, slots: Mapping[TillSlot, TillValue]) -> Customer | None:
        """Write some slots of a customer, leave all others, and return it as read back.

        Reads it first: None when a slot to be written shows neither what `base` shows
        nor what it shall show, or the customer has been archived since. BadRequest
        "NOT_TAKEN" names the slots that the till did not take over.
        """
        wanted = writing.as_kept(slots)
        return self._looked_after(lambda: self._change(base, wanted))

    def _change(self, base: Customer, wanted: writing.Slots) -> Customer | None:
        now = self._customer(base.id).customer
        if writing.moved(base, now, wanted):
            return None
        return self._changed(now, wanted) if writing.differing(now, wanted) else now

    def _changed(self, now: Customer, wanted: writing.Slots) -> Customer:
        """Send a change and return who shows it: by the echo, or read back."""
        body = writing.changed_body(now, wanted)
        echo = self._echo(writing.change_request(self._account(), now.id, body))
        if echo is not None and echo.has_contact:
            shown = wire.with_echo(now, echo.customer)
            if not writing.differing(shown, wanted):
                return shown
        shown = self._customer(now.id).customer
        if left := writing.differing(shown, wanted):
            raise BadRequest(
                f"Lightspeed took a change of customer {now.id} without carrying it out: "
                f"{', '.join(left)} did not change. Change it in Lightspeed by hand.",
                code="NOT_TAKEN",
                status=200,
                fields=left,
            )
        return shown

    def clear_customer(self, customer_id: str) -> None:
        """Empty what the till's own erasure would keep: the note, the custom fields, the tags."""
        self._looked_after(lambda: self._clear(customer_id))

    def _clear(self, customer_id: str) -> None:
        body = _clearing(self._customer(customer_id))
        if not body:
            return
        self._send(writing.change_request(self._account(), customer_id, body))
        if left := _clearing(self._customer(customer_id)):
            raise BadRequest(
                f"Lightspeed keeps {', '.join(left)} of customer {customer_id} although it was told to empty "
                "them: empty them in Lightspeed by hand.",
                code="NOT_TAKEN",
                status=200,
                fields=tuple(left),
            )

    def _looked_after(self, work: Callable[[], T]) -> T:
        """Do work that reads a record and then changes it; begin anew, with reading, if the change failed.

        By then it may show the change, or what a person has made of it.
        """
        for attempt in range(1, _PUTS_MAX):
            try:
                return work()
            except _Unsettled as error:
                try:
                    self._clock.sleep(max(error.retry_after_seconds or 0.0, self._back_off_seconds(attempt)))
                except GiveWay:
                    raise error from None  # Others have the turn; what this met is no less true for it.
        return work()

    def anonymise_customer(self, customer_id: str) -> None:
        """Let the till erase who this is; the record stays, archived. One that is erased already stays so."""
        self._ended(customer_id, writing.anonymise_request(self._account(), customer_id), anonymised, "erase")

    def archive_customer(self, customer_id: str) -> None:
        """Archive a customer; one that is archived already stays so."""
        request = writing.archive_request(self._account(), customer_id)
        self._ended(customer_id, request, lambda customer: customer.archived, "archive")

    def _ended(
        self, customer_id: str, request: Request, is_done: Callable[[Customer], bool], verb: str
    ) -> None:
        """Send what ends a customer, and see that it did. A refusal is none if it is so already."""
        refused: BadRequest | None = None
        try:
            echo = self._echo(request)
        except NotFound:
            raise
        except BadRequest as error:
            echo, refused = None, error
        if echo is not None and is_done(echo.customer):
            return
        if is_done(self._customer(customer_id).customer):
            return
        raise refused or BadRequest(
            f"Lightspeed did not {verb} customer {customer_id} although it said so: do it there by hand.",
            code="NOT_TAKEN",
            status=200,
        )

    def _customer(self, customer_id: str) -> wire.Written:
        """Read one customer whole."""
        _, answer = self._send(writing.one_request(self._account(), customer_id))
        return self._understood(wire.read_customer, answer.body)

    def _echo(self, request: Request) -> wire.Written | None:
        """Write, and read what the answer shows of the record; None when it cannot be read."""
        _, answer = self._send(request)
        try:
            return wire.read_customer(answer.body)
        except Unreadable:
            return None  # The work is done: whoever asked looks at the record itself.

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    # --- pages

    def _newer(
        self,
        resource: Resource,
        after_id: str | None,
        read: Callable[[bytes], Listing[R]],
        id_of: Callable[[R], str],
    ) -> Iterator[Page[R]]:
        """Read rows whose ids are above one, newest first, down to it."""
        newer = [(resource.id_field, f">,{after_id}")] if after_id is not None else []
        first = protocol.list_request(self._account(), resource, newer, f"-{resource.id_field}")
        for page in self._pages([first], 0, first, read):
            rows = [row for row in page.rows if after_id is None or int(id_of(row)) > int(after_id)]
            yield Page(rows, page.next, page.high, page.server_time)
            if len(rows) < len(page.rows):
                return

    @staticmethod
    def _is_by_stamp(query: Query) -> bool:
        return (
            query.ids is None and query.by == "changed" and not (query.since is None and query.until is None)
        )

    def _all(self, resource: Resource, read: Callable[[bytes], Listing[R]]) -> list[R]:
        return [row for page in self._query(resource, Query(), read) for row in page.rows]

    def _query(
        self,
        resource: Resource,
        query: Query,
        read: Callable[[bytes], Listing[R]],
        *,
        id_filter: str | None = None,
    ) -> Iterator[Page[R]]:
        firsts = protocol.query_requests(self._account(), resource, query, id_filter=id_filter)
        batch, request = protocol.resumed(query.resume or "0:", firsts)
        yield from self._pages(firsts, batch, request, read)

    def _pages(
        self, firsts: list[Request], batch: int, request: Request | None, read: Callable[[bytes], Listing[R]]
    ) -> Iterator[Page[R]]:
        small_pages = 0
        while request is not None:
            answered, answer = self._send(request)
            listing = self._understood(read, answer.body)
            request = protocol.following(answered, listing.next)
            small_pages = small_pages + 1 if protocol.is_halved(answered) else 0
            if request is not None and small_pages >= SMALL_PAGES:
                request, small_pages = protocol.full(request), 0
            if request is None:
                batch += 1
                request = firsts[batch] if batch < len(firsts) else None
                token = protocol.resume_token(batch, None) if request is not None else None
            else:
                token = protocol.resume_token(batch, request)
            yield Page(listing.rows, token, listing.high, answer.date or self._clock.now())

    def _understood(self, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return read(body)
        except NotJson:
            # An error page under a good status, or a body cut short: the next answer will be better.
            raise Transient("Lightspeed sent an answer that is no JSON") from None
        except Unreadable as error:
            sentence = f"Lightspeed sent something that Tillbridge cannot read: {error}"
            raise BadRequest(sentence, code="UNREADABLE", status=200) from None

    # --- one request

    def _send(self, request: Request) -> tuple[Request, HttpAnswer]:
        """Ask until there is an answer, within limits; return it with the request that it answers.

        That may be one for fewer rows. A POST that may have been carried out is never sent
        again: it would make a second record. A PUT is sent once: since it was prepared a
        person may have changed the record, so its sender looks again. What archives or erases
        is as good twice as once. Raises the errors of `model.errors` only.
        """
        begun = self._clock.monotonic()
        failures = 0
        token, refreshed, dead = self._tokens.access_token(), False, 0
        while True:
            self._check_account(token)
            outcome, answer = self._once(request, token)
            match outcome:
                case Fine():
                    assert answer is not None
                    return request, answer
                case Refused(error=error):
                    raise self._worded(error, request)
                case TokenDead():
                    # Another process may just have replaced the pair, so one more dead token than
                    # our own single refresh explains is nobody's fault.
                    dead += 1
                    if refreshed or dead > 2:
                        raise CredentialsRefused(_FRESH_TOKEN_REFUSED)
                    token, refreshed = self._tokens.replace(token)
                case TooFast(retry_after_seconds=wish):
                    if request.method == "PUT":
                        raise _Unsettled("Lightspeed's rate limit is used up", retry_after_seconds=wish)
                    # The limits know of it; the next round waits there.
                    if self._clock.monotonic() - begun > PATIENCE_SECONDS_MAX:
                        raise _used_up(wish)
                case TryAgain(sentence=sentence, heavy=heavy, retry_after_seconds=wish, unknown=unknown):
                    failures += 1
                    unknown = unknown and request.method != "GET"
                    if request.method == "PUT":
                        raise _Unsettled(sentence, retry_after_seconds=wish, outcome_unknown=unknown)
                    if unknown and request.method == "POST":
                        raise Transient(sentence, retry_after_seconds=wish, outcome_unknown=True)
                    pause = max(wish or 0.0, self._back_off_seconds(failures))
                    if self._clock.monotonic() + pause - begun > RETRY_SECONDS_MAX:
                        raise Transient(sentence, retry_after_seconds=wish, outcome_unknown=unknown)
                    try:
                        self._clock.sleep(pause)
                    except GiveWay:
                        # Others have the turn; what this met is no less true for it.
                        raise Transient(sentence, retry_after_seconds=wish, outcome_unknown=unknown) from None
                    if heavy and failures >= 2:
                        request = protocol.halved(request)

    def _once(self, request: Request, token: str) -> tuple[protocol.Outcome, HttpAnswer | None]:
        """Send one request when the limits allow it, and sort what came of it."""
        shape = f"{request.label} {request.get('load_relations') or ''}"
        # What a write costs depends on its body, which differs each time.
        cost = self._costs.get(shape, request.cost) if request.body is None else request.cost
        self._quota.take(cost)
        self._await_turn(cost)
        with self._turn:
            self.calls += 1
            self.calls_by_endpoint[request.label] += 1
        try:
            answer = self._http.request(
                request.method,
                request.url(self._api_url),
                headers=_headers(request, token),
                content=request.body,
                timeout_total=REQUEST_SECONDS,
            )
        except BaseException as error:
            with self._turn:
                self._limits.lost(cost, self._clock.monotonic())
                self._turn.notify_all()
            if isinstance(error, Transient):
                return TryAgain(str(error), unknown=error.outcome_unknown), None
            raise
        outcome = protocol.sort_answer(request, answer)
        with self._turn:
            self.calls += answer.sent - 1
            self.calls_by_endpoint[request.label] += answer.sent - 1
            self._learn(outcome, answer, shape, cost)
            level, size, drips = self._limits.level, self._limits.size, self._limits.drips_per_second
            self._turn.notify_all()
        self._quota.told(cost, level, size, drips)
        if isinstance(outcome, TooFast):
            self._quota.refused(outcome.retry_after_seconds)
        return outcome, answer

    def _learn(self, outcome: protocol.Outcome, answer: HttpAnswer, shape: str, cost: float) -> None:
        now = self._clock.monotonic()
        if isinstance(outcome, TooFast):
            self.refused_429 += 1
            self._limits.refused(outcome.retry_after_seconds, answer.headers, cost, now)
            return
        self._limits.observe(answer.headers, cost, now)
        charged = answer.headers.get("x-ls-api-request-cost", "")
        if isinstance(outcome, Fine) and charged.replace(".", "", 1).isdigit():
            self._costs[shape] = float(charged)

    def _await_turn(self, cost: float) -> None:
        """Wait until the limits let us, and take the turn in the same breath."""
        patience_ends = self._clock.monotonic() + PATIENCE_SECONDS_MAX
        while True:
            with self._turn:
                # Real time: the answer that we wait for comes over a real wire.
                self._turn.wait_for(lambda: not self._limits.blind, REQUEST_SECONDS)
                now = self._clock.monotonic()
                wait = self._limits.wait_seconds(now, urgent=self._quota.urgent)
                if wait <= 0:
                    self._limits.take(cost, now)
                    return
            if now + wait > patience_ends:
                raise _used_up(wait)
            self._clock.sleep(wait)

    def _back_off_seconds(self, failures: int) -> float:
        ceiling = min(BACK_OFF_SECONDS_MAX, BACK_OFF_SECONDS_FIRST * 2 ** (failures - 1))
        return self._rng.uniform(ceiling / 2, ceiling)

    def _worded(self, error: SyncError, request: Request) -> SyncError:
        if (
            isinstance(error, NotFound)
            and request.path.startswith("Account/")
            and self._account_id is not None
        ):
            return NotFound(
                f"{error} (till account {self._account_id})", code=error.code, status=error.status
            )
        return error

    # --- who we are

    def _exchange_token(
        self, refresh_token: str
    ) -> protocol.Granted | protocol.GrantDenied | TooFast | TryAgain:
        with self._turn:
            self.token_calls += 1
        answer = self._http.request(
            "POST",
            f"{self._auth_url}{protocol.TOKEN_PATH}",
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            content=protocol.token_body(self._client_id, self._client_secret, refresh_token),
            timeout_total=REQUEST_SECONDS,
        )
        return protocol.sort_token_answer(answer)

    def _account(self) -> str:
        """Return the account's id: as the token names it, else as the API lists it."""
        if self._account_id is None:
            token = self._tokens.access_token()
            self._check_account(token)
            self._account_id = protocol.token_account(token) or self._listed_account()
        return self._account_id

    def scopes(self) -> frozenset[str] | None:
        """Return what the present token is good for, as it says itself; None when it does not say."""
        return protocol.token_scopes(self._tokens.access_token())

    def _listed_account(self) -> str:
        _, answer = self._send(protocol.accounts_request())
        found = self._understood(wire.read_account_ids, answer.body)
        wanted = self._configured_account
        if wanted is not None and wanted not in found:
            raise CredentialsRefused(_other_account(", ".join(found) or "no account", wanted))
        if wanted is None and len(found) != 1:
            raise CredentialsRefused(
                f"The Lightspeed token is good for {len(found)} accounts; name one as account_id."
            )
        return wanted or found[0]

    def _check_account(self, token: str) -> None:
        """Refuse a token that says it belongs to another account than the configured, or than before."""
        if token == self._checked_token:
            return
        wanted = self._configured_account or self._account_id
        named = protocol.token_account(token)
        if wanted is not None and named is not None and named != wanted:
            raise CredentialsRefused(_other_account(named, wanted))
        self._checked_token = token


def _headers(request: Request, token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    return headers if request.body is None else {**headers, "Content-Type": "application/json"}


def _clearing(found: wire.Written) -> dict[str, Any]:
    """Return the body that empties what is still there."""
    customer = found.customer
    return writing.clearing_body(found.field_ids, note=bool(customer.note), tags=bool(customer.tags))


def _used_up(resume_after_seconds: float | None) -> LimitReached:
    return LimitReached(
        "Lightspeed's rate limit is used up",
        quota="lightspeed requests",
        resume_after_seconds=resume_after_seconds,
    )


_FRESH_TOKEN_REFUSED = (
    "Lightspeed refuses a token that it has just issued: "  # noqa: S105  # a sentence, no secret
    "the employee who authorised Tillbridge may be locked, "
    "or the API client blocked. Authorise Tillbridge in Lightspeed again."
)


def _other_account(found: str, wanted: str) -> str:
    return (
        f"The Lightspeed token belongs to account {found}, but account {wanted} is configured. "
        "Correct account_id, or authorise Tillbridge in the right account."
    )
