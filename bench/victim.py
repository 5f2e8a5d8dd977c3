"""A backfill in a process of its own, to be killed at any moment: `python -m bench.victim HOME TILL CRM`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from tillbridge.engine.backfill import backfill
from tillbridge.rehearsal import JumpingClock, Switchboard
from tillbridge.wiring import alone, open_home

READY = "ready"


def main() -> int:
    """Load on from wherever the last one was stopped, and say on stdout when the loading begins."""
    home, till, crm = Path(sys.argv[1]), Switchboard(sys.argv[2]), Switchboard(sys.argv[3])
    now = datetime.fromisoformat(till.control("GET", "clock")["now"])
    with alone(home):
        parts = open_home(home, clock=JumpingClock(now, [till, crm]), history=True)
        connection = parts.connect()
        print(READY, flush=True)
        backfill(connection)
    return 0


if __name__ == "__main__":
    sys.exit(main())
