"""Run a simulated Lightspeed account in a process of its own.

Prints `ready http://…` once it serves, and ends at once on SIGTERM.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from datetime import UTC, datetime

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.lightspeed import build
from tillbridge.simulators.retailer import Plan


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop."""
    wish = _parser().parse_args(argv)
    now = datetime.fromisoformat(wish.now) if wish.now else datetime.now(UTC).replace(microsecond=0)
    if now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    clock = SimClock(now.timestamp(), running=not wish.frozen_clock)
    app = build(
        None if wish.empty else _plan(wish, now),
        clock=clock,
        account_id=wish.account_id,
        registers=wish.registers,
        client_id=wish.client_id,
        client_secret=wish.client_secret,
        refresh_token=wish.refresh_token,
    )
    gc.freeze()  # The rows stay for ever; looking through them again and again only costs time.
    clock.set(now.timestamp())  # Opening the shop took real time; the world's day starts now.
    server = Server(app, wish.port)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"ready {server.url}", flush=True)  # noqa: T201  The line a starter waits for.
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


def _plan(wish: argparse.Namespace, now: datetime) -> Plan:
    return Plan(
        seed=wish.seed,
        shops=wish.shops,
        customers=wish.customers,
        sales=wish.sales,
        end=now,
        years=wish.years,
        crm_model=wish.crm_model,
        account_id=wish.account_id,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tillbridge simulate lightspeed", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--sales", type=int, default=5000)
    parser.add_argument("--shops", type=int, default=3)
    parser.add_argument("--years", type=float, default=2.0)
    parser.add_argument(
        "--crm-model", default="person_account", choices=("person_account", "contact", "lead")
    )
    parser.add_argument("--now", help="the world's time at the start (ISO 8601); default: now")
    parser.add_argument("--frozen-clock", action="store_true", help="the clock moves only when told to")
    parser.add_argument("--empty", action="store_true", help="an account without history")
    parser.add_argument("--registers", type=int, help="the subscription's register limit")
    parser.add_argument("--account-id", type=int, default=190001)
    parser.add_argument("--client-id", default="demo-client")
    parser.add_argument("--client-secret", default="demo-secret")
    parser.add_argument("--refresh-token", default="demo-refresh")
    return parser


if __name__ == "__main__":
    sys.exit(main())
