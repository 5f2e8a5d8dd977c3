"""How fast the console's pages come: 200,000 customers and 1,000,000 sales in the store, p95 of each.

`python -m bench.pages [--customers N] [--sales N] [--keep FOLDER]`. The store is
filled by bulk inserts, as a first load would have filled it; nothing is synced.
Asks each view, as people ask for it, and then each page of the console's table as
a browser would, from its address to its HTML. Prints a line each: by the clock,
and the part of it that this process was at work, which others on the machine
cannot lengthen by much. Ends with 1 when one takes longer than is promised.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.engine.directory import Directory
from tillbridge.engine.jobs import Jobs
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.clock import SystemClock
from tillbridge.model.reading import TillAccount
from tillbridge.model.records import Employee, Register, Store
from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.access import Access
from tillbridge.store.people import People
from tillbridge.store.receipts import Line, Receipt, figures_of
from tillbridge.store.service import Service, open_service, service_url
from tillbridge.store.state import State
from tillbridge.sync.match import Person
from tillbridge.views.books import Books, Library
from tillbridge.views.budget import budget
from tillbridge.views.certificates import certificates
from tillbridge.views.customers import customers
from tillbridge.views.decisions import conflicts, reviews
from tillbridge.views.overview import overview
from tillbridge.views.person import person
from tillbridge.views.problems import problem_list, problems
from tillbridge.views.products import product, products
from tillbridge.views.receipt import receipt
from tillbridge.views.runs import runs, work
from tillbridge.views.sales import Wanted, sales
from tillbridge.views.stores import stores_page
from tillbridge.web.app import create_app
from tillbridge.web.console import Console
from tillbridge.web.table import ROUTES
from tillbridge.wiring import open_state, vault_for

PROMISED_MS = 150.0
TODAY = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAYS = 1_000
STORES, EMPLOYEES, PRODUCTS = 12, 60, 8_000
_BATCH = 100_000

_FIRST = (
    "Ada Bruno Carla Daan Eva Femke Gijs Hanna Ilse Jan Karim Lotte Mirte Noor Olga Piet Roos Sam Tess Ümit"
)
_LAST = (
    "Vermeulen Jansen Perelaer Novák O'Neill Bakker Visser Smit Meijer Mulder Bos Vos Peters Hendriks Dekker"
)
_CONFIG = """\
[lightspeed]
api_url = "http://127.0.0.1:9"
auth_url = "http://127.0.0.1:9"
account_id = "190001"
client_id = "demo-client"
client_secret = "demo-secret"
refresh_token = "demo-refresh"

