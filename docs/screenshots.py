"""Take a picture of every page of the console: light and dark, on a desk and in a hand, into docs/img.

`make screenshots` runs it. It starts the demo, the same jeweller each time, signs
in as its first administrator, and walks the table of routes, so that a new page
comes by itself. Pictures are WebP, which Chromium makes by itself.
"""
# ruff: noqa: INP001  A script beside the pages it illustrates, no package.

from __future__ import annotations

import argparse
import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "img"
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("web", "stories", "simulators", "connectors", "jobs")]

# The tests walk the same pages, and have a shop in which something goes wrong.
from test_people_browser import both_sides_move_veras_mail, stocked  # noqa: E402
from web_pages import PAGES, address_of, known_of, title_of  # noqa: E402
from web_served import Served  # noqa: E402

# The jeweller has no trouble: these show the tests' shop.
TROUBLED = frozenset(
    {
        "/c/{connection}/problems",
        "/c/{connection}/problems/of",
        "/c/{connection}/problems/{number}",
        "/c/{connection}/conflicts",
    }
)
PASSWORD = "quiet lamp over rivers"  # noqa: S105  Of a shop that is gone afterwards.
SIZES: Mapping[str, Any] = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
_LINK = re.compile(r"http://[^\s/]+/enter/\S+")
_STARTS_SECONDS = 600
# Charts draw themselves within this, and what comes live arrives.
_SETTLES_MS = 700
_QUALITY = 78
_BYTES_MAX = 150_000


def main() -> int:
    """Take all pictures, or those of pages whose address holds a word."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--only", default="", help="a part of the address, such as settings")
    asked.add_argument("--link", help="the one-time link of a demo that runs already")
    asked.add_argument("--customers", type=int, default=2_000)
    asked.add_argument("--sales", type=int, default=5_000)
    given = asked.parse_args()
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        sys.stderr.write("The pictures need Chromium. On Debian: apt-get install chromium\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    wanted = [path for path in PAGES if given.only in path]
    missing: list[str] = []
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, as in a container; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if troubled := [path for path in wanted if path in TROUBLED]:
            with _shop_in_trouble() as link:
                missing += _take_all(browser, link, troubled)
        if others := [path for path in wanted if path not in TROUBLED]:
            with _demo(given.link, given.customers, given.sales) as link:
                missing += _take_all(browser, link, others)
        browser.close()
    size = sum(path.stat().st_size for path in IMAGES.glob("*.webp"))
    sys.stdout.write(f"{len(list(IMAGES.glob('*.webp')))} pictures, {size / 1e6:.1f} MB\n")
    for path in missing:
        sys.stdout.write(f"nothing to show: {path}\n")
    return 0


@contextmanager
def _demo(link: str | None, customers: int, sales: int) -> Iterator[str]:
    """Serve the demo until its pictures are taken; yield the link that leads in."""
    if link:
        yield link
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from tillbridge.cli import main; main()", "demo", "--keep"]
        wishes = ["--home", f"{folder}/home", "--customers", str(customers), "--sales", str(sales)]
        Path(folder, "home").mkdir()
        demo = subprocess.Popen(  # noqa: S603  Ourselves.
            [*command, *wishes],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "400"},
        )
        try:
            yield _link_of(demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=60)


@contextmanager
def _shop_in_trouble() -> Iterator[str]:
    """Serve a shop with people whom Salesforce refuses, and one whom both sides have edited."""
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder), "sales_seconds = 2\ncustomers_seconds = 2", stocked)
        try:
            both_sides_move_veras_mail(served)
            yield served.link
        finally:
            served.close()


def _link_of(demo: subprocess.Popen[str]) -> str:
    """Read what the demo says until it names its link, and let it talk on."""
    assert demo.stdout is not None
    ends_at = time.monotonic() + _STARTS_SECONDS
    for line in demo.stdout:
        sys.stdout.write(line)
        if found := _LINK.search(line):
            threading.Thread(target=demo.stdout.read, daemon=True).start()
            return found[0]
        if time.monotonic() > ends_at:
            break
    raise SystemExit("The demo named no link to sign in by.")


def _take_all(browser: Browser, link: str, paths: Sequence[str]) -> list[str]:
    """Take the pictures of some pages; return those that have nothing to show."""
    base = link.partition("/enter/")[0]
    context = browser.new_context(base_url=base, viewport=SIZES["desktop"], reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    _sign_in(page, link)
    known = known_of(lambda address: page.request.get(address).json())
    camera = context.new_cdp_session(page)
    missing = [path for path in paths if not _take(page, camera, path, address_of(path, known))]
    context.close()
    return missing


def _sign_in(page: Page, link: str) -> None:
    """Use a link: the demo's leads in at once, the first one of another shop wants a name and a password."""
    page.goto(link)
    if page.get_by_label("Your name").count():
        page.get_by_label("Your name").fill("Ana Admin")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("The same once more").fill(PASSWORD)
    page.get_by_role("button").last.click()
    page.get_by_role("heading", level=1, name="Overview").wait_for()


def _take(page: Page, camera: Any, path: str, address: str) -> bool:
    """Take the four pictures of a page; False when there is nothing to show."""
    for theme in THEMES:
        page.set_viewport_size(SIZES["desktop"])
        answer = page.goto(address)
        if answer is None or answer.status != 200:
            return False
        if page.evaluate("localStorage.getItem('theme')") != theme:
            page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
            page.reload()
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            page.wait_for_timeout(_SETTLES_MS)
            target = IMAGES / f"{title_of(path)}-{theme}-{size}.webp"
            target.write_bytes(_shot(camera))
    return True


def _shot(camera: Any) -> bytes:
    for quality in (_QUALITY, 60, 40):
        shot = camera.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        data = base64.b64decode(shot["data"])
        if len(data) <= _BYTES_MAX:
            break
    return data


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Error as error:
        sys.exit(f"The browser said: {error}")
