"""`demo`: the whole product in a minute, against two simulated systems on this machine.

Install the package, load a jeweller's history, open for business and sync what
is rung up, then prove that both systems agree. Waits of both systems are
simulated; what people watch is real.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tillbridge.cli import words
from tillbridge.cli.desk import CONFIG_FILE, Desk, noted
from tillbridge.cli.proof import money, store_names, verdict
from tillbridge.installation import DEFAULT
from tillbridge.model.errors import ConfigurationInvalid, Halted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tillbridge.engine.certificate import Certificate
    from tillbridge.engine.connection import Connection
    from tillbridge.rehearsal import Rehearsal, World
    from tillbridge.store.service import Service
    from tillbridge.sync.certify import Cell, Totals
    from tillbridge.wiring import Parts

MODELS = ("person_account", "contact", "lead")

# Nine bursts, this far apart, are about twenty seconds of business.
_PAUSE_SECONDS = 2.0

# What is rung up while the service syncs is there by then, or is said not to be.
_ARRIVES_SECONDS = 20.0

_UNFINISHED = frozenset({"open", "left_out"})

# The last days that the table shows beside the totals, today among them.
_DAYS_SHOWN = 2


def run_demo(desk: Desk, home: Path | None, world: World, *, keep: bool, as_json: bool) -> int:
    """Run the demo and say how it went."""
    from tillbridge.installation import DATABASE_URL
    from tillbridge.wiring import alone

    # A demo stands in its own folder alone, also where the environment names a database.
    desk.env = {name: value for name, value in desk.env.items() if name != DATABASE_URL}
    begun = time.monotonic()
    screen = desk.screen
    with ExitStack() as stack:
        place = stack.enter_context(_home_of(desk, home))
        _title(
            screen.result,
            f"A jeweller with {words.several(world.shops, 'shop')}, "
            f"{words.number(world.customers)} customers "
            f"and {words.number(world.sales)} sales, in two simulated systems on this machine",
        )
        with screen.progress() as progress:
            bar = progress.bar("Starting both systems, with their past")
            rehearsal = stack.enter_context(_rehearsed(place, world))
            bar.close()
        locked = stack.enter_context(ExitStack())
        locked.enter_context(alone(place))
        play = _Play(desk, rehearsal)
        stack.callback(play.close)
        play.install_and_load()
        play.sell()
        certificate = play.prove()
        summary = play.summary(certificate)
        summary["seconds"] = round(time.monotonic() - begun, 1)
        summary["peak_memory_mb"] = _peak_memory_mb()
        if as_json:
            screen.document(summary)
        else:
            play.show_proof(certificate, summary)
        if keep:
            locked.close()  # From here on the service takes its turns.
            play.go_on(place)
        elif not as_json:
            screen.result.print("\n  Keep it running, selling and syncing:  tillbridge demo --keep\n")
    return int(summary["status"])


def _peak_memory_mb() -> float:
    """Return this process's own peak: the simulators are processes of their own."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1_048_576 if sys.platform == "darwin" else 1_024), 1)