[salesforce]
login_url = "http://127.0.0.1:9"
auth = "client_credentials"
client_id = "demo-consumer"
client_secret = "demo-consumer-secret"
"""


# Pages that ask a remote before they are shown. None is here: what counts is how long we were at work.
_ASK_A_REMOTE = ("/set-up/{name}/customers", "/set-up/{name}/fields")


def main() -> int:
    """Fill a store, ask each view, print, judge."""
    asked = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    asked.add_argument("--customers", type=int, default=200_000)
    asked.add_argument("--sales", type=int, default=1_000_000)
    asked.add_argument("--times", type=int, default=40)
    asked.add_argument("--only", default="", help="a part of the address: these pages alone")
    asked.add_argument("--keep", type=Path, help="fill this folder, or use it if it is filled")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        if not (folder / "tillbridge.toml").exists():
            begun = time.monotonic()
            fill(folder, given.customers, given.sales)
            size = (folder / "tillbridge.sqlite").stat().st_size / 1e9
            print(f"filled in {time.monotonic() - begun:.0f} s, {size:.2f} GB")
        return measure(folder, given.customers, given.sales, given.times, given.only)


# --- measuring -------------------------------------------------------------------------------------


def measure(folder: Path, people: int, sold: int, times: int, only: str = "") -> int:
    """Ask every view so many times; return 1 when one is too slow."""
    service = open_service(service_url(folder, None))
    jobs = Jobs(service)
    library = Library(folder, service, jobs, Standing(), {})
    books = library.books("default")
    before, begun = _megabytes(), time.monotonic()
    books.roll.refresh()
    gc.collect()
    print(f"everybody read in {time.monotonic() - begun:.1f} s, {_megabytes() - before:.0f} MB more")
    slow = 0
    if not only:
        for name, ask in views(books, people, sold):
            slow += _told(name, ask, times)
    pages = [
        route.path
        for route in ROUTES
        if route.method == "GET" and not route.is_api and not route.path.endswith("/events")
    ]
    wanted = [path for path in pages if only in path]
    slow += measure_pages(folder, library, service, jobs, wanted, (people, sold, times))
    library.close()
    service.close()
    return int(slow > 0)


def measure_pages(
    folder: Path,
    library: Library,
    service: Service,
    jobs: Jobs,
    paths: list[str],
    size: tuple[int, int, int],
) -> int:
    """Ask for pages of the table; return how many are too slow."""
    people, sold, times = size
    clock = Standing()
    access = Access(service)
    console = Console(
        folder=folder,
        service=service,
        jobs=jobs,
        clock=clock,
        env={},
        access=access,
        library=library,
        healthy=lambda: None,
        ready=lambda: None,
        metrics=lambda: ("text/plain", b""),
    )
    app, now = create_app(console), clock.now().timestamp()
    known = access.named("bench")
    admin = known[0] if known else access.add("bench", "admin", now, password="no password")
    assert admin is not None
    cookie = f"tillbridge={access.sign_in(admin.id, now, now + 86_400, agent='bench', address='')}"
    slow = 0
    with asyncio.Runner() as runner:
        for path in paths:
            asks_a_remote = path in _ASK_A_REMOTE
            addresses = [_address(path, n, people, sold) for n in range(3 if asks_a_remote else times)]
            status, kind = runner.run(_asked(app, addresses[0], cookie))
            if status != 200 or not kind.startswith("text/html"):
                print(f"- {path:<50} {status} {kind.partition(';')[0]}")
                continue
            ask = partial(_asked_one, runner, app, addresses, cookie)
            slow += _told(path, ask, len(addresses), waits=asks_a_remote)
    console.actions.close()
    return slow


def _address(path: str, number: int, people: int, sold: int) -> str:
    """Fill in an address, another one each time."""
    one = 1 + number * 7_919 % PRODUCTS
    day = (TODAY - timedelta(days=1 + number)).date().isoformat()
    values = {
        "connection": "default",
        "name": "default",
        "who": 1 + number * 7_919 % people,
        "sale": 1 + number * 7_919 % sold,
        "number": one if "/products/" in path else 1 + number,
        "store": 1 + number % STORES,
        "day": day,
    }
    for name, value in values.items():
        path = path.replace("{" + name + "}", str(value))
    cause = f"FIELD_CUSTOM_VALIDATION_EXCEPTION:Account:LastName:{number % 12}"
    return f"{path}?cause={cause}" if path.endswith("/problems/of") else path


def _asked_one(runner: asyncio.Runner, app: Any, addresses: list[str], cookie: str, number: int) -> None:
    runner.run(_asked(app, addresses[number], cookie))


async def _asked(app: Any, address: str, cookie: str) -> tuple[int, str]:
    """Ask for an address as a server hands it over; return the status and the kind of the answer."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"cookie", cookie.encode()), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 50_000),
        "server": ("localhost", 80),
    }
    asked, heads = False, []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # Nobody hangs up.
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            heads.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in heads[0]["headers"]}
    return heads[0]["status"], headers.get("content-type", "")


