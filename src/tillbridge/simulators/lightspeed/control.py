"""The control API of this simulator: ring up, void, edit, merge, switch, and look inside.

Paths below /control/ that the HTTP face does not answer itself. Everything is
JSON; what cannot be done is 400 with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.lightspeed.limits import Usage
from tillbridge.simulators.lightspeed.schema import ENTITIES, Row
from tillbridge.simulators.lightspeed.tables import World
from tillbridge.simulators.lightspeed.wire import plain, read_decimal, read_time

if TYPE_CHECKING:
    from tillbridge.simulators.lightspeed.app import LightspeedApp

Action = Callable[["LightspeedApp", dict[str, Any]], Any]


def handle(request: Request, app: LightspeedApp) -> Response:
    """Answer one control request."""
    name = request.path.removeprefix("/control/")
    known = READS if request.method == "GET" else ACTIONS if request.method == "POST" else {}
    if name not in known:
        return Response.of({"error": f"there is no {request.method} /control/{name}"}, 404)
    try:
        wish = _wish(request)
        return Response.of(shown(known[name](app, wish)))
    except Refused as refused:
        return Response.of({"error": refused.message}, refused.status)
    except KeyError as missing:
        return Response.of({"error": f"{missing} is missing or unknown"}, 400)
    except (ValueError, TypeError, LookupError) as error:
        return Response.of({"error": str(error)}, 400)


def _wish(request: Request) -> dict[str, Any]:
    wish = dict(request.query) if request.method == "GET" else request.json() or {}
    if not isinstance(wish, dict):
        raise Refused(400, "A control request is a JSON object.")
    return wish


def shown(value: Any) -> Any:
    """Return a value in plain JSON types: amounts as decimal strings, times as ISO texts."""
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return value.isoformat()
        case dict():
            return {str(k): shown(v) for k, v in value.items()}
        case list() | tuple():
            return [shown(v) for v in value]
    return value


# ---- what can be done ----


def _ring(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    wishes = _wishes(app, wish)
    count = int(wishes.pop("count", 1))
    sale_ids, stopped_by = app.floor.ring(count, **wishes)
    return {"saleIDs": sale_ids, **({"stopped_by": stopped_by} if stopped_by else {})}


def _ring_one(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    sale = app.floor.ring_one(**_wishes(app, wish.get("wishes", wish)))
    return {"saleID": sale["saleID"], "sale": sale}


def _wishes(app: LightspeedApp, wish: dict[str, Any]) -> dict[str, Any]:
    wishes = dict(wish)
    for name in ("at", "complete_at", "voided_at"):
        if wishes.get(name):
            wishes[name] = read_time(wishes[name])
    if isinstance(wishes.get("original"), int):
        wishes["original"] = app.world["Sale"].rows[wishes["original"]]
    if wishes.get("amount") is not None:
        wishes["amount"] = read_decimal(wishes["amount"])
    if wishes.get("lines") is not None:
        wishes["lines"] = [
            (int(item), int(quantity), read_decimal(price) if price is not None else None)
            for item, quantity, price in wishes["lines"]
        ]
    return wishes


def _void(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.void(int(wish["saleID"]), wish.get("reason", ""), _moment(wish.get("at")))


def _refund(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    sale = app.floor.refund(int(wish["saleID"]), wish.get("lines"))
    return {"saleID": sale["saleID"], "sale": sale}


def _edit(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.edit(_entity(wish), int(wish["id"]), _fields(wish))


def _add(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.add(_entity(wish), _fields(wish))


def _merge(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.merge(int(wish["keep"]), int(wish["lose"]))


def _archive(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.archive(_entity(wish), int(wish["id"]))


def _delete_line(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.delete_line(int(wish["saleLineID"]))


def _backdate(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    return app.floor.backdate(int(wish["saleID"]), read_time(wish["completeTime"]))


def _set_switches(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    app.world.switches.set(wish)
    return app.world.switches.read()


def _entity(wish: dict[str, Any]) -> str:
    entity = str(wish["entity"])
    if entity not in ENTITIES:
        raise Refused(400, f"There is no entity {entity}.")
    return entity


def _fields(wish: dict[str, Any]) -> Row:
    fields = wish["fields"]
    if not isinstance(fields, dict):
        raise Refused(400, "fields must be an object.")
    return fields


def _moment(text: str | None) -> datetime | None:
    return read_time(text) if text else None


# ---- what can be looked at ----


def _dump(app: LightspeedApp, wish: dict[str, Any]) -> Any:
    rows: Iterable[Row] = app.world[_entity(wish)]
    if "id" in wish:
        rows = app.world.rows(_entity(wish), [int(i) for i in wish["id"].split(",")])
    return list(rows)


def _totals(app: LightspeedApp, _wish: dict[str, Any]) -> Any:
    return totals(app.world)


def _rows(app: LightspeedApp, _wish: dict[str, Any]) -> Any:
    return {entity: len(app.world[entity]) for entity in ENTITIES}


def _usage(app: LightspeedApp, _wish: dict[str, Any]) -> Any:
    return app.meter.report(app.clock.now())


def _forget_usage(app: LightspeedApp, _wish: dict[str, Any]) -> Any:
    app.meter.usage = Usage()
    return app.meter.report(app.clock.now())


def _switches(app: LightspeedApp, _wish: dict[str, Any]) -> Any:
    return app.world.switches.read()


def totals(world: World) -> list[dict[str, Any]]:
    """Sum the sales that count, by shop and its local day, from the rows (A9: completed, not voided)."""
    zones = {shop["shopID"]: ZoneInfo(shop.get("timeZone") or "UTC") for shop in world["Shop"]}
    sums: dict[tuple[int, str], dict[str, Any]] = {}
    for sale in world["Sale"]:
        if not sale["completed"] or sale["voided"]:
            continue
        zone = zones.get(sale["shopID"], UTC)
        day = sale["completeTime"].astimezone(zone).date().isoformat()
        row = sums.setdefault(
            (sale["shopID"], day),
            {"count": 0, "net": Decimal(0), "tax": Decimal(0), "total": Decimal(0)},
        )
        row["count"] += 1
        row["net"] += sale["calcSubtotal"] - sale["calcDiscount"]
        row["tax"] += sale["calcTax1"] + sale["calcTax2"]
        row["total"] += sale["total"]
    return [{"shopID": shop_id, "day": day, **row} for (shop_id, day), row in sorted(sums.items())]


ACTIONS: dict[str, Action] = {
    "ring": _ring,
    "ring-one": _ring_one,
    "void": _void,
    "refund": _refund,
    "edit": _edit,
    "add": _add,
    "merge": _merge,
    "archive": _archive,
    "delete-line": _delete_line,
    "backdate": _backdate,
    "switches": _set_switches,
    "forget-usage": _forget_usage,
}
READS: dict[str, Action] = {
    "dump": _dump,
    "rows": _rows,
    "totals": _totals,
    "usage": _usage,
    "switches": _switches,
}
