"""What /metrics and the log show of a service at work: how fresh, what was spent and is left; no names."""

import json

import pytest
from prometheus_client import generate_latest
from served_shop import Shop
from world import World

from tillbridge import logs
from tillbridge.metrics import Meters

OPEN = '[schedule]\nopening_hours = ["Mon-Sun 00:00-24:00"]\n'


class NoJobs:
    """A queue that stands empty."""

    def jobs(self):
        return []


@pytest.fixture
def shop(tmp_path):
    world = World(tmp_path).install()
    world.shop("High Street", "Europe/London")
    world.employee("Kim", "Seller")
    world.configure(toml=OPEN)
    made = Shop(world)
    made.meters = Meters(made.service, NoJobs(), lambda: made.now, dead_after=30.0)
    made.workshop._watcher = made.meters
    made.run_due()
    yield made
    made.close()
    world.close()


def shown(shop):
    """Return what is shown: name and labels to value."""
    lines = generate_latest(shop.meters.registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def number(shop, name):
    return float(shown(shop).get(name, 0))


def test_a_receipt_counts_by_stage_call_and_lane(shop):
    product, customer = shop.world.item(), shop.world.customer("Ana", "Silva")
    shop.slice("products")
    shop.slice("customers")
    before = shown(shop)
    shop.world.ring(product, customer=customer)
    shop.world.pass_time(seconds=30)

    shop.slice("sales")

    def more(name):
        return number(shop, name) - float(before.get(name, 0))

    for stage in ("seen", "decided", "sent", "confirmed", "total"):
        count = f'tillbridge_freshness_seconds_count{{connection="default",kind="sale",stage="{stage}"}}'
        assert 1 == more(count), stage
    whole = 'tillbridge_freshness_seconds_sum{connection="default",kind="sale",stage="total"}'
    assert 30 <= more(whole) <= 32
    assert 1 == more('tillbridge_calls_total{endpoint="composite",remote="crm"}')
    assert 1 == more('tillbridge_spent_total{connection="default",lane="sales",quota="crm"}')
    assert 0 == more('tillbridge_spent_total{connection="default",lane="customers",quota="crm"}')


def test_what_is_left_of_each_window_is_shown(shop):
    found = shown(shop)
    left = {name: float(value) for name, value in found.items() if name.startswith("tillbridge_budget_left{")}
    day = next(value for name, value in left.items() if "calls" in name and 'window="day"' in name)

    assert 0 < day < 42_000
    assert any('window="bucket"' in name for name in left)


def test_a_stream_that_waits_for_calls_shows_as_paused(shop):
    name = 'tillbridge_stream_paused{connection="default",kind="poll",stream="customers"}'
    before = number(shop, name)
    shop.world.configure(toml=f"{OPEN}[budget]\nsalesforce_calls_a_day = 1\n")

    shop.slice("customers")

    assert (0, 1) == (before, number(shop, name))


def test_refusals_count_by_cause_and_are_gone_when_they_are(shop):
    world = shop.world
    world.refuse("Account", "LastName", "Silva", "nobody of that name")
    world.customer("Ana", "Silva")
    shop.slice("customers")
    shop.slice("notify")
    shown_now = {n: float(v) for n, v in shown(shop).items() if n.startswith("tillbridge_problems{")}
    world.org.validations.clear()
    world.pass_time(hours=4)
    shop.slice("replay")
    shop.slice("notify")

    assert 1 == sum(shown_now.values())
    assert all("FIELD_CUSTOM_VALIDATION" in name for name in shown_now)
    assert 0 == sum(float(v) for n, v in shown(shop).items() if n.startswith("tillbridge_problems{"))


def test_no_label_and_no_line_of_the_log_names_anybody(shop):
    world = shop.world
    logs.configure(world.home, {})
    customer = world.customer("Mirte", "Perelaer", email="mirte@mail.example", mobile="+31612345678")
    world.refuse("Account", "LastName", "Perelaer", "no Perelaer in this shop")
    world.ring(world.item(), customer=customer)
    for name in ("products", "customers", "sales", "notify"):
        shop.slice(name)

    log = (world.home / logs.FILE_NAME).read_text(encoding="utf-8")
    page = generate_latest(shop.meters.registry).decode()
    for word in ("Mirte", "Perelaer", "mail.example", "31612345678", "demo-secret", "demo-refresh"):
        assert word not in log
        assert word not in page


def test_every_line_of_a_slice_says_which_connection_and_job(shop):
    logs.configure(shop.world.home, {})
    shop.world.ring(shop.world.item())
    shop.slice("sales")

    lines = [json.loads(line) for line in (shop.world.home / logs.FILE_NAME).read_text().splitlines()]
    assert lines
    assert {"default"} == {line.get("connection") for line in lines}
    assert all(line["job"].startswith("default/poll/sales/") for line in lines)
