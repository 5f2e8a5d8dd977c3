"""What the chain sells: a tree of categories, a few invented makers, and jewellery with believable prices.

Codes are as patchy as in life: every item has a system SKU, most have one of our own, some an UPC or EAN.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from tillbridge.simulators.retailer.plan import Plan, Row, Tables
from tillbridge.simulators.retailer.shops import LABOR_TAX_CLASS, SALES_TAX_CLASS

SKU_PREFIX, SKU_DIGITS = "21", 12
ZERO = Decimal(0)

# name, parent, custom SKU stem, price range, article
CATEGORIES: tuple[tuple[str, str, str, tuple[int, int], str], ...] = (
    ("Rings", "", "RNG", (80, 900), "ring"),
    ("Engagement", "Rings", "ENG", (900, 9500), "solitaire"),
    ("Wedding bands", "Rings", "WED", (300, 2400), "wedding band"),
    ("Necklaces", "", "NCK", (60, 1800), "necklace"),
    ("Pendants", "Necklaces", "PND", (45, 900), "pendant"),
    ("Earrings", "", "EAR", (30, 1200), "earrings"),
    ("Bracelets", "", "BRC", (40, 1500), "bracelet"),
    ("Charms", "Bracelets", "CHM", (15, 120), "charm"),
    ("Watches", "", "WCH", (120, 4800), "watch"),
    ("Straps", "Watches", "STR", (25, 160), "strap"),
    ("Care", "", "CAR", (8, 45), "polish kit"),
    ("Services", "", "SVC", (15, 180), "service"),
)
MAKERS = (
    "Halden",
    "Orvelle",
    "Castaly",
    "Brightwater",
    "Noor & Vale",
    "Tessarine",
    "Kestrel Watch Co.",
    "Maison Ellery",
)
METALS = (
    "9ct gold",
    "14K white gold",
    "18K yellow gold",
    "Sterling silver",
    "Platinum 950",
    "Rosé gold",
    "Steel",
)
STONES = (
    "diamond",
    "sapphire",
    "ruby",
    "emerald",
    "pearl",
    "moonstone",
    "topaz",
    "zirconia",
    "plain",
    "opal",
)
SIZES = ("", ' 16"', ' 18"', " S", " M", " L", ", 42 mm", ", size 52", ", 0.25ct", ", ½ ct")
SERVICES = ("Ring sizing", "Engraving", "Watch battery", "Rhodium plating", "Pearl restringing", "Valuation")
ODD_DESCRIPTIONS = (
    'Café crème <b>ring</b> & "bow"',
    "Lucky charm 🍀 “four-leaf”",
    "Chain, 18\" / 45cm; 100% recycled, it's light",
    "DO NOT SELL - display piece (ask Ilse) " + "x" * 180,
)


def stock_shelves(plan: Plan, rng: Random, shop_ids: list[int]) -> Tables:
    """Make Category, Manufacturer and Item, the items with their prices and stock per shop."""
    opened = plan.end.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(
        days=round(365 * plan.years) + 390
    )
    return {
        "Category": _categories(opened),
        "Manufacturer": [
            {"manufacturerID": number, "name": name, "createTime": opened, "timeStamp": opened}
            for number, name in enumerate(MAKERS, 1)
        ],
        "Item": [_item(item_id, plan, rng, shop_ids, opened) for item_id in range(1, plan.product_count + 1)],
    }


def system_sku(item_id: int) -> str:
    """Return the till's own number: "21" and the zero-padded itemID."""
    return SKU_PREFIX + str(item_id).zfill(SKU_DIGITS - len(SKU_PREFIX))


def _categories(opened: datetime) -> list[Row]:
    """Make a nested set: each category's left and right node enclose its children's."""
    ids = {name: number for number, (name, *_) in enumerate(CATEGORIES, 1)}
    rows: dict[str, Row] = {}
    node = 0

    def place(name: str, parent: str, depth: int, path: str) -> None:
        nonlocal node
        node += 1
        row = rows[name] = {
            "categoryID": ids[name],
            "name": name,
            "nodeDepth": depth,
            "fullPathName": path,
            "leftNode": node,
            "rightNode": 0,
            "createTime": opened,
            "timeStamp": opened,
            "parentID": ids.get(parent, 0),
        }
        for child, its_parent, *_ in CATEGORIES:
            if its_parent == name:
                place(child, name, depth + 1, f"{path}/{child}")
        node += 1
        row["rightNode"] = node

    for name, parent, *_ in CATEGORIES:
        if not parent:
            place(name, "", 0, name)
    return sorted(rows.values(), key=lambda row: row["categoryID"])


