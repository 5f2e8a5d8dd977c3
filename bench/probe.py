"""One measurement in a process of its own: `python -m bench.probe history '{"sales": 2000, …}'` prints JSON.

The process must start small: Linux hands a parent's peak memory on to its children.
"""

from __future__ import annotations

import importlib
import json
import sys

SERVICE = ("day", "kills", "backlog", "forced", "fleet", "idle")
MEASUREMENTS = ("history", "live", "people", "crash", "mistakes", "dedupe", *SERVICE)


def main() -> int:
    """Measure what was asked and print it."""
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    assert name in MEASUREMENTS, name
    measured = importlib.import_module(f"bench.{name}").measure(**arguments)
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
