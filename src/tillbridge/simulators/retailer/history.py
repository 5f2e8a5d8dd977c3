"""Two years of trading: when people came, what kind of sale each was, and the tables it left behind.

December is busy, Sundays are quiet, shops trade by their own clocks. Every kind of sale happens at least once
in a world of a few dozen sales; the rest follows believable shares.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from tillbridge.simulators.retailer.plan import Plan, Tables
from tillbridge.simulators.retailer.shopkeeper import KINDS, Effect, Shopkeeper

# Shares in thousandths of all sales; the plain sale takes what is left.
SHARES = {
    "discount": 70,
    "discount_all": 30,
    "free": 3,
    "refund": 28,
    "partial_refund": 14,
    "blind_refund": 7,
    "exchange": 14,
    "gift_card": 16,
    "gift_redeem": 13,
    "deposit": 7,
    "credit_use": 7,
    "layaway": 9,
    "layaway_pickup": 8,
    "special_order": 3,
    "misc": 16,
    "tax_free": 8,
    "tip": 9,
    "two_tenders": 28,
    "paid_again": 7,
    "change": 60,
    "ecom": 25,
    "backdated": 6,
    "void": 9,
    "open": 5,
    "open_empty": 4,
    "open_paid": 5,
    "cancelled": 11,
}
MONTH_WEIGHTS = (7, 11, 8, 8, 12, 10, 8, 8, 8, 9, 12, 24)
WEEKDAY_WEIGHTS = (7, 7, 8, 9, 12, 15, 4)
OPENS_AT, PEAK_AT, CLOSES_AT = 9.5, 15.0, 19.5  # local hours
# Now and then a shop stays open past midnight, which is what the cut-off of a business day is for.
LATE_SHARE, LATE_FROM, LATE_UNTIL = 0.006, 22.5, 26.0
LATEST_SECONDS = 120  # nothing is rung up in the last two minutes: "now" belongs to the live shop

_ID_FIELDS = {"CreditAccount": "creditAccountID", "SaleLine": "saleLineID", "SaleVoid": "saleVoidID"}


def trade(plan: Plan, seed: str, till: Tables, home_shop: dict[int, int]) -> None:
    """Fill Sale, SaleLine, SaleVoid and CreditAccount of a till that has everything else."""
    rng = Random(f"{seed}/history")
    ids: Counter[str] = Counter()

    def next_id(table: str) -> int:
        ids[table] += 1
        return ids[table]

    keeper = Shopkeeper(till, seed, next_id, home_shop=home_shop)
    books = _Books(till)
    must = _musts(plan)
    shop_ids = tuple(row["shopID"] for row in till["Shop"])
    drawn = rng.choices([*SHARES, "sale"], [*SHARES.values(), 1000 - sum(SHARES.values())], k=plan.sales)
    for number, ((at, visited), chance) in enumerate(zip(_visits(plan, rng, till), drawn, strict=True)):
        shop_id = visited
        kind = chance if keeper.can(chance, shop_id) else "sale"
        # From the first third on, each kind that has not happened yet gets its turn as soon as it can; near
        # the end in another shop, if need be.
        if must and number * 3 >= plan.sales:
            anywhere = shop_ids if number * 3 >= plan.sales * 2 else ()
            kind, shop_id = _due(keeper, must, (shop_id, *anywhere)) or (kind, shop_id)
        try:
            sale = keeper.sale(at, kind=kind, shopID=shop_id, voided_at=_void_time(rng, plan, at, kind))
        except LookupError:
            if kind in must:
                must[kind] = must.pop(kind)  # Later; the others have their turn first.
            kind = "sale"  # Nothing left to give back, or nobody known yet: somebody simply buys.
            sale = keeper.sale(at, shopID=shop_id)
        must.pop(kind, None)
        till["Sale"].append(sale)
        for effect in keeper.take_effects():
            books.enter(effect)
    books.close()
    _last_seen(till)


class _Books:
    """Applies a shopkeeper's effects to plain tables."""

    def __init__(self, till: Tables) -> None:
        self._till = till
        self._rows = {
            name: {row[key]: row for row in till.setdefault(name, [])} for name, key in _ID_FIELDS.items()
        }
        self._rows["Customer"] = {row["customerID"]: row for row in till["Customer"]}

    def enter(self, effect: Effect) -> None:
        """Add, change or remove one row."""
        rows = self._rows[effect.table]
        if effect.fields is None:
            del rows[effect.row_id]
        elif effect.row_id in rows:
            fields = dict(effect.fields)
            if effect.table == "Customer":  # An edit after that visit keeps its later stamp.
                fields["timeStamp"] = max(fields["timeStamp"], rows[effect.row_id]["timeStamp"])
            rows[effect.row_id].update(fields)
        else:
            rows[effect.row_id] = dict(effect.fields)

    def close(self) -> None:
        """Write the tables back in order of their ids."""
        for name in _ID_FIELDS:
            self._till[name] = [row for _, row in sorted(self._rows[name].items())]