def _told(name: str, ask: Callable[[int], Any], times: int, *, waits: bool = False) -> int:
    """Ask so many times and print how long it took; return 1 when that is too long.

    `waits`: on a remote, for which nobody here is to blame.
    """
    ask(0)
    taken, worked = [], []
    for number in range(times):
        start, at_work = time.perf_counter(), time.process_time()
        ask(number)
        taken.append((time.perf_counter() - start) * 1_000)
        worked.append((time.process_time() - at_work) * 1_000)
    taken.sort()
    middle, late = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    cpu = sorted(worked)[int(len(worked) * 0.95)]
    is_late = (cpu if waits else late) > PROMISED_MS
    mark = "✗" if is_late else "✓"
    print(f"{mark} {name:<50} p50 {middle:7.1f} ms   p95 {late:7.1f} ms, {cpu:6.1f} of them at work")
    return int(is_late)


def views(books: Books, people: int, sold: int) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Yield each page as people ask for it; a number makes no two questions alike."""
    queries = ("a", "ja", "jan", "vermeulen ada", "ada1", "@mail.example", "06123", "novak", "00123", "zz9q")
    few = ["3"]
    to = TODAY.date()

    def query(number: int) -> str:
        return queries[number % len(queries)]

    def some(number: int, count: int) -> str:
        return str(1 + (number * 7_919) % count)

    yield "overview", lambda _: overview(books)
    yield "overview, one store", lambda _: overview(books, stores=few)
    yield "customers, no words", lambda _: customers(books)
    yield "customers, as somebody types", lambda n: customers(books, query(n))
    yield "customers, in review", lambda n: customers(books, query(n), "review")
    yield "customers, not synced", lambda n: customers(books, query(n), "unsynced")
    yield "customers, one store", lambda n: customers(books, query(n), stores=few)
    yield "person", lambda n: person(books, some(n, people))
    yield "sales, newest", lambda _: sales(books)
    yield "sales, page 100", lambda _: sales(books, offset=5_000)
    yield "sales, one store", lambda _: sales(books, stores=few)
    yield "sales, three stores", lambda _: sales(books, stores=["3", "4", "5"])
    yield "sales, by number", lambda n: sales(books, Wanted(query=f"2200{some(n, sold):0>8}"))
    yield "sales, by amount", lambda n: sales(books, Wanted(query=f"{10 + n}.50"))
    yield "sales, by customer's name", lambda _: sales(books, Wanted(query="vermeulen ada"))
    yield "sales, by day", lambda n: sales(books, Wanted(first=to - timedelta(n * 9), last=to - timedelta(n)))
    yield "sales, refunds of a store", lambda _: sales(books, Wanted(type="Refund", store="3"))
    yield "sales, voided", lambda _: sales(books, Wanted(status="voided"))
    yield "sales, open", lambda _: sales(books, Wanted(status="open"))
    yield "sales, large ones", lambda _: sales(books, Wanted(least=Decimal(900)))
    yield "receipt", lambda n: receipt(books, some(n, sold))
    yield "problems", lambda _: problems(books)
    yield "problems of a cause", lambda _: problem_list(books, offset=100)
    yield "problems, one store", lambda _: problems(books, stores=few)
    yield "reviews", lambda _: reviews(books)
    yield "conflicts", lambda _: conflicts(books)
    yield "runs", lambda _: runs(books)
    yield "work", lambda _: work(books)
    yield "products", lambda n: products(books, ("ring", "gold 12", "", "zz")[n % 4])
    yield "product", lambda n: product(books, some(n, PRODUCTS))
    yield "stores, 30 days", lambda _: stores_page(books, to - timedelta(29), to)
    yield "stores, a year", lambda _: stores_page(books, to - timedelta(364), to)
    yield "stores, this month", lambda _: stores_page(books, to.replace(day=1), to)
    yield "one store, a year", lambda n: stores_page(books, to - timedelta(364), to, store=some(n, STORES))
    yield (
        "three stores, a year",
        lambda _: stores_page(books, to - timedelta(364), to, stores=["3", "4", "5"]),
    )
    yield "budget & forecast", lambda _: budget(books)
    yield "certificates", lambda _: certificates(books, to - timedelta(30), to)


class Standing(SystemClock):
    """A clock that stands on the last day of the store's sales."""

    def now(self) -> datetime:
        """Return the moment."""
        return TODAY


