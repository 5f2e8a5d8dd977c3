"""A day whose calls are far short of what is wanted: receipts stay in time, the lower lanes slip in order."""

import random

from tillbridge.sync.budget import left_a_day, take, wanting
from tillbridge.sync.forecast import Plan, Survey, forecast
from tillbridge.sync.ledger import EMPTY
from tillbridge.sync.quota import DAY, HOUR, Asker, Caps, Granted, crm_calls
from tillbridge.sync.schedule import calls_with_news, paces, stretched

SHOP = Survey(
    stores=3,
    registers=3,
    customers=2_000,
    products=2_000,
    sales=10_000,
    sales_a_day=300,
    customers_a_day=20,
    open_hours=12,
)
OPENS, CLOSES = DAY + 8 * HOUR, DAY + 20 * HOUR


def test_with_a_third_of_the_calls_every_receipt_is_in_time_and_the_cap_holds():
    wants = {**forecast(SHOP, Plan()).wants(), "backfill": 1e9}
    cap = 0.3 * sum(calls for lane, calls in wants.items() if lane != "backfill")
    quota, pace = crm_calls(Caps(crm_calls_a_day=cap, crm_share=1)), paces(Plan().wishes)
    state = wanting(EMPTY, "shop", wants, 0)
    rung = sorted(random.Random(5).uniform(OPENS, CLOSES) for _ in range(300))
    # The lower lanes have had a day to eat what is not kept from them.
    for minute in range(0, int(DAY), 60):
        for lane in ("customers", "sweep", "backfill"):
            state, _ = take(state, quota, Asker("shop", lane), 1, float(minute))
    state = wanting(state, "shop", wants, DAY)
    there = left_a_day(state, quota, Asker("shop", "sales"), DAY)
    seconds = stretched(pace["sales"], there, lambda every: calls_with_news(12 * HOUR / every, 300))

    now, spent, waited, lower = OPENS, 0, [], {"customers": 0, "sweep": 0, "backfill": 0}
    while now < CLOSES + seconds:
        news = [at for at in rung if at <= now]
        if news:
            state, answer = take(state, quota, Asker("shop", "sales"), 1, now)
            if isinstance(answer, Granted):
                spent += 1
                waited += [now - at for at in news]
                rung = rung[len(news) :]
        for lane in lower:
            state, answer = take(state, quota, Asker("shop", lane), 1, now)
            lower[lane] += isinstance(answer, Granted)
        now += seconds

    assert [] == rung
    assert 60 < seconds < 120
    assert sorted(waited)[int(len(waited) * 0.95)] <= 120
    assert spent + sum(lower.values()) <= cap
    assert lower["backfill"] <= 4
    assert lower["sweep"] <= 4
