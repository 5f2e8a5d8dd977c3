"""Turn a record into the fields of a CRM object, as a table says: `Total__c = "total | money"`.

A line of the table names where the value comes from and the functions it goes
through. There is no expression language: what a function cannot say belongs
into a named function. Tables are compiled once into plain closures, and every
mistake in them is found then, all at once, with its path.

    Total__c = "total | money"                   one attribute, one function
    ProductCode = "custom_sku, system_sku | first"   several attributes make a list
    LeadSource = "'Till'"                        a constant
    Ring_Size__c = "custom.Ring size | number"   a custom field of the till
    Fax = ""                                     in an override: do not write this one
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tillbridge.model.catalog import EmployeeFacts, StockFacts, StoreFacts
from tillbridge.model.customer import CustomerFacts, IdentityFacts
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.records import Kind, Product
from tillbridge.model.sale import LineFacts, PaymentFacts, Ref, SaleFacts
from tillbridge.model.writing import Value
from tillbridge.sync.fit import Note, fit
from tillbridge.sync.functions import FUNCTIONS, Function, Step
from tillbridge.sync.presets import preset_table

__all__ = ["FieldMap", "FieldMaps", "Note", "compile_maps", "fit", "key", "payload_hash", "steps_of"]

CustomerModel = Literal["person_account", "contact", "lead"]
CUSTOMER_MODELS: tuple[CustomerModel, ...] = ("person_account", "contact", "lead")
Part = Literal["account", "contact", "lead"]

# What a table may read of.
SOURCES: dict[str, type[msgspec.Struct]] = {
    "store": StoreFacts,
    "employee": EmployeeFacts,
    "product": Product,
    "stock": StockFacts,
    "customer": CustomerFacts,
    "identity": IdentityFacts,
    "sale": SaleFacts,
    "line": LineFacts,
    "payment": PaymentFacts,
}

# The letter of a kind's keys: 190001-S7731 is sale 7731 of till account 190001.
KEY_LETTERS: dict[str, str] = {
    Kind.STORE: "H",
    Kind.EMPLOYEE: "E",
    Kind.PRODUCT: "I",
    Kind.STOCK: "Q",
    Kind.CUSTOMER: "C",
    Kind.SALE: "S",
    "line": "L",
    "payment": "P",
}

MAP_NAMES = (
    "store",
    "employee",
    "product",
    "price",
    "stock",
    "customer",
    "account",
    "contact",
    "person_account",
    "identity",
    "sale",
    "line",
    "payment",
)

# Whom a Lead may become: they have tables of their own in that model.
BECOME = ("contact", "person_account")

Mapped = dict[str, Value | Ref]
_OPTION = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(?::\s*(.*?))?\s*", re.DOTALL)


def key(account: str, kind: str, record_id: str) -> str:
    """Return our External ID for a record: the same for ever, whatever the record says."""
    return f"{account}-{KEY_LETTERS[kind]}{record_id}"


@dataclass(frozen=True, slots=True)
class RefFacts:
    """How a lookup is written. `part` says which of a person's records it points to."""

    relationship: str
    key_field: str
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class FieldMap:
    """A compiled table. Calling it maps one record; lookups come out as `Ref`."""

    name: str
    object: str
    key_field: str | None
    key_letter: str | None
    record_type: str | None
    refs: Mapping[str, RefFacts]
    targets: tuple[str, ...]
    overridden: frozenset[str]  # targets that a configuration names itself
    lines: Mapping[str, str]  # what the table says: target -> text
    key_of: Callable[[Any], str]
    _plain_targets: tuple[str, ...] = field(repr=False)
    _plain: Callable[[Any], tuple[Value | Ref, ...]] = field(repr=False)
    _worked: tuple[tuple[str, Step], ...] = field(repr=False)

    def __call__(self, record: msgspec.Struct) -> Mapped:
        """Map one record: its key first, then every field of the table."""
        payload: Mapped = {self.key_field: self.key_of(record)} if self.key_field else {}
        payload.update(zip(self._plain_targets, self._plain(record), strict=True))
        for target, step in self._worked:
            payload[target] = step(record)
        return payload


@dataclass(frozen=True, slots=True)
class FieldMaps:
    """All tables of a connection. `account` is the Account of a Contact, in that model only.

    `contact` and `person_account` are the customers that converted Leads became, in the lead model.
    """

    store: FieldMap
    employee: FieldMap
    product: FieldMap
    price: FieldMap
    stock: FieldMap
    customer: FieldMap
    account: FieldMap | None
    contact: FieldMap | None
    person_account: FieldMap | None
    identity: FieldMap
    sale: FieldMap
    line: FieldMap
    payment: FieldMap

    def all(self) -> list[FieldMap]:
        """Return every table in use."""
        return [found for name in MAP_NAMES if (found := getattr(self, name)) is not None]


