"""How long the wizard takes from an empty folder to the first receipt: `python -m bench.setup`.

A browser goes the way that the tests go, without a person's pauses. What is
printed is the time on the wall, and the CPU seconds of the service within it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
# The way itself is the tests': what is measured is what is shown to work.
sys.path[:0] = [str(TESTS / each) for each in ("web", "stories", "jobs", "simulators")]

from browsing import a_browser, become_the_first  # type: ignore[import-not-found]  # noqa: E402  Found by this.
from setup_served import EmptyServed  # type: ignore[import-not-found]  # noqa: E402
from setup_walk import FIRST_PAGE, walk  # type: ignore[import-not-found]  # noqa: E402

SECONDS_MAX = 60.0
_FIRST_CPU = 13  # The field of /proc/PID/stat that holds what was used in user mode; the next: in the kernel.


def measure(folder: Path) -> tuple[float, float]:
    """Return seconds on the wall and the service's CPU seconds, from the first click to the first receipt."""
    served = EmptyServed(folder)
    try:
        with a_browser() as browser:
            page = browser.new_context(base_url=served.url).new_page()
            become_the_first(page, served.link, FIRST_PAGE)
            used, begun = _cpu(served.process.pid), time.monotonic()
            walk(page, served)
            seconds = time.monotonic() - begun
            used = _cpu(served.process.pid) - used
    finally:
        served.close()
    return seconds, used


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[_FIRST_CPU - 2 : _FIRST_CPU]) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print."""
    asked = argparse.ArgumentParser(prog="python -m bench.setup", description=__doc__)
    asked.add_argument("--runs", type=int, default=1)
    runs = asked.parse_args().runs
    worst = 0.0
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
            seconds, used = measure(Path(folder))
        worst = max(worst, seconds)
        print(f"from the first click to the first receipt: {seconds:.1f} s, service {used:.1f} s of CPU")
    return int(worst > SECONDS_MAX)


if __name__ == "__main__":
    sys.exit(main())