@contextmanager
def _home_of(desk: Desk, home: Path | None) -> Iterator[Path]:
    """Return a fresh home directory: the one named, which is kept, or one that goes away again."""
    from tillbridge.store.database import FILE_NAME

    if home is not None:
        for name in (CONFIG_FILE, FILE_NAME):
            if (home / name).exists():
                reason = f"{home} holds a {name} already; the demo wants an empty directory of its own"
                raise ConfigurationInvalid([("--home", reason)])
        desk.home = home
        yield home
        return
    place = Path(tempfile.mkdtemp(prefix="tillbridge-demo-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _rehearsed(home: Path, world: World) -> Any:
    from tillbridge.rehearsal import rehearse

    return rehearse(home, world)


def _title(out: Console, text: str) -> None:
    out.print()
    out.print(text, style="bold")
    out.print()


class _Play:
    """The demo's acts, in their order."""

    def __init__(self, desk: Desk, rehearsal: Rehearsal) -> None:
        self._desk = desk
        self._rehearsal = rehearsal
        self._out = desk.screen.result
        self._past: Parts | None = None
        self._live: Parts | None = None
        self._figures: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._today: dict[str, date] = {}
        self._sold: Counter[str] = Counter()

    def close(self) -> None:
        """Let both homes go."""
        for parts in (self._past, self._live):
            if parts is not None:
                parts.close()

    # --- the history -------------------------------------------------------------------------

    def install_and_load(self) -> None:
        """Install the package and load the history, as history."""
        from tillbridge.engine.backfill import backfill
        from tillbridge.setup.package import assign, deploy_package
        from tillbridge.wiring import open_home

        with self._desk.screen.progress() as progress:
            parts = open_home(
                self._rehearsal.home,
                clock=self._rehearsal.clock,
                progress=progress,
                history=True,
                env=self._desk.env,
            )
            self._past = parts
            status = deploy_package(parts, progress, check_only=False)
            if not status.success:
                first = status.failures[0].problem if status.failures else status.error_message
                raise Halted(f"The simulated org refused the package: {first}")
            assign(parts)
            connection = parts.connect(fresh=True)
            till, crm = parts.till.calls, parts.crm.calls
            with noted(parts, "backfill") as counts:
                counts.update(backfill(connection))
        mails = sum(self._rehearsal.crm.control("GET", "automation").values())
        self._figures = {
            "history_lightspeed_calls": parts.till.calls - till,
            "history_salesforce_calls": parts.crm.calls - crm,
            "history_automations": mails,
        }
        self._out.print()
        self._say(f"Loaded: {words.counted(counts)}.")
        self._say(f"People: {words.people(counts)}.")
        self._say(
            f"It took {words.several(parts.till.calls - till, 'Lightspeed call')} and "
            f"{words.several(parts.crm.calls - crm, 'Salesforce call')}. Mails and tasks that the org's own "
            f"automation sent out for this history: {mails}."
        )

    # --- business ----------------------------------------------------------------------------

    def sell(self) -> None:
        """Open for business: ring up a burst, sync it, say what arrived; then the next."""
        from tillbridge.wiring import open_home

        _title(
            self._out, "Open for business: what is rung up is synced at once (calls: Lightspeed + Salesforce)"
        )
        self._live = open_home(self._rehearsal.home, clock=self._rehearsal.clock, env=self._desk.env)
        connection = self._live.connect()
        self._names = store_names(connection.around.stores.values(), connection.around.store_code)
        now = self._rehearsal.clock.now()
        self._today = {
            connection.around.store_code(store.id): now.astimezone(ZoneInfo(store.time_zone)).date()
            for store in connection.around.stores.values()
        }
        staff = _Staff(self._rehearsal, self._rehearsal.world.seed)
        for burst in staff.day():
            self._burst(self._live, connection, burst)
            self._desk.pause(_PAUSE_SECONDS)

    def _burst(
        self, parts: Parts, connection: Connection, burst: Callable[[], tuple[str, Sequence[int]]]
    ) -> None:
        from tillbridge.engine.sync import sync

        what, sales = burst()
        till, crm = parts.till.calls, parts.crm.calls
        with noted(parts, "sync") as counts:
            counts.update(sync(connection))
        spent = parts.till.calls - till, parts.crm.calls - crm
        self._sold["sales"] += len(sales)
        self._sold["bursts"] += 1
        self._sold["till"] += spent[0]
        self._sold["crm"] += spent[1]
        self._out.print(self._arrived(parts, what, [str(i) for i in sales], spent), soft_wrap=True)

    def _arrived(self, parts: Parts, what: str, sales: Sequence[str], spent: tuple[int, int] | None) -> Text:
        """Say which receipts of a burst Salesforce has confirmed."""
        from rich.text import Text

        known = parts.state.known("sale", sales)
        there = [i for i in sales if i in known and known[i].crm_id is not None]
        # A layaway or an unpaid basket is no receipt yet.
        unfinished = [i for i in sales if i in known and known[i].state in _UNFINISHED]
        missing = len(sales) - len(there) - len(unfinished)
        line = Text("  ")
        line.append("✗ " if missing else "✓ ", "red" if missing else "green")
        line.append(f"{self._rehearsal.clock.now():%H:%M:%S}  ", "dim")
        line.append(what.ljust(46))
        line.append(_receipts(there).ljust(26))
        if spent is not None:
            line.append(f"{spent[0]} + {spent[1]} calls".rjust(14), "dim")
        if unfinished:
            line.append(f"   {_receipts(unfinished)} not completed yet", "dim")
        return line

    def go_on(self, home: Path) -> None:
        """Go on selling until Ctrl-C, while the service syncs and the console shows it."""
        from tillbridge.cli.serve import run_beside

        assert self._live is not None
        bursts = _Staff(self._rehearsal, self._rehearsal.world.seed + 1).for_ever()
        _title(self._out, "Still open. Ctrl-C closes the shop.")
        self._say(f"Look in from another terminal:  tillbridge status --home {home}")
        self._desk.clock = self._rehearsal.clock
        run_beside(self._desk, home, lambda service: self._served(service, next(bursts)))
        self._out.print("\n  Closed.")

    def _served(self, service: Service, burst: Callable[[], tuple[str, Sequence[int]]]) -> None:
        """Ring up a burst, let the service know, and say what arrived."""
        assert self._live is not None
        what, sales = burst()
        ids = [str(i) for i in sales]
        for stream in ("sales", "customers"):
            service.wish(DEFAULT, "poll", stream, self._desk.clock.now().timestamp())
        until = time.monotonic() + _ARRIVES_SECONDS
        while time.monotonic() < until and not self._has_arrived(ids):
            time.sleep(0.1)
        self._out.print(self._arrived(self._live, what, ids, None), soft_wrap=True)
        self._desk.pause(_PAUSE_SECONDS)

    def _has_arrived(self, sales: Sequence[str]) -> bool:
        assert self._live is not None
        known = self._live.state.known("sale", sales)
        return all(i in known and (known[i].crm_id or known[i].state in _UNFINISHED) for i in sales)

    # --- the proof ---------------------------------------------------------------------------

    def prove(self) -> Certificate:
        """Read the till again, let Salesforce add up, and compare."""
        from tillbridge.engine.certificate import certify

        assert self._live is not None
        _title(self._out, "Do both systems agree? The till is read again, Salesforce adds up by itself")
        with self._desk.screen.progress() as progress:
            self._live.progress = progress
            connection = self._live.connect()
            with noted(self._live, "certify") as counts:
                certificate = certify(connection)
                counts["differences"] = len(certificate.differences)
        return certificate

    def summary(self, certificate: Certificate) -> dict[str, Any]:
        """Return the demo's figures."""
        assert self._past is not None
        assert self._live is not None
        both = (self._past, self._live)
        counts = self._live.state.count_states()
        refused = self._live.journal.count_open()
        fine = certificate.agrees and not refused and not self._figures["history_automations"]
        return {
            "model": self._rehearsal.world.model,
            "shops": self._rehearsal.world.shops,
            "customers": _in_crm(counts, "customer"),
            "customers_in_review": counts.get("customer", {}).get("review", 0),
            "products": _in_crm(counts, "product"),
            "sales": _in_crm(counts, "sale"),
            "lines": _in_crm(counts, "line"),
            "payments": _in_crm(counts, "payment"),
            "differences": len(certificate.differences),
            "refused": refused,
            **self._figures,
            "live_sales": self._sold["sales"],
            "live_bursts": self._sold["bursts"],
            "live_lightspeed_calls": self._sold["till"],
            "live_salesforce_calls": self._sold["crm"],
            "lightspeed_calls": sum(each.till.calls for each in both),
            "lightspeed_429s": sum(each.till.refused_429 for each in both),
            "salesforce_calls": sum(each.crm.calls for each in both),
            "status": words.DONE if fine else words.NEEDS_PERSON,
        }

    def show_proof(self, certificate: Certificate, summary: Mapping[str, Any]) -> None:
        """Print the proof and what it all took."""
        self._out.print()
        self._out.print(_table(certificate, self._names, self._today))
        self._out.print()
        line = verdict(certificate)
        line.pad_left(2)
        self._out.print(line, soft_wrap=True)
        self._say(
            f"In Salesforce now: {words.number(summary['sales'])} sales, {words.number(summary['lines'])} "
            f"lines, {words.number(summary['payments'])} payments, {words.number(summary['customers'])} "
            f"customers ({words.number(summary['customers_in_review'])} more for a person to decide)."
        )
        self._say(
            f"All of it took {words.number(summary['lightspeed_calls'])} Lightspeed and "
            f"{words.number(summary['salesforce_calls'])} Salesforce calls, {summary['seconds']:.0f} s, "
            f"{summary['peak_memory_mb']:.0f} MB."
        )

    def _say(self, line: str) -> None:
        self._out.print(f"  {line}", soft_wrap=True)


def _in_crm(counts: Mapping[str, Mapping[str, int]], kind: str) -> int:
    """Count what has landed: settled, or landed with a lookup still empty."""
    by_state = counts.get(kind, {})
    landed = ("settled", "waiting", "conflict") if kind == "sale" else ("settled", "conflict")
    return sum(by_state.get(state, 0) for state in landed)


def _receipts(ids: Sequence[str]) -> str:
    if not ids:
        return ""
    if len(ids) > 2 and int(ids[-1]) - int(ids[0]) == len(ids) - 1:
        return f"receipts {ids[0]} to {ids[-1]}"
    return f"receipt{'s' if len(ids) > 1 else ''} {', '.join(ids)}"


# --- the table -----------------------------------------------------------------------------------


def _table(certificate: Certificate, names: Mapping[str, str], today: Mapping[str, date]) -> Table:
    """Return both systems side by side: each store's sum of all days, then its last days."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    for title in ("Store", "Days"):
        table.add_column(title)
    columns = ("Receipts", "Lightspeed sales", "Salesforce sales", "Lightspeed paid", "Salesforce paid")
    for title in (*columns, "Difference"):
        table.add_column(title, justify="right")
    stores: dict[str, list[Cell]] = {}
    for cell in sorted(certificate.till.keys() | certificate.crm.keys()):
        stores.setdefault(cell.store_code, []).append(cell)
    for code, cells in stores.items():
        name = names.get(code, code)
        table.add_row("", Text(name, "bold"), *_row(certificate, cells, f"all {words.number(len(cells))}"))
        for cell in cells[-_DAYS_SHOWN:]:
            day = f"{cell.business_date}{' (today)' if cell.business_date == today.get(code) else ''}"
            table.add_row("", "", *_row(certificate, [cell], day))
    return table


def _row(certificate: Certificate, cells: Sequence[Cell], day: str) -> list[str | Text]:
    from rich.text import Text

    from tillbridge.sync.certify import NOTHING

    ours: Totals = sum((certificate.till.get(cell, NOTHING) for cell in cells), NOTHING)
    theirs: Totals = sum((certificate.crm.get(cell, NOTHING) for cell in cells), NOTHING)
    paid, paid_there = sum(ours.payments.values()), sum(theirs.payments.values())
    off = (ours.total - theirs.total) + (paid - paid_there)
    wrong = any(d.cell in cells for d in certificate.differences)
    difference = Text(money(off) if off else "≠" if wrong else "0.00", "red" if wrong or off else "green")
    return [
        day,
        words.number(ours.sales),
        money(ours.total),
        money(theirs.total),
        money(paid),
        money(paid_there),
        difference,
    ]


# --- the staff -----------------------------------------------------------------------------------


class _Staff:
    """What people do at the tills while we watch. Each act returns what it was and the receipts it made."""

    def __init__(self, rehearsal: Rehearsal, seed: int) -> None:
        self._till = rehearsal.till
        self._seed = seed
        self._chance = Random(seed)
        self._made: list[int] = []

    def day(self) -> Iterator[Callable[[], tuple[str, Sequence[int]]]]:
        """Return twenty seconds of business, in which everything happens once."""
        yield lambda: self._ring(3, kind="sale")
        yield lambda: self._ring(2)
        yield self._new_customer
        yield lambda: self._give_back(self._made[0])
        yield lambda: self._void(self._made[1])
        yield lambda: self._ring(1, "an exchange", kind="exchange")
        yield self._edit_customer
        yield lambda: self._ring(1, "a gift card sold", kind="gift_card")
        yield lambda: self._ring(5)

    def for_ever(self) -> Iterator[Callable[[], tuple[str, Sequence[int]]]]:
        """Return business without end."""
        while True:
            yield self._chance.choice(
                (
                    lambda: self._ring(self._chance.randint(1, 4)),
                    lambda: self._ring(1, kind="sale"),
                    lambda: self._ring(1, "a refund", kind="refund"),
                    self._new_customer,
                    self._edit_customer,
                )
            )

    def _ring(self, count: int, words_for: str = "", **wishes: Any) -> tuple[str, list[int]]:
        made = self._till.control("POST", "ring", {"count": count, **wishes})["saleIDs"]
        self._made += made
        what = words_for or ("a sale" if len(made) == 1 else f"{len(made)} sales")
        return what, made

    def _give_back(self, sale: int) -> tuple[str, list[int]]:
        found = self._till.control("POST", "ring-one", {"kind": "refund", "original": sale})
        return f"receipt {sale} brought back, refunded", [found["saleID"]]

    def _void(self, sale: int) -> tuple[str, list[int]]:
        self._till.control("POST", "void", {"saleID": sale, "reason": "wrong item"})
        return f"receipt {sale} voided", [sale]

    def _new_customer(self) -> tuple[str, list[int]]:
        first, last = self._chance.choice(_FIRST), self._chance.choice(_LAST)
        contact = {"Emails": {"ContactEmail": [{"address": _address(first, last), "useType": "Primary"}]}}
        fields = {"firstName": first, "lastName": last, "Contact": contact}
        customer = self._till.control("POST", "add", {"entity": "Customer", "fields": fields})["customerID"]
        made = self._till.control("POST", "ring", {"count": 1, "kind": "sale", "customerID": customer})
        self._made += made["saleIDs"]
        return f"a new customer ({customer}), and a first sale", made["saleIDs"]

    def _edit_customer(self) -> tuple[str, list[int]]:
        """Correct a phone number of somebody who bought just now, or of the first customer."""
        rows = self._till.control("GET", f"dump?entity=Sale&id={','.join(map(str, self._made))}")
        buyers = [row["customerID"] for row in rows if row["customerID"]] or [1]
        customer = self._chance.choice(buyers)
        phone = {"number": f"+32 470 00 {self._chance.randint(10, 99)} 00", "useType": "Mobile"}
        fields = {"Contact": {"Phones": {"ContactPhone": [phone]}}}
        self._till.control("POST", "edit", {"entity": "Customer", "id": customer, "fields": fields})
        return f"customer {customer} has another phone number", []


_FIRST = ("Linde", "Arno", "Mirte", "Joppe", "Febe", "Wout")
_LAST = ("Veldwachter", "Tinnegieter", "Zilversmet", "Klokkeluyder", "Perelaer", "Goudsblom")


def _address(first: str, last: str) -> str:
    return f"{first}.{last}@mail.example".lower()
