"""Serve a simulated org on a port of its own: `python -m tillbridge.simulators.salesforce --port 0`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tillbridge.simulators import retailer
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.salesforce import build


def main(argv: Sequence[str] | None = None) -> int:
    """Build the org, say where it is, and serve until interrupted."""
    args = _arguments(argv)
    now = datetime.fromisoformat(args.now).astimezone(UTC)
    clock = SimClock(now.timestamp(), running=not args.frozen_clock)
    switches: dict[str, Any] = {"person_accounts": args.model == "person_account"}
    plan = retailer.Plan(
        seed=args.seed,
        shops=args.shops,
        customers=args.customers,
        sales=args.sales,
        end=now,
        crm_model=args.model,
    )
    key = Path(args.public_key).read_text(encoding="utf-8") if args.public_key else None
    app = build(None if args.empty else plan, clock=clock, switches=switches, public_key_pem=key)
    server = Server(app, port=args.port)
    sys.stdout.write(f"ready {server.url}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tillbridge simulate salesforce", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--sales", type=int, default=5_000)
    parser.add_argument("--shops", type=int, default=3)
    parser.add_argument("--model", choices=("person_account", "contact", "lead"), default="person_account")
    parser.add_argument(
        "--now", default="2026-11-20T15:00:00+00:00", help="the world's moment, ISO with an offset"
    )
    parser.add_argument("--frozen-clock", action="store_true", help="the clock moves only by the control API")
    parser.add_argument("--empty", action="store_true", help="an org without a retailer's rows")
    parser.add_argument("--public-key", help="PEM file of the integration's certificate, for the JWT flow")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