def _item(item_id: int, plan: Plan, rng: Random, shop_ids: list[int], opened: datetime) -> Row:
    category_id = 1 + (item_id - 1) % len(CATEGORIES)
    name, _, stem, price_range, article = CATEGORIES[category_id - 1]
    service = name == "Services"
    price = _price(rng, *price_range)
    cost = (price * Decimal(rng.randrange(30, 55)) / 100).quantize(Decimal("0.01"))
    created = opened + timedelta(seconds=rng.randrange(86_400 * 60))
    changed = created + timedelta(seconds=rng.randrange(max(1, int((plan.end - created).total_seconds()))))
    maker = 7 if name in {"Watches", "Straps"} else rng.choice((0, 1, 2, 3, 4, 5, 6, 8))
    return {
        "itemID": item_id,
        "systemSku": system_sku(item_id),
        "defaultCost": cost,
        "avgCost": cost,
        "discountable": not service,
        "tax": True,
        "archived": item_id % 41 == 0,
        "itemType": "non_inventory" if service else "default",
        "serialized": name == "Watches" and price > 2000,
        "description": _description(item_id, rng, article, service=service),
        "modelYear": 0,
        "upc": "" if service or rng.random() < 0.6 else _with_check_digit(f"0{rng.randrange(10**10):010d}"),
        "ean": "" if service or rng.random() < 0.7 else _with_check_digit(f"87{rng.randrange(10**10):010d}"),
        "customSku": "" if item_id % 11 == 0 else f"{stem}-{item_id:04d}{rng.choice(('', '', '-S', '-L'))}",
        "manufacturerSku": ""
        if not maker or rng.random() < 0.5
        else f"{MAKERS[maker - 1][:2].upper()}{rng.randrange(10**5):05d}",
        "createTime": created,
        "timeStamp": changed,
        "publishToEcom": rng.random() < 0.3,
        "categoryID": category_id if item_id % 53 else 0,
        "taxClassID": LABOR_TAX_CLASS if service else SALES_TAX_CLASS,
        "departmentID": 0,
        "itemMatrixID": 0,
        "manufacturerID": maker,
        "seasonID": 0,
        "defaultVendorID": 0,
        "Prices": [
            {"amount": price, "useTypeID": 1, "useType": "Default"},
            {"amount": (price * Decimal("1.1")).quantize(Decimal(1)), "useTypeID": 2, "useType": "MSRP"},
        ],
        "ItemShops": _stock(item_id, rng, shop_ids, cost, changed, counted=not service),
    }


def _description(item_id: int, rng: Random, article: str, *, service: bool) -> str:
    if service:
        return f"{rng.choice(SERVICES)} {item_id}"
    if item_id % 60 == 7:
        return ODD_DESCRIPTIONS[item_id // 60 % len(ODD_DESCRIPTIONS)]
    return f"{rng.choice(METALS)} {rng.choice(STONES)} {article}{rng.choice(SIZES)}"


def _price(rng: Random, low: int, high: int) -> Decimal:
    """Cheap pieces are commoner than dear ones, and most prices end in 9, .95 or .50."""
    whole = int(low * (high / low) ** rng.random())
    return Decimal(whole) + rng.choice((Decimal(0), Decimal("0.95"), Decimal("0.5"), Decimal(0)))


def _with_check_digit(digits: str) -> str:
    """Close a UPC (11 digits) or EAN (12 digits) with its check digit."""
    odd_weight_first = len(digits) % 2 == 1
    total = sum(int(d) * (3 if (n % 2 == 0) == odd_weight_first else 1) for n, d in enumerate(digits))
    return digits + str(-total % 10)


def _stock(
    item_id: int, rng: Random, shop_ids: list[int], cost: Decimal, at: datetime, *, counted: bool
) -> list[Row]:
    """One row a shop, after the row of shop 0, which is the sum of all shops."""
    first_id = (item_id - 1) * (len(shop_ids) + 1) + 1
    on_hand = [rng.choice((0, 1, 1, 2, 3, 5, 8, 14, -1)) if counted else 0 for _ in shop_ids]
    return [
        _item_shop(
            first_id + number, item_id, shop_id, qoh, cost, at, reorder=bool(shop_id) and item_id % 5 == 0
        )
        for number, (shop_id, qoh) in enumerate(zip([0, *shop_ids], [sum(on_hand), *on_hand], strict=True))
    ]


def _item_shop(
    row_id: int, item_id: int, shop_id: int, qoh: int, cost: Decimal, at: datetime, *, reorder: bool
) -> Row:
    return {
        "itemShopID": row_id,
        "qoh": qoh,
        "sellable": max(qoh, 0),
        "backorder": 0,
        "componentQoh": 0,
        "componentBackorder": 0,
        "onLayaway": 0,
        "onSpecialOrder": 0,
        "onWorkorder": 0,
        "onTransferOut": 0,
        "onTransferIn": 0,
        "averageCost": cost if qoh > 0 else ZERO,
        "reorderPoint": 2 if reorder else 0,
        "reorderLevel": 6 if reorder else 0,
        "timeStamp": at,
        "itemID": item_id,
        "shopID": shop_id,
    }
