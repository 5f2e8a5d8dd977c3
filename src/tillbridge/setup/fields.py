"""The field map as people edit it: each line with real rows of both sides, and what is wrong with it.

Rows are looked at, not kept: they live in this process for some minutes. A line
is checked three times over: whether it can be read at all, whether the org has
such a field and lets us write it, and whether what real rows give fits its type.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, get_args, get_origin

import msgspec

from tillbridge import config as configuration
from tillbridge.connectors.salesforce import soql
from tillbridge.engine.connection import Settings
from tillbridge.engine.directory import Directory, home_region, kept_directory, read_directory, surroundings
from tillbridge.engine.preflight import mistakes_of
from tillbridge.model.catalog import employee_facts, stock_facts, store_facts
from tillbridge.model.customer import CustomerFacts, customer_facts
from tillbridge.model.errors import BadRequest, ConfigurationInvalid
from tillbridge.model.reading import Query
from tillbridge.model.sale import BuyerStanding, Ref, Surroundings, line_facts, payment_facts, sale_facts
from tillbridge.model.writing import FieldFacts, ObjectFacts
from tillbridge.setup import steps
from tillbridge.setup.setups import Setups
from tillbridge.sync.fieldmap import SOURCES, FieldMap, FieldMaps, compile_maps
from tillbridge.sync.fit import fit
from tillbridge.sync.functions import FUNCTIONS
from tillbridge.sync.presets import preset_table
from tillbridge.wiring import Parts, settings_of

# So many of the latest rows of a kind stand beside the lines.
ROWS = 3
_FRESH_SECONDS = 600.0

# More lines than any object of ours has fields.
LINES_MAX = 300
_LINE_MAX = 500

# Tables in the order in which people ask for them, and what they are called.
TABLES: Mapping[str, str] = {
    "customer": "Customers",
    "account": "Accounts of customers",
    "sale": "Sales",
    "line": "Sale lines",
    "payment": "Payments",
    "product": "Products",
    "price": "Prices",
    "stock": "Stock",
    "store": "Stores",
    "employee": "Employees",
    "identity": "Customer identities",
}

# By which field somebody is recognised here who does not carry our key yet.
_MAIL: Mapping[str, str] = {"person_account": "PersonEmail", "contact": "Email", "lead": "Email"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One real record: what the till says, and what the CRM shows of it if it has it."""

    title: str
    facts: msgspec.Struct
    there: Mapping[str, str | None] | None


