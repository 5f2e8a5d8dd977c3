"""`tillbridge serve` over two simulators, and a real browser in front of it."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from job_plant import until
from world import World

COMMAND = [sys.executable, "-c", "from tillbridge.cli import main; main()"]
CHROMIUM = Path("/usr/bin/chromium")
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Names as they come: a script, markup, quotes, another script's letters.
HOSTILE = (
    ("<script>window.broken = 1</script>", "Lind"),
    ('"><img src=x onerror="window.broken = 1">', "O'Neil"),
    ("{{ 7 * 7 }}", "<b>Silva</b>"),
)


class Served:
    """Two shops with customers and sales that a service has read, and its console."""

    def __init__(self, folder, schedule="sales_seconds = 2", before=lambda served: None):
        self.world = world = World(folder, toml=f"[schedule]\n{schedule}")
        world.wait_until(datetime.now(UTC).isoformat())
        world.sim_clock.run(True)
        self.stores = {name: world.shop(name, "Europe/London") for name in ("High Street", "Harbour")}
        world.employee("Kim", "Seller")
        product = world.item()
        self.people = [
            world.customer(*name, email=f"person{n}@example.com")
            for n, name in enumerate((*HOSTILE, ("Ana", "Silva"), ("Bo", "Lindqvist")))
        ]
        self.sales = {
            name: world.ring(product, customer=self.people[n], shopID=shop)
            for n, (name, shop) in enumerate(self.stores.items())
        }
        before(self)
        world.install()
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--home", str(world.home), "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if key != "TILLBRIDGE_LOG"},
            text=True,
        )
        told = [self.process.stderr.readline() for _ in range(3)]
        assert "/enter/" in told[2], told
        self.url = re.search(r"http://127\.0\.0\.1:\d+", told[0])[0]
        self.link = told[2].strip()
        until(lambda: len(world.rows("Sales_Transaction__c")) == len(self.sales), "the sales are there")
        until(lambda: len(world.rows("Account")) >= len(self.people), "the customers are there")

    def codes(self):
        """The stores' codes by their names, as users are limited to them."""
        return {row["Name"]: row["Store_Code__c"] for row in self.world.rows("Retail_Store__c").values()}

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)
        self.process.stderr.close()
        self.world.close()


def violations(page):
    """What axe finds wrong with a page, in words that lead to the place."""
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    return [
        f"{page.url} {each['id']}: {each['help']}: {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