def compile_maps(
    overrides: Mapping[str, object],
    *,
    account: str,
    model: CustomerModel,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> FieldMaps:
    """Compile the presets with a configuration's `[map.*]` tables laid over them.

    `account` is the till account, which every key begins with. `functions` are
    a customer's own. Raises ConfigurationInvalid with every mistake found.
    """
    mistakes: list[tuple[str, str]] = [
        (f"map.{name}", f"there is no such table{_meant(name, MAP_NAMES)}")
        for name in overrides
        if name not in MAP_NAMES
    ]
    known = _with_own(functions or {}, mistakes) | {"key": _key_function(account)}
    compiled: dict[str, FieldMap | None] = {}
    for name in MAP_NAMES:
        table = {"customer": model}.get(name, name)
        over = overrides.get(name, {})
        if not isinstance(over, Mapping):
            mistakes.append((f"map.{name}", "a table of fields is expected here"))
        elif name == "account" and model != "contact":
            compiled[name] = None
            if over:
                mistakes.append(
                    (f"map.{name}", "only the contact model has a table for accounts; see map.customer")
                )
        elif name in BECOME and model != "lead":
            compiled[name] = None
            if over:
                mistakes.append((f"map.{name}", "only the lead model has such a table; see map.customer"))
        else:
            compiled[name] = _compile(name, preset_table(table), over, account, known, mistakes)
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    return FieldMaps(**compiled)  # type: ignore[arg-type]  # no mistakes: every other table is there


def steps_of(line: str) -> tuple[str, list[str]]:
    """Return where the value of a table's line comes from, and the names of the functions it goes through."""
    where, *functions = _split(line, "|")
    return where, [name.partition(":")[0].strip() for name in functions]


def payload_hash(payload: Mapping[str, object]) -> bytes:
    """Return 16 bytes that differ when anything would be written differently; the order does not count."""
    plain = {
        name: value.normalize() if type(value) is Decimal else value for name, value in payload.items()
    }  # 1.50 and 1.5 are one number
    return blake2b(_CANONICAL.encode(plain), digest_size=16).digest()


_CANONICAL = msgspec.json.Encoder(order="deterministic", decimal_format="number")


def _compile(
    name: str,
    table: Mapping[str, Any],
    over: Mapping[str, object],
    account: str,
    functions: Mapping[str, Function],
    mistakes: list[tuple[str, str]],
) -> FieldMap:
    source = SOURCES[table["source"]]
    lines = {**table["fields"], **over}
    plain: list[tuple[str, str]] = []
    worked: list[tuple[str, Step]] = []
    for target, text in lines.items():
        path = f"map.{name}.{target}"
        if text in {"", False} and target in over:
            continue
        if not isinstance(text, str):
            mistakes.append(
                (path, 'a text such as "total | money" is expected, or "" to leave the field out')
            )
            continue
        try:
            only, step = _line(text, source, functions)
        except ValueError as error:
            mistakes.append((path, str(error)))
            continue
        if only:
            plain.append((target, only))
        else:
            worked.append((target, step))
    targets = {target for target, _ in plain} | {target for target, _ in worked}
    refs = {target: RefFacts(**facts) for target, facts in table.get("refs", {}).items() if target in targets}
    return FieldMap(
        name=name,
        object=table["object"],
        key_field=table.get("key_field"),
        key_letter=table.get("key_letter"),
        record_type=table.get("record_type"),
        refs=refs,
        targets=tuple(target for target in lines if target in targets),
        overridden=frozenset(over) & targets,
        lines={target: str(text) for target, text in lines.items() if target in targets},
        key_of=_key_of(account, table),
        _plain_targets=tuple(target for target, _ in plain),
        _plain=_attributes([path for _, path in plain]),
        _worked=tuple(worked),
    )


def _attributes(paths: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not paths:
        return lambda _: ()
    if len(paths) == 1:
        get = attrgetter(paths[0])
        return lambda record: (get(record),)
    return attrgetter(*paths)


def _key_of(account: str, table: Mapping[str, Any]) -> Callable[[Any], str]:
    start = f"{account}-{table.get('key_letter', '')}"
    names: list[str] = table.get("key_source", ["id"])
    if names == ["id"]:
        return lambda record: f"{start}{record.id}"
    return lambda record: start + "-".join(getattr(record, name) for name in names)


def _line(
    text: str, source: type[msgspec.Struct], functions: Mapping[str, Function]
) -> tuple[str | None, Step]:
    """Return the path when that is all there is, and the whole step. Raises ValueError in plain words."""
    where, *names = _split(text, "|")
    if not where:
        raise ValueError("a source is missing")
    getters = [_getter(part, source) for part in _split(where, ",")]
    steps = [_function(name, functions) for name in names]
    (path, get) = getters[0] if len(getters) == 1 else (None, _several([step for _, step in getters]))
    if len(getters) > 1 and not steps:
        raise ValueError("several sources need a function that makes one of them, such as first or join")
    return (path if not steps else None), _chain(get, steps)


def _split(text: str, separator: str) -> list[str]:
    """Cut at separators that stand outside of quotes."""
    parts, quote = [""], ""
    for ch in text:
        if ch == separator and not quote:
            parts.append("")
            continue
        if ch in "'\"" and quote in {"", ch}:
            quote = "" if quote else ch
        parts[-1] += ch
    return [part.strip() for part in parts]


def _several(getters: list[Step]) -> Step:
    return lambda record: tuple(get(record) for get in getters)


def _chain(get: Step, steps: list[tuple[Step, bool]]) -> Step:
    if not steps:
        return get
    if len(steps) == 1:
        (step, sees_none) = steps[0]
        if sees_none:
            return lambda record: step(get(record))
        return lambda record: None if (value := get(record)) is None else step(value)

    def run(record: Any) -> Any:
        value = get(record)
        for each, sees_none in steps:
            if value is not None or sees_none:
                value = each(value)
        return value

    return run


def _getter(text: str, source: type[msgspec.Struct]) -> tuple[str | None, Step]:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        constant = text[1:-1]
        return None, lambda _: constant
    head, _, rest = text.partition(".")
    struct: Any = source
    path: list[str] = []
    while True:
        hints = _hints(struct)
        if head not in hints:
            raise ValueError(f"there is no {'.'.join([*path, head])!r} to read{_meant(head, hints)}")
        path.append(head)
        kind = _without_none(hints[head])
        if not rest:
            return ".".join(path), attrgetter(".".join(path))
        if issubclass(get_origin(kind) or object, Mapping):
            return None, _entry(".".join(path), rest.strip("\"'"))
        if not _is_struct(kind):
            raise ValueError(f"{'.'.join(path)!r} has nothing inside it")
        struct = kind
        head, _, rest = rest.partition(".")


@cache
def _hints(struct: Any) -> Mapping[str, Any]:
    # Reading annotations is slow, and there are as many lines in a map as there are fields.
    return get_type_hints(struct)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _entry(path: str, name: str) -> Step:
    get = attrgetter(path)
    return lambda record: (get(record) or {}).get(name)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        others = [each for each in get_args(hint) if each is not type(None)]
        return others[0] if len(others) == 1 else hint
    return hint


def _function(text: str, functions: Mapping[str, Function]) -> tuple[Step, bool]:
    parsed = _OPTION.fullmatch(text)
    if not parsed:
        raise ValueError(f"{text!r} is no function")
    name, argument = parsed.groups()
    if argument is not None and len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\"":
        argument = argument[1:-1]
    function = functions.get(name)
    if function is None:
        raise ValueError(f"there is no function {name!r}{_meant(name, functions)}")
    if argument is None and function.argument == "required":
        raise ValueError(f"{name} needs an argument, as in {name}:…")
    if argument is not None and function.argument == "none":
        raise ValueError(f"{name} takes no argument")
    try:
        return function.make(argument), function.sees_none
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from error


def _with_own(own: Mapping[str, Callable[..., Any]], mistakes: list[tuple[str, str]]) -> dict[str, Function]:
    known = dict(FUNCTIONS)
    for name, call in own.items():
        if name in FUNCTIONS:
            mistakes.append((f"functions.{name}", "this name is one of ours; give yours another"))
        known[name] = Function(_own(call), "one of your own", "optional")
    return known


def _key_function(account: str) -> Function:
    def make(argument: str | None) -> Step:
        if argument not in KEY_LETTERS:
            raise ValueError(f"a key is one of {', '.join(KEY_LETTERS)}")
        return lambda value: key(account, argument, value.id if isinstance(value, Ref) else str(value))

    return Function(make, "our key for the record of that kind with this id", "required")


def _own(call: Callable[..., Any]) -> Callable[[str | None], Step]:
    def make(argument: str | None) -> Step:
        return call if argument is None else lambda value: call(value, argument)

    return make


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