@dataclass(frozen=True, slots=True)
class Bench:
    """What lines are tried on."""

    read_at: float
    objects: Mapping[str, ObjectFacts]
    samples: Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One line tried on one record: what would be written, and what stands there."""

    writes: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table as it is shown."""

    target: str
    text: str
    preset: str | None  # what is shipped; None: added by a person
    type: str  # of the org's field; "": the org has no such field
    is_key: bool
    mistake: str
    warning: str
    cells: Sequence[Cell]

    @property
    def is_own(self) -> bool:
        """Say whether a person has changed or added it."""
        return self.text != (self.preset or "")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of the map as it is shown."""

    table: str
    title: str
    object: str
    lines: Sequence[Line]
    samples: Sequence[Sample]
    free: Sequence[FieldFacts]  # fields of the org that no line writes yet
    sources: Sequence[str]
    functions: Mapping[str, str]
    mistakes: Sequence[tuple[str, str]]  # (target or "", sentence)


class Fields:
    """The map editor of all connections."""

    def __init__(self, setups: Setups) -> None:
        self._setups = setups
        self._benches: dict[str, Bench] = {}
        self._lock = threading.Lock()

    def forget(self, name: str) -> None:
        """Look at both sides anew the next time."""
        with self._lock:
            self._benches.pop(name, None)

    def tables(self, name: str) -> dict[str, str]:
        """Return the tables that this connection writes by."""
        model = self._config(name).customers.model
        return {table: title for table, title in TABLES.items() if table != "account" or model == "contact"}

    def sheet(self, name: str, table: str, lines: Mapping[str, str] | None = None) -> Sheet:
        """Show a table as it is, or with other lines tried on the same rows."""
        config, bench = self._config(name), self._bench(name)
        preset = _preset(config, table)
        shown = dict(lines) if lines is not None else _lines(config, table, preset)
        mistakes = self._mistakes(config, bench, table, shown)
        told = dict(reversed(mistakes))
        good = {target: text for target, text in shown.items() if target not in told}
        compiled = _compiled(config, table, good)
        held = bench.objects.get(preset["object"])
        samples = list(bench.samples.get(table, ()))
        made = [_made(compiled, held, sample) for sample in samples] if compiled else []
        rows = [
            _line(target, text, preset, held, told.get(target, ""), made, samples)
            for target, text in shown.items()
        ]
        return Sheet(
            table=table,
            title=TABLES[table],
            object=preset["object"],
            lines=rows,
            samples=samples,
            free=_free(held, shown, preset),
            sources=sorted(_sources(SOURCES[preset["source"]])),
            functions={each: FUNCTIONS[each].help for each in sorted(FUNCTIONS)},
            mistakes=[
                *mistakes,
                *((row.target, row.mistake) for row in rows if row.mistake not in {"", told.get(row.target)}),
            ],
        )

    def save(self, name: str, table: str, lines: Mapping[str, str]) -> Sheet:
        """Keep a table if nothing is wrong with it; what it shows says so otherwise."""
        sheet = self.sheet(name, table, lines)
        if sheet.mistakes:
            return sheet
        preset = _preset(self._config(name), table)["fields"]
        own = {target: text for target, text in lines.items() if text != preset.get(target)}
        own |= {target: "" for target in preset if target not in lines}
        self._setups.set(name, {("map", table): own})
        return self.sheet(name, table)

    def keep(self, name: str, table: str, lines: Mapping[str, str], by: str) -> Sheet:
        """Keep a table, and note that somebody has looked at the map, unless something is wrong with it."""
        sheet = self.save(name, table, lines)
        if not sheet.mistakes:
            self._setups.done(name, steps.FIELDS, by, "looked at")
        return sheet

    def finish(self, name: str, by: str) -> None:
        """Note that the map is right as it is."""
        written = self._setups.settings(name).get("map", {})
        own = sum(len(lines) for lines in written.values())
        told = f"{own} of your own" if own else "as shipped"
        self._setups.done(name, steps.FIELDS, by, told, changed=False)

    def _config(self, name: str) -> configuration.Config:
        return configuration.load(self._setups.home(name), self._setups.env)

    def _mistakes(
        self, config: configuration.Config, bench: Bench, table: str, lines: Mapping[str, str]
    ) -> list[tuple[str, str]]:
        """Return what is wrong with lines: what cannot be read, and what the org does not take."""
        found = []
        if len(lines) > LINES_MAX or any(len(text) > _LINE_MAX for text in lines.values()):
            return [("", f"A table has {LINES_MAX} lines of {_LINE_MAX} characters at most.")]
        start = f"map.{table}"
        try:
            maps = _maps(config, table, lines)
        except ConfigurationInvalid as error:
            for path, text in error.mistakes:
                found.append((path.removeprefix(start).removeprefix("."), _sentence(text)))
            return found
        compiled: FieldMap = getattr(maps, table)
        told = mistakes_of({table: compiled}, bench.objects)
        return [(path.removeprefix(start).removeprefix("."), _sentence(text)) for path, text in told]

    # --- real rows ---------------------------------------------------------------------------

    def _bench(self, name: str) -> Bench:
        now = self._setups.now()
        with self._lock:
            kept = self._benches.get(name)
        if kept is not None and 0 <= now - kept.read_at < _FRESH_SECONDS:
            return kept
        with self._setups.looking(name) as parts:
            made = _look(parts, now)
        with self._lock:
            self._benches[name] = made
        return made


def _look(parts: Parts, now: float) -> Bench:
    """Read the latest rows of the till, what the org has of them, and what it says of its objects."""
    settings = settings_of(parts.config)
    directory = kept_directory(parts.people)
    if directory is None or not directory.is_fresh(parts.clock):
        directory = read_directory(parts.till, parts.state, parts.people, parts.clock)
    names = {table.object for table in parts.maps.values()}
    objects = {name: held for name in sorted(names) if (held := parts.crm.describe(name)) is not None}
    facts = dict(_facts(parts, directory, settings))
    samples = {
        table: [
            Sample(title, each, there)
            for (title, each), there in zip(
                rows, _there(parts, parts.maps[table], objects, [each for _, each in rows]), strict=True
            )
        ]
        for table, rows in facts.items()
        if table in parts.maps
    }
    return Bench(now, objects, samples)


def _facts(
    parts: Parts, directory: Directory, settings: Settings
) -> Iterator[tuple[str, list[tuple[str, msgspec.Struct]]]]:
    around = surroundings(directory, settings)
    zones = sorted({store.time_zone for store in around.stores.values()})
    region = settings.phone_region or home_region(around.stores)
    customers = _latest(parts.till.customers)
    people = [customer_facts(each, zones, region) for each in customers]
    shown: list[tuple[str, msgspec.Struct]] = [(each.name, each) for each in people]
    yield "customer", shown
    yield "account", shown
    sales = _latest(parts.till.sales)
    yield "sale", [(f"Sale {each.ticket or each.id}", sale_facts(each, around)) for each in sales]
    yield "line", _parts_of(sales, around, line_facts, "Line")
    yield "payment", _parts_of(sales, around, payment_facts, "Payment")
    products = _latest(parts.till.products)
    yield "product", [(each.description or each.id, each) for each, _ in products]
    yield "price", [(each.description or each.id, each) for each, _ in products]
    levels = [(each, level) for each, stock in products for level in stock][:ROWS]
    yield (
        "stock",
        [
            (each.description or each.id, stock_facts(level, around.store_code(level.store_id)))
            for each, level in levels
        ],
    )
    stores = list(around.stores.values())[:ROWS]
    yield (
        "store",
        [(each.name, store_facts(each, around.store_code(each.id), around.currency)) for each in stores],
    )
    yield "employee", [(f"Employee {each.id}", employee_facts(each)) for each in directory.employees[:ROWS]]


def _latest(read: Callable[[Query], Iterator[Any]]) -> list[Any]:
    page = next(read(Query(newest_first=True)), None)
    return [] if page is None else list(page.rows)[:ROWS]


def _parts_of(
    sales: Iterable[Any],
    around: Surroundings,
    derive: Callable[[Any, Surroundings], Iterable[Any]],
    word: str,
) -> list[tuple[str, msgspec.Struct]]:
    found = ((sale, each) for sale in sales for each in derive(sale, around))
    return [
        (f"{word} {each.id} of sale {sale.ticket or sale.id}", each) for sale, each in islice(found, ROWS)
    ]


def _there(
    parts: Parts, table: FieldMap, objects: Mapping[str, ObjectFacts], facts: Sequence[msgspec.Struct]
) -> list[Mapping[str, str | None] | None]:
    """Return what the org shows of these records: by our key, and of people who lack it by e-mail."""
    held = objects.get(table.object)
    if held is None or not facts:
        return [None] * len(facts)
    wanted = [target for target in table.targets if target in held.fields]
    found: dict[str, Mapping[str, str | None]] = {}
    keys = [table.key_of(each) for each in facts] if table.key_field in held.fields else []
    if table.key_field and keys:
        found |= _asked(parts, table.object, wanted, table.key_field, keys)
    rows = [found.get(key) for key in keys] or [None] * len(facts)
    mail = _MAIL[parts.config.customers.model]
    if table.name != "customer" or mail not in held.fields:
        return rows
    mails = [each.email if isinstance(each, CustomerFacts) else None for each in facts]
    known = _asked(parts, table.object, wanted, mail, [each for each in mails if each])
    folded = {each.casefold(): row for each, row in known.items()}
    return [
        row or (folded.get(each.casefold()) if each else None) for row, each in zip(rows, mails, strict=True)
    ]


def _asked(
    parts: Parts, object_name: str, fields: Sequence[str], by: str, values: Sequence[str]
) -> dict[str, Mapping[str, str | None]]:
    if not values:
        return {}
    names = ", ".join(dict.fromkeys([by, *fields]))
    # Names come from the org's own describe; values are quoted.
    text = f"SELECT {names} FROM {object_name} WHERE {by} IN ({soql.quoted_list(values)}) LIMIT 50"  # noqa: S608
    try:
        rows = [soql.as_text(row) for page in parts.crm.query(text) for row in page]
    except BadRequest:
        return {}  # A field that cannot be filtered by: nobody is found that way.
    return {str(row[by]): row for row in rows if row.get(by)}


# --- lines ---------------------------------------------------------------------------------------


def _preset(config: configuration.Config, table: str) -> dict[str, Any]:
    return preset_table({"customer": config.customers.model}.get(table, table))


def _lines(config: configuration.Config, table: str, preset: Mapping[str, Any]) -> dict[str, str]:
    """Return a table's lines as they are in force, the shipped ones first."""
    own = {target: "" if text is False else str(text) for target, text in config.map.get(table, {}).items()}
    lines = {**preset["fields"], **own}
    return {target: text for target, text in lines.items() if text}