def _musts(plan: Plan) -> dict[str, None]:
    """Every kind, the ones that others depend on first. An ordered set."""
    first = ("sale", "gift_card", "deposit", "layaway")
    return dict.fromkeys((*first, *KINDS)) if plan.sales >= len(KINDS) else {}


def _due(keeper: Shopkeeper, must: dict[str, None], shop_ids: tuple[int, ...]) -> tuple[str, int] | None:
    """Find a kind that has not happened yet and a shop that can do it now."""
    return next(((kind, shop) for kind in must for shop in shop_ids if keeper.can(kind, shop)), None)


def _visits(plan: Plan, rng: Random, till: Tables) -> list[tuple[datetime, int]]:
    """Draw (moment, shop) of every sale, in order of time."""
    days = max(1, round(plan.years * 365))
    last_day = plan.end.date()
    calendar = [last_day - timedelta(days=n) for n in range(days)]
    weights = [MONTH_WEIGHTS[day.month - 1] * WEEKDAY_WEIGHTS[day.weekday()] for day in calendar]
    shops = [(row["shopID"], ZoneInfo(row["timeZone"])) for row in till["Shop"]]
    latest = plan.end - timedelta(seconds=LATEST_SECONDS)
    midnights: dict[tuple[int, int], datetime] = {}
    visits = []
    for day_index in rng.choices(range(days), weights, k=plan.sales):
        # The first shop is the busiest.
        shop_id, zone = shops[int(len(shops) * rng.random() ** 1.25)]
        key = (day_index, shop_id)
        if key not in midnights:
            day = calendar[day_index]
            midnights[key] = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        late = rng.random() < LATE_SHARE
        hour = rng.uniform(LATE_FROM, LATE_UNTIL) if late else rng.triangular(OPENS_AT, CLOSES_AT, PEAK_AT)
        at = midnights[key] + timedelta(seconds=int(hour * 3600))
        while at > latest:
            at -= timedelta(days=1)
        visits.append((at, shop_id))
    visits.sort()
    return visits


def _void_time(rng: Random, plan: Plan, at: datetime, kind: str) -> datetime | None:
    """Most voids follow within minutes, some days later."""
    if kind != "void":
        return None
    minutes = rng.randrange(1, 90) if rng.random() < 0.7 else rng.randrange(600, 8000)
    return min(at + timedelta(minutes=minutes), plan.end - timedelta(seconds=30))


def _last_seen(till: Tables) -> None:
    """Write into each employee's row their last sale; the stamp moves as they work (fact sheet A8.7)."""
    staff = {row["employeeID"]: row for row in till["Employee"]}
    for sale in till["Sale"]:
        row = staff[sale["employeeID"]]
        row["lastSaleID"], row["lastShopID"], row["lastRegisterID"] = (
            sale["saleID"],
            sale["shopID"],
            sale["registerID"],
        )
        row["timeStamp"] = sale["updatetime"]