def _megabytes() -> float:
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


# --- filling ---------------------------------------------------------------------------------------


def fill(folder: Path, people: int, sold: int) -> None:
    """Write a store as large as is asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tillbridge.toml").write_text(_CONFIG, encoding="utf-8")
    state = open_state(folder, Standing())
    vault = vault_for(folder, state, {})
    rng = random.Random(5)
    with state.begin() as c:
        # Of use to this filling alone: rows come in the order of no index.
        c.exec_driver_sql("PRAGMA cache_size=-2000000")
        c.exec_driver_sql("PRAGMA wal_autocheckpoint=100000")
        People(state, vault).keep(c, "directory", msgspec.to_builtins(_directory()))
        state.keep(c, "till_account", "190001")
        state.keep(c, "crm_org", "00DWt0000000001MAA")
    for rows in (
        _products(rng),
        _shelves(rng),
        _people(state, vault, rng, people),
        _sales(state, rng, people, sold),
    ):
        _write(state, rows)
    _write(state, _troubles(people))
    state.close()


def _write(state: State, rows: Iterator[tuple[sa.Table, dict[str, Any]]]) -> None:
    waiting: dict[str, list[dict[str, Any]]] = {}
    for table, row in rows:
        held = waiting.setdefault(table.name, [])
        held.append(row)
        if len(held) >= _BATCH:
            _insert(state, table, held)
            held.clear()
    for name, held in waiting.items():
        if held:
            _insert(state, schema.metadata.tables[name], held)


def _insert(state: State, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    places = ", ".join("?" for _ in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    text = f"INSERT OR REPLACE INTO {table.name} ({quoted}) VALUES ({places})"
    with state.begin() as c:
        c.exec_driver_sql(text, [tuple(row.values()) for row in rows])


def _directory() -> Directory:
    return Directory(
        read_at=TODAY.timestamp(),
        account=TillAccount(id="190001", name="Bench", currency="EUR"),
        stores=[
            Store(id=str(n), name=f"Store {n}", time_zone="Europe/Amsterdam") for n in range(1, STORES + 1)
        ],
        registers=[Register(id=str(n), name=f"Till {n}", store_id=str(n)) for n in range(1, STORES + 1)],
        employees=[Employee(id=str(n), first_name=f"Seller {n}") for n in range(1, EMPLOYEES + 1)],
        categories={},
    )


def _record(
    kind: str, till_id: str, crm_id: str | None, state: str, **more: Any
) -> tuple[sa.Table, dict[str, Any]]:
    row = {
        "kind": kind,
        "till_id": till_id,
        "crm_id": crm_id,
        "object": "Account" if kind == "customer" else "Sales_Transaction__c",
        "state": state,
        "reason": None,
        "digest": b"0123456789abcdef",
        "parent": more.get("parent"),
        "moved_at": TODAY.timestamp() - hash(till_id) % 10_000_000,
        "verified_at": TODAY.timestamp(),
        "run": 1,
    }
    return schema.record, row


def _products(rng: random.Random) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    for n in range(1, PRODUCTS + 1):
        title = f"{rng.choice(('Gold', 'Silver', 'Steel'))} {rng.choice(('ring', 'chain', 'watch'))} {n}"
        row = {
            "till_id": str(n),
            "sku": f"SKU-{n:06}",
            "title": title,
            "category": "Rings/Gold",
            "maker": "Maker",
            "price": rng.randrange(500, 90_000),
            "archived": False,
            "sought": f"{title.lower()} maker {n} sku-{n:06}",
            "read_at": TODAY.timestamp(),
        }
        yield schema.article, row
        yield _record("product", str(n), f"01tWt{n:010}AAA", "settled")


def _shelves(rng: random.Random) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    for n in range(1, PRODUCTS + 1):
        for store in range(1, STORES + 1):
            row = {
                "product": str(n),
                "store": str(store),
                "on_hand": rng.randrange(0, 20) * 1_000,
                "reorder_point": None,
                "read_at": TODAY.timestamp(),
            }
            yield schema.shelf, row


def _people(
    state: State, vault: Vault, rng: random.Random, count: int
) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    first, last = _FIRST.split(), _LAST.split()
    for n in range(1, count + 1):
        till_id, crm_id = str(n), f"001Wt{n:010}AAA"
        one = (rng.choice(first), f"{rng.choice(last)} {n % 977}")
        email, phone = f"{one[0].lower()}{n}@mail.example", f"+316{rng.randrange(10_000_000, 99_999_999)}"
        person = Person(till_id, first=one[0], last=one[1], emails=(email,), phones=(phone,), city="Utrecht")
        standing = (
            "review"
            if n % 1_000 == 0
            else "problem"
            if n % 700 == 0
            else "conflict"
            if n % 900 == 0
            else "settled"
        )
        linked = n % 20 != 0 and standing != "review"
        yield (
            schema.till_person,
            {
                "till_id": till_id,
                "fields": vault.seal(msgspec.json.encode(person), f"till person {till_id}"),
            },
        )
        if linked:
            row = CrmPersonRow(
                id=crm_id,
                object="Account",
                first=one[0],
                last=one[1],
                emails=(email,),
                phones=(phone,),
                fields={"FirstName": one[0], "LastName": one[1], "PersonEmail": email},
            )
            sealed = vault.seal(msgspec.json.encode(row), f"person {crm_id}")
            yield schema.person, {"crm_id": crm_id, "object": "Account", "fields": sealed}
            for side in ("till", "crm"):
                fields = vault.seal(msgspec.json.encode(row.fields), f"shadow {till_id} {side}")
                yield schema.shadow, {"till_id": till_id, "side": side, "fields": fields, "moved_at": 0.0}
        detail = {"reason": "the same e-mail", "candidates": [{"crm_id": f"001Wt{n + 1:010}AAA"}]}
        yield (
            schema.verdict,
            {
                "till_id": till_id,
                "outcome": "review" if standing == "review" else "created",
                "rule": "email",
                "detail": vault.seal(msgspec.json.encode(detail), f"verdict {till_id}"),
                "made_at": float(n),
                "run": 1,
            },
        )
        yield _record(
            "customer",
            till_id,
            crm_id if linked else None,
            standing if linked or standing == "review" else "left_out",
        )
        if standing == "conflict":
            sealed = vault.seal(b'{"till":"a","crm":"b"}', f"conflict {till_id} LastName")
            yield (
                schema.conflict,
                {
                    "till_id": till_id,
                    "crm_id": crm_id,
                    "field": "LastName",
                    "state": "open",
                    "values": sealed,
                    "noticed_at": float(n),
                },
            )
    _ = state


def _sales(
    state: State, rng: random.Random, people: int, count: int
) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    tallies: dict[tuple[str, str, str, str], list[int]] = {}
    bought: set[tuple[str, str]] = set()
    first = TODAY - timedelta(days=DAYS)
    line_id = 0
    for n in range(1, count + 1):
        at = first + timedelta(days=DAYS) * (n / count)
        store = str(rng.randrange(1, STORES + 1))
        customer = str(1 + int(people * rng.random() ** 2)) if n % 3 else None
        kind = "Refund" if n % 25 == 0 else "Sale"
        sign = -1 if kind == "Refund" else 1
        lines = []
        for position in range(1 + n % 3):
            line_id += 1
            price = rng.randrange(10, 500) * 100 + 50
            lines.append(
                Line(
                    till_id=str(line_id),
                    position=position,
                    product=str(1 + int(PRODUCTS * rng.random() ** 2)),
                    seller=str(rng.randrange(1, EMPLOYEES + 1)),
                    original=str(line_id - 40) if sign < 0 and line_id > 40 else None,
                    units=sign * 1_000,
                    total=sign * price,
                    net=sign * round(price / 1.21),
                )
            )
        total, net = sum(each.total for each in lines), sum(each.net for each in lines)
        found = Receipt(
            till_id=str(n),
            ticket=f"2200{n:08}",
            store=store,
            day=at.date().isoformat(),
            at=at.timestamp(),
            status="voided" if n % 400 == 0 else "completed",
            type=kind,
            channel="Store",
            register=f"Till {store}",
            customer=customer,
            seller=lines[0].seller,
            units=sum(each.units for each in lines),
            total=total,
            tax=total - net,
            net=net,
            lines=tuple(lines),
        )
        header = msgspec.structs.asdict(found)
        header.pop("lines")
        yield schema.receipt, {**header, "read_at": at.timestamp()}
        for each in lines:
            yield schema.receipt_line, {"sale": found.till_id, **msgspec.structs.asdict(each)}
            yield _record(
                "line", each.till_id, f"a05Wt{each.till_id:0>10}AAA", "settled", parent=found.till_id
            )
        standing = "problem" if n % 5_000 == 0 else "waiting" if n % 1_500 == 0 else "settled"
        yield _record("sale", found.till_id, f"a06Wt{n:010}AAA", standing)
        if customer is not None and (customer, store) not in bought:
            bought.add((customer, store))
            yield schema.bought, {"customer": customer, "store": store, "noted_at": 0.0}
        for key, figures in figures_of(found):
            held = tallies.setdefault(key, [0] * len(figures))
            for at_figure, figure in enumerate(figures):
                held[at_figure] += figure
    sums = ("receipts", "refunds", "units", "total", "net", "refunded")
    for key, figures_held in tallies.items():
        named = dict(zip(("scope", "store", "period", "name"), key, strict=True))
        yield schema.tally, {**named, **dict(zip(sums, figures_held, strict=True))}
    _ = state


def _troubles(people: int) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    for n in range(1, 400):
        yield (
            schema.problem,
            {
                "kind": "customer" if n % 2 else "sale",
                "till_id": str(n * 700 % people + 1),
                "sale": None,
                "object": "Account",
                "cause": f"FIELD_CUSTOM_VALIDATION_EXCEPTION:Account:LastName:{n % 12}",
                "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                "message": "no such family",
                "fields": "LastName",
                "state": "retrying",
                "attempts": 1,
                "first_at": float(n),
                "last_at": float(n),
                "next_at": float(n),
            },
        )
    for n in range(1, 5_000):
        yield (
            schema.run,
            {
                "id": n,
                "job": "sync",
                "started_at": TODAY.timestamp() - n * 60,
                "ended_at": TODAY.timestamp() - n * 60 + 5,
                "outcome": "done",
                "counts": '{"created": 3}',
                "till_calls": 3,
                "crm_calls": 2,
            },
        )
    yield from _proofs(TODAY.date())


def _proofs(to: date) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
    figures = {"sales": 90, "voided": 0, "total": "9000.00", "payments": {"Cash": "9000.00"}}
    for n in range(1, 60):
        day = (to - timedelta(days=n)).isoformat()
        cells = [
            {"store": str(store), "day": day, "currency": "EUR", "till": figures, "crm": figures}
            for store in range(1, STORES + 1)
        ]
        body = {"cells": cells, "differences": [], "receipts": [], "content": True, "first": day, "last": day}
        yield (
            schema.certificate,
            {
                "made_at": TODAY.timestamp() - n * 86_400,
                "first": day,
                "last": day,
                "differences": 0,
                "body": msgspec.json.encode(body).decode(),
            },
        )


if __name__ == "__main__":
    os.environ.setdefault("TZ", "UTC")
    sys.exit(main())