def _maps(config: configuration.Config, table: str, lines: Mapping[str, str]) -> FieldMaps:
    preset = _preset(config, table)["fields"]
    own: dict[str, str] = {target: text for target, text in lines.items() if text != preset.get(target)}
    own |= {target: "" for target in preset if target not in lines}
    return compile_maps(
        {**config.map, table: own},
        account=config.lightspeed.account_id,
        model=config.customers.model,
        functions=configuration.functions(config),
    )


def _compiled(config: configuration.Config, table: str, lines: Mapping[str, str]) -> FieldMap | None:
    try:
        found: FieldMap | None = getattr(_maps(config, table, lines), table)
    except ConfigurationInvalid:
        return None  # Another table is wrong: nothing can be tried until that is put right.
    return found


def _made(
    compiled: FieldMap, held: ObjectFacts | None, sample: Sample
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a record becomes, and what had to be done to make it fit."""
    payload = compiled(sample.facts)
    if held is None:
        return payload, {}
    fitted, notes = fit(payload, held)
    return {**dict.fromkeys(payload), **fitted}, {note.field: note.text for note in notes}


def _line(
    target: str,
    text: str,
    preset: Mapping[str, Any],
    held: ObjectFacts | None,
    mistake: str,
    made: Sequence[tuple[dict[str, Any], dict[str, str]]],
    samples: Sequence[Sample],
) -> Line:
    field = held.fields.get(target) if held else None
    cells = (
        [
            Cell(_told(values.get(target)), (sample.there or {}).get(target))
            for (values, _), sample in zip(made, samples, strict=True)
        ]
        if made
        else [Cell(None, (sample.there or {}).get(target)) for sample in samples]
    )
    if not mistake and field is not None:
        mistake = next((told for values, _ in made if (told := _unfit(field, values.get(target)))), "")
    notes = [notes[target] for _, notes in made if target in notes]
    return Line(
        target=target,
        text=text,
        preset=preset["fields"].get(target),
        type=field.type if field else "",
        is_key=target == preset.get("key_field"),
        mistake=mistake,
        warning="" if mistake or not notes or field is None else _sentence(notes[0]),
        cells=cells,
    )


_NUMBERS = frozenset({"double", "currency", "percent", "int"})


def _unfit(field: FieldFacts, value: Any) -> str:
    """Say why a value is none for a field of this type; "" when it is one."""
    if value is None or isinstance(value, Ref | BuyerStanding):
        return ""
    if field.type in _NUMBERS and not (isinstance(value, Decimal | int) and not isinstance(value, bool)):
        return f"{field.name} takes a number, and this line gives {_kind(value)}; end it with | number."
    if field.type == "boolean" and not isinstance(value, bool):
        return f"{field.name} is a check box, and this line gives {_kind(value)}; end it with | bool."
    if field.type in {"date", "datetime"} and not isinstance(value, date | datetime):
        return f"{field.name} takes a date, and this line gives {_kind(value)}; end it with | date."
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float | Decimal):
        return "a number"
    return "a date" if isinstance(value, date | datetime) else "a text"


def _told(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, Ref):
        return f"→ {value.kind} {value.id}"
    if isinstance(value, BuyerStanding):
        return "(decided when it is sent)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _free(held: ObjectFacts | None, lines: Mapping[str, str], preset: Mapping[str, Any]) -> list[FieldFacts]:
    if held is None:
        return []
    taken = {*lines, preset.get("key_field")}
    return sorted(
        (
            each
            for each in held.fields.values()
            if each.createable and each.updateable and each.name not in taken
        ),
        key=lambda each: each.name,
    )


def _sources(struct: Any, before: str = "") -> Iterator[str]:
    """Return what a line may read: attributes, and those inside them."""
    for field in msgspec.structs.fields(struct):
        inner = [each for each in (field.type, *get_args(field.type)) if _is_struct(each)]
        if inner:
            yield from _sources(inner[0], f"{before}{field.name}.")
        elif not _is_mapping(field.type):
            yield f"{before}{field.name}"


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")
