"""Write docs/reference/ from the code: what is printed there cannot be wrong in another way than the code is.

`make docs` runs it; tests/test_docs.py fails while a page is older than the code.
A page is a function that returns Markdown. Nothing here decides anything: tables
are read, and decisions are taken by asking the very functions that take them.
"""
# ruff: noqa: INP001  A script beside the pages it writes, no package.

from __future__ import annotations

import ast
import inspect
import io
import json
import sys
import tokenize
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tillbridge import config, metrics
from tillbridge.cli import app as cli
from tillbridge.cli import words
from tillbridge.model import errors
from tillbridge.model.writing import TILL_SLOTS, FieldFacts, ObjectFacts, TillSlot
from tillbridge.sync import fieldmap, match, problems, pullback, reconcile
from tillbridge.sync.alike import same_text
from tillbridge.sync.functions import FUNCTIONS, REF_KINDS, RESPELLING
from tillbridge.sync.match import Candidate, Person
from tillbridge.sync.presets import preset_names, preset_table
from tillbridge.sync.reconcile import FieldState, Pair
from tillbridge.web.api import openapi
from tillbridge.web.app import create_app

REFERENCE = Path(__file__).parent / "reference"
_MADE = "<!-- Made by docs/generate.py from {source}; change that and run `make docs`. -->\n\n"


def pages() -> dict[Path, str]:
    """Return every page and what it should say."""
    made: dict[str, tuple[str, Callable[[], str]]] = {
        "configuration.md": ("src/tillbridge/config.py", configuration),
        "field-map.md": ("src/tillbridge/sync/presets/ and sync/functions.py", field_map),
        "reconcile.md": ("src/tillbridge/sync/reconcile.py and sync/pullback.py", decision_table),
        "matching.md": ("src/tillbridge/sync/match.py", match_rules),
        "problems.md": ("src/tillbridge/sync/problems.py, model/errors.py and cli/words.py", problem_codes),
        "commands.md": ("src/tillbridge/cli/commands/", commands),
        "api.md": ("the OpenAPI of src/tillbridge/web/", api),
        "metrics.md": ("src/tillbridge/metrics.py", metrics_table),
    }
    return {REFERENCE / name: _MADE.format(source=source) + write() for name, (source, write) in made.items()}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _paragraphs(doc: str | None) -> str:
    """Return a docstring as Markdown paragraphs, without its indented examples."""
    blocks = inspect.cleandoc(doc or "").split("\n\n")
    return "".join(f"{' '.join(b.split())}\n\n" for b in blocks if b and not b.startswith(" "))


# --- configuration -------------------------------------------------------------------------------


_CONFIGURATION = """\
# Configuration: `tillbridge.toml`

The file lies in the home directory (`--home`, or `TILLBRIDGE_HOME`). `tillbridge init` writes a first one.
Any value may be `{ env = "NAME" }`: the value of that environment variable. Mistakes are reported all at
once, each with its path. Plain `http` addresses are accepted for this machine only.

Environment variables of Tillbridge itself: `TILLBRIDGE_HOME` names the home directory; `TILLBRIDGE_KEY`
holds the key that seals tokens and personal data (32 bytes in base64). Without it a key is made in the file
`key` of the home directory, readable by its owner only.

"""


def configuration() -> str:
    """Print every setting, by table: from the models that check the file, and the comments beside them."""
    text = _CONFIGURATION
    root = config.Config
    tables = {
        name: field.annotation
        for name, field in root.model_fields.items()
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)
    }
    for name, model in tables.items():
        text += f"## `[{name}]`\n\n{_paragraphs(model.__doc__)}{_settings(model, list(model.model_fields))}"
        for inner, field in model.model_fields.items():
            if (held := _held(field)) is not None:
                text += f"## `[{name}.{inner}]`\n\n{_paragraphs(held.__doc__)}"
                text += _settings(held, list(held.model_fields))
    others = [name for name in root.model_fields if name not in tables and name != "home"]
    return text + f"## At the top of the file\n\n{_settings(root, others)}"


def _held(field: FieldInfo) -> type[BaseModel] | None:
    """Return the table that a setting is, if it is one."""
    hints = get_args(field.annotation) or (field.annotation,)
    return next((each for each in hints if inspect.isclass(each) and issubclass(each, BaseModel)), None)


def _settings(model: type[BaseModel], names: Sequence[str]) -> str:
    said = comments_of(model)
    return _table(
        ["setting", "takes", "default", "meaning"],
        [
            [_code(name), _takes(model.model_fields[name]), _default(model.model_fields[name]), said[name]]
            for name in names
        ],
    )


def comments_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the comment that stands above or beside each field of a model."""
    source = inspect.getsource(model)
    lines: dict[int, str] = {}
    own_line: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0]] = token.string.lstrip("# ")
            if not token.line[: token.start[1]].strip():
                own_line.add(token.start[0])
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno
            while first - 1 in own_line:
                first -= 1
            beside = [lines[n] for n in range(first, (node.end_lineno or node.lineno) + 1) if n in lines]
            found[node.target.id] = " ".join(beside)
    return found


def _takes(field: FieldInfo) -> str:
    return _kind(field.annotation)


def _kind(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(_code(f'"{each}"') for each in args)
    if origin is tuple:
        return f"list of {_kind(args[0])}"
    if origin is dict:
        return f"table: {_kind(args[0])} = {_kind(args[1])}"
    if args and type(None) in args:
        return _kind(next(each for each in args if each is not type(None)))
    if args and hasattr(hint, "__metadata__"):
        return _kind(args[0])
    if args:
        return " or ".join(_kind(each) for each in args)
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        return "table, see below"
    words: dict[Any, str] = {SecretStr: "text, secret", str: "text", bool: "true or false", Path: "path"}
    return words.get(hint, "number" if hint.__name__ == "Decimal" else hint.__name__)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    match value:
        case None:
            return ""
        case "" | () | {}:
            return "empty"
        case bool():
            return _code(str(value).lower())
        case tuple():
            return _code("[" + ", ".join(f'"{each}"' for each in value) + "]")
        case time():
            return _code(value.isoformat())
        case _:
            return _code(f'"{value}"')


# --- field map -----------------------------------------------------------------------------------


_FIELD_MAP = """\
# Field map

One line a field: `CRM field = "source | function | function:argument"`. There is no expression language:
what a function cannot say belongs into a function of your own, in the file that `functions_file` names.
Every mistake is found when the configuration is read, all at once, with its path.

    Total__c = "total | money"                       # one source, one function
    ProductCode = "custom_sku, system_sku | first"   # several sources make a list
    LeadSource = "'Till'"                            # a constant
    Ring_Size__c = "custom.Ring size | number"       # a custom field of the till
    Fax = ""                                         # do not write this one

Lines in `[map.<table>]` of the configuration are laid over the tables below: they add a field, replace one,
or leave one out.

"""


def field_map() -> str:
    """Print the shipped field maps, what their lines may read, and the functions."""
    text = _FIELD_MAP
    for name in preset_names():
        text += _preset(name)
    text += "## Functions\n\n"
    rows = [
        [_code(name), {"none": "", "optional": "may have one", "required": "needs one"}[f.argument], f.help]
        for name, f in FUNCTIONS.items()
    ]
    kinds = ", ".join(fieldmap.KEY_LETTERS)
    rows.append(["`key`", "needs one", f"our key for the record of that kind: {kinds}"])
    text += _table(["function", "argument", "result"], rows)
    text += f"`ref` knows these kinds: {', '.join(REF_KINDS)}.\n\n"
    text += "## What a line may read\n\n"
    for name, struct in fieldmap.SOURCES.items():
        names = ", ".join(_code(field.name) for field in msgspec.structs.fields(struct))
        text += f"**{name}**: {names}\n\n"
    return text


def _preset(name: str) -> str:
    table = preset_table(name)
    text = f"## `[map.{name}]`: {table['object']}\n\n"
    if name in fieldmap.CUSTOMER_MODELS:
        text = f'## `[map.customer]` with `model = "{name}"`: {table["object"]}\n\n'
    if key_field := table.get("key_field"):
        letter = table["key_letter"]
        ids = "-".join(f"<{name}>" for name in table.get("key_source", ["id"]))
        text += f"Key: `{key_field}` = `<till account>-{letter}{ids}`.\n\n"
    refs = table.get("refs", {})
    rows = []
    for target, source in table["fields"].items():
        ref = refs.get(target)
        lookup = f"by id, or by {_code(ref['key_field'])} where the same request creates it" if ref else ""
        rows.append([_code(target), _code(source), lookup])
    return text + _table(["CRM field", "source", "lookup"], rows)


# --- reconcile -----------------------------------------------------------------------------------

_AGREED = Pair("ana", "ana")
_SITUATIONS: tuple[tuple[str, FieldState], ...] = (
    ("new link, both say the same", FieldState(_AGREED, None)),
    ("new link, the CRM's side is blank", FieldState(Pair("anna", None), None)),
    ("new link, the till's side is blank", FieldState(Pair(None, "anne"), None)),
    ("new link, both say something else", FieldState(Pair("anna", "anne"), None)),
    ("nothing moved", FieldState(_AGREED, _AGREED)),
    ("nothing moved, our write not read back yet", FieldState(_AGREED, _AGREED, confirmed=False)),
    ("our write came back respelt", FieldState(Pair("ana", "Ana!"), _AGREED, confirmed=False)),
    ("only the till moved", FieldState(Pair("anna", "ana"), _AGREED)),
    ("the till moved, the CRM's side is blank", FieldState(Pair("anna", None), Pair("ana", None))),
    ("the till's side was emptied", FieldState(Pair(None, "ana"), _AGREED)),
    ("only the CRM moved", FieldState(Pair("ana", "anne"), _AGREED)),
    ("the CRM moved, the till's side is blank", FieldState(Pair(None, "anne"), Pair(None, "ana"))),
    ("the CRM's side was emptied", FieldState(Pair("ana", None), _AGREED)),
    ("both made the same edit", FieldState(Pair("anna", "anna"), _AGREED)),
    ("both moved apart", FieldState(Pair("anna", "anne"), _AGREED)),
    ("the till was edited, the CRM's side emptied", FieldState(Pair("anna", None), _AGREED)),
    ("the CRM was edited, the till's side emptied", FieldState(Pair(None, "anne"), _AGREED)),
    ("both were emptied", FieldState(Pair(None, None), _AGREED)),
    (
        "the till moved before our last write was read back",
        FieldState(Pair("anna", "Ana!"), _AGREED, confirmed=False),
    ),
)
_SILENT, _NO = "false", "true"
_OPT_OUTS: tuple[tuple[str, FieldState], ...] = (
    ("new link, only the till says no", FieldState(Pair(_NO, _SILENT), None)),
    ("new link, only the CRM says no", FieldState(Pair(_SILENT, _NO), None)),
    ("new link, both say the same", FieldState(Pair(_NO, _NO), None)),
    ("nothing moved, whatever both say", FieldState(Pair(_NO, _SILENT), Pair(_NO, _SILENT))),
    ("no was said in the till since", FieldState(Pair(_NO, _SILENT), Pair(_SILENT, _SILENT))),
    ("no was said in the CRM since", FieldState(Pair(_SILENT, _NO), Pair(_SILENT, _SILENT))),
    ("no was said on both sides since", FieldState(Pair(_NO, _NO), Pair(_SILENT, _SILENT))),
    ("the till's no was taken back", FieldState(Pair(_SILENT, _NO), Pair(_NO, _NO))),
    ("the CRM's no was taken back", FieldState(Pair(_NO, _SILENT), Pair(_NO, _NO))),
    ("no was said in the till, the CRM's was taken back", FieldState(Pair(_NO, _SILENT), Pair(_SILENT, _NO))),
    ("no was said in the CRM, the till's was taken back", FieldState(Pair(_SILENT, _NO), Pair(_NO, _SILENT))),
)
_AUTHORITIES: tuple[tuple[str, reconcile.Authority, reconcile.Side | None], ...] = (
    ("till", "till", None),
    ("crm", "crm", None),
    ("newest, the till's edit seen later", "newest", "till"),
    ("newest, the CRM's edit seen later", "newest", "crm"),
    ("newest, order unknown", "newest", None),
    ("ask", "ask", None),
)


_RECONCILE = """\
# Reconcile: what one field of a linked person needs

The shadow is what each side showed when both last agreed, kept per side. A side has moved when it differs
from its own shadow. `mode` (in `[customers]`) says which way values may flow at all; the authority of a
field decides conflicts, and nothing else. `newest` counts by our own order of observation, never by clocks.

- **keep**: nothing moved, the shadow stands.
- **settle**: write nothing, remember what both sides show now as the new shadow.
- **push**: write the till's value to the CRM. **pull**: write the CRM's value to the till.
- **conflict: till wins**, **CRM wins**: as push and pull, and the losing value is kept.
- **conflict: ask**: write nothing until a person has decided.

An edit beats a deletion: where one side was edited and the other only emptied, the edit wins whatever the
authority. What merely spells a value its own way has not moved: a phone number in another format, letter case
in an e-mail address, blanks, a state or country by name or by letters, a birthday in another time zone.
Phones, e-mails and address lines are fields of their own, so that edits of different ones both live.

"""

_RECONCILE_OPT_OUTS = """\
## Opt-outs

No e-mail, no calls, no mail: an opt-out is a word of a person and no value, so that no authority decides
about it. It is carried where it was *seen* to be said (it was not there before, and now it is), and never for
standing there at first sight: the till's interface opts out whom it creates. What is taken back on one side
is noted, and not taken back on the other: an opt-out never turns into an opt-in by itself.

"""

_RECONCILE_ONE_WAY = """\
## The way back

Lines of the field map that only spell one attribute of the till have a way back: `Email = "email"`,
`Phone = "work_phone | e164"`. These functions only spell:
{spelling}.

Where two lines read the same attribute, the first one is the way back. Everything else (a constant, a list, a
custom field, the tags, the note, the customer type, whatever is derived) goes to Salesforce only: there, a
*pull* and a *conflict: CRM wins* become *settle*.

{table}"""


def decision_table() -> str:
    """Print every decision about one field of one linked pair, taken by the function itself."""
    modes: tuple[reconcile.Mode, ...] = get_args(reconcile.Mode)
    text = _RECONCILE
    rows = []
    for situation, state in _SITUATIONS:
        by_decision: dict[tuple[str, ...], list[str]] = {}
        for name, authority, last in _AUTHORITIES:
            by_decision.setdefault(_decided(state, modes, authority, last), []).append(name)
        for row, names in by_decision.items():
            who = "any" if len(by_decision) == 1 else "; ".join(names)
            rows.append([situation, who, *row])
    text += _table(["situation", "authority", *(_code(mode) for mode in modes)], rows)
    rows = [[said, *_decided(state, modes, "newest", None, opt_out=True)] for said, state in _OPT_OUTS]
    text += _RECONCILE_OPT_OUTS + _table(["situation", *(_code(mode) for mode in modes)], rows)
    spelling = ", ".join(_code(name) for name in sorted(RESPELLING))
    return text + _RECONCILE_ONE_WAY.format(spelling=spelling, table=_ways_back())


def _decided(
    state: FieldState,
    modes: Sequence[reconcile.Mode],
    authority: reconcile.Authority,
    last: reconcile.Side | None,
    *,
    opt_out: bool = False,
) -> tuple[str, ...]:
    asked = replace(state, noticed_last=last)
    return tuple(
        _said(reconcile.reconcile_field(asked, mode, authority, same_text, opt_out=opt_out)) for mode in modes
    )


def _ways_back() -> str:
    """Print which fields of the shipped maps go back to the till, in an org that shows all of them."""
    columns: dict[str, dict[TillSlot, str]] = {}
    for model in fieldmap.CUSTOMER_MODELS:
        table = fieldmap.compile_maps({}, account="", model=model).customer
        fields = {name: FieldFacts(name=name, type="string") for name in table.targets}
        whole = ObjectFacts(
            name=table.object, label=table.object, createable=True, updateable=True, fields=fields
        )
        free = {
            name: field for name, field in fields.items() if not name.endswith(("StateCode", "CountryCode"))
        }
        ways = pullback.writable(table, whole) | pullback.writable(
            table, msgspec.structs.replace(whole, fields=free)
        )
        columns[model] = {way.slot: name for name, way in ways.items()}
    rows = [
        [_code(slot), *(_code(columns[model].get(slot, "")) for model in fieldmap.CUSTOMER_MODELS)]
        for slot in TILL_SLOTS
    ]
    return _table(["in the till", *(_code(model) for model in fieldmap.CUSTOMER_MODELS)], rows)


def _said(decision: reconcile.Decision) -> str:
    match decision:
        case reconcile.Conflict(winner="till"):
            return "conflict: till wins"
        case reconcile.Conflict(winner="crm"):
            return "conflict: CRM wins"
        case reconcile.Conflict():
            return "conflict: ask"
        case _:
            return type(decision).__name__.lower()


# --- matching ------------------------------------------------------------------------------------

_BORN, _OTHER_DAY = date(1980, 5, 17), date(1983, 2, 1)
_ANNA = Person(
    id="7",
    first="Anna",
    last="Bergmann",
    emails=("anna@example.com",),
    phones=("+12125550143",),
    street="12 Hill Road",
    zip="10001",
    city="New York",
    birth_date=_BORN,
    external_ids=("190001-C7",),
)
_NAMES = (("like", "Anna", "Bergmann"), ("near", "Hanna", "Bergmann"), ("unlike", "Paul", "Ortega"))
_REACH: dict[match.Rule, dict[str, Any]] = {
    "external_id": {"external_ids": ("190001-C7",)},
    "email": {"emails": _ANNA.emails},
    "phone": {"phones": _ANNA.phones},
    "address": {"street": _ANNA.street, "zip": _ANNA.zip, "city": _ANNA.city},
}
_VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nobody's yet", {}),
    ("birth dates differ", {"birth_date": _OTHER_DAY}),
    ("linked to another till customer", {"linked_to": ("3",)}),
    ("created by us from another till customer", {"linked_to": ("3",), "ours": True}),
    ("a converted Lead", {"object": "Lead", "converted": True}),
)


_MATCHING = """\
# Matching: is this till customer somebody the CRM knows?

Rules in their order: {order}. The first rule that finds somebody who fits decides.

`customers.match` sets which rules are on; `customers.review` names rules that only suggest. Two records meet
when they share our key, an e-mail address, a phone number in international form, or an address (post code,
house number, street). What more than {sharers} records share says nothing about anybody.

- **link**: this is the person. **link, second record**: another till customer is linked to this person
  already; this is one more identity of the same person.
- **review**: a person decides. Nobody is created meanwhile, and receipts land without a customer.
- **create**: nobody in the CRM is this person.

Names are *like* when the family name is the same or has a small slip, and the first names go together (same,
short form, initial, swapped). They are *near* when one of the two is doubtful, otherwise *unlike*. By our key
the name does not count.

## One candidate

"""


def match_rules() -> str:
    """Print what matching decides about one candidate, rule by rule, asked of the function itself."""
    order = ", ".join(_code(rule) for rule in match.DEFAULT_RULES.order)
    text = _MATCHING.format(order=order, sharers=match.SHARERS_MAX)
    rows = []
    for rule in match.RULES:
        for variant, extra in _VARIANTS:
            by_name = [_matched([_candidate(rule, "001A", first, last, extra)]) for _, first, last in _NAMES]
            rows.append([_code(rule), variant, *by_name])
    text += _table(["rule", "the candidate", *(f"name {name}" for name, _, _ in _NAMES)], rows)
    text += "## Several candidates with a like name\n\n"
    rows = []
    for rule in match.RULES:
        two = [_candidate(rule, crm_id, "Anna", "Bergmann", {}) for crm_id in ("001A", "001B")]
        rows.append([_code(rule), _matched(two)])
    return text + _table(["rule", "decision"], rows)


def _candidate(rule: match.Rule, crm_id: str, first: str, last: str, extra: dict[str, Any]) -> Candidate:
    return Candidate(id=crm_id, first=first, last=last, **{"birth_date": _BORN, **_REACH[rule], **extra})


def _matched(candidates: Sequence[Candidate]) -> str:
    match match.match(_ANNA, candidates):
        case match.Link(second=True):
            return "link, second record"
        case match.Link():
            return "link"
        case match.Review(reason=reason):
            return f"review: {reason}"
        case _:
            return "create"


# --- problems ------------------------------------------------------------------------------------

_DOES: dict[problems.RowClass, str] = {
    "transient": "tried again at once, and again in later runs",
    "waiting": "waits for what it points to",
    "review": "a person decides who it is",
    "problem": "kept as a problem; tried again every few hours",
    "halted": "kept as a problem; the org or our access to it is at fault, not the row",
}


_PROBLEMS = """\
# Problems and errors

## A row that Salesforce refused

A refusal concerns one row and holds up no other. Refusals of one cause (same code, object, fields and
wording) are grouped, so that one fix releases all of them.

"""


def problem_codes() -> str:
    """Print what every known code of a refused row means, and the errors of whole requests."""
    text = _PROBLEMS
    text += _table(
        ["code", "class", "what to do"],
        [[_code(code), meaning.does, meaning.advice] for code, meaning in sorted(problems.MEANINGS.items())],
    )
    text += f"Any other code: {problems.UNKNOWN.does}. {problems.UNKNOWN.advice}\n\n"
    text += _table(["class", "what becomes of the row"], list(_DOES.items()))
    text += "## A request or a run that failed\n\n"
    kinds = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.SyncError) and each is not errors.SyncError
    ]
    kinds.sort(key=lambda each: inspect.getsourcelines(each)[1])
    rows = [[_code(each.__name__), _status(each), _first_line(each)] for each in kinds]
    return text + _table(["error", "exit status", "meaning"], rows)


def _first_line(each: type) -> str:
    return (inspect.getdoc(each) or "").split("\n\n")[0]


def _status(kind: type[errors.SyncError]) -> str:
    """Return the exit status that a run ends with after such an error."""
    given: dict[type, dict[str, Any]] = {
        errors.LimitReached: {"quota": "day"},
        errors.BadRequest: {"code": "HTTP 400", "status": 400},
        errors.NotFound: {"code": "HTTP 404", "status": 404},
    }
    what: Any = [] if kind is errors.ConfigurationInvalid else "…"
    return str(words.tell(kind(what, **given.get(kind, {}))).status)


# --- commands ------------------------------------------------------------------------------------

_COMMANDS = """\
# Commands

Where a command reports, `--json` prints one JSON document on standard output and everything else on standard
error. What the exit statuses mean: [operating](../operating.md#exit-statuses).

"""


def commands() -> str:
    """Print every command with its options."""
    return _COMMANDS + "".join(_command(name, command) for name, command in all_commands())


def all_commands() -> list[tuple[str, Any]]:
    """Return every command that does something, by its whole name."""
    found: list[tuple[str, Any]] = []
    for name, command in cli.tree().commands.items():
        below = getattr(command, "commands", None)
        if not below or command.invoke_without_command:
            found.append((name, command))
        found += [(f"{name} {n}", c) for n, c in (below or {}).items()]
    return found


def _command(name: str, command: Any) -> str:
    text = f"## `tillbridge {name}`\n\n{' '.join((command.help or '').split())}\n\n"
    rows = []
    for each in command.params:
        shown = each.opts[0] if each.param_type_name == "option" else (each.metavar or each.name.upper())
        value = f" {each.metavar}" if each.param_type_name == "option" and each.metavar else ""
        rows.append([_code(shown + value), each.help or ""])
    return text + (_table(["option", "meaning"], rows) if rows else "")


# --- API -----------------------------------------------------------------------------------------

_API = """\
# The JSON API

Everything that the console's pages show and do, for programs, at `/api/v1` of the address that `tillbridge
serve` prints. The same description as OpenAPI 3.1: `/api/v1/openapi.json`, for generators of clients.

## Getting in

Make a token in the console: your name at the top right, *Tokens for programs*. A token has its owner's
role at most, and a scope: `read` asks, `write` also does, `admin` is whatever its owner may (set-ups,
settings, users and sign-in need it), and `metrics` reads `/metrics` alone. It may be for some connections
only (`on:NAME`). It is shown once.

    curl -H "Authorization: Bearer $TOKEN" https://tillbridge.yourcompany.example/api/v1/connections

`connection` in an address is the connection's name: `default`, where there is only one. Whoever sees some
stores only is shown those alone, here too. Money and quantities are texts with their decimals, moments are
UTC (RFC 3339), days are the store's own business days. Lists come in pages: `offset` and `limit` (500 at
most), and `slice.more` says whether there is more.

"""

_MISTAKES = """\
## When something goes wrong

The answer is `application/problem+json` (RFC 9457): `title`, `status`, and `detail`, one sentence for
people; with 422 also `mistakes`, each with the `field` it is about. With 503, `Retry-After` says when to
ask again. What changes something is written into the audit log with the token's owner.

"""


def api() -> str:
    """Print every operation of the API with what it takes and answers, from its OpenAPI."""
    # No request is answered here, so that there is no console behind it.
    described = openapi.document(create_app(cast("Any", None)))
    text = _API + _MISTAKES + _table(["status", "means"], list(openapi.ERRORS.items()))
    operations = [
        (method.upper(), path, each)
        for path, methods in described["paths"].items()
        for method, each in methods.items()
    ]
    for tag in described["tags"]:
        text += f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n"
        own = [each for each in operations if tag["name"] in each[2]["tags"]]
        text += "".join(_operation(*each) for each in own)
    text += "## Values\n\n"
    for name, schema in sorted(described["components"]["schemas"].items()):
        if name not in _FASTAPI_ONLY:
            text += _values(name, schema)
    return text


# What FastAPI would answer, were its errors not answered by us.
_FASTAPI_ONLY = frozenset({"HTTPValidationError", "ValidationError"})


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    text = f"### {operation['summary']}\n\n`{method} {path}`\n\n{operation['description']}\n\n"
    rows = [
        [_code(each["name"]), each["in"], _shape(each["schema"]), _sample(each.get("example"))]
        for each in operation.get("parameters", ())
        if each["name"] != "connection"
    ]
    if rows:
        text += _table(["parameter", "in the", "takes", "for example"], rows)
    for body in operation.get("requestBody", {}).get("content", {}).values():
        text += f"Takes {_shape(body['schema'])}, for example:\n\n```json\n{_json(body['example'])}\n```\n\n"
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return f"{text}Answers {_shape(answer)}.\n\n"


def _values(name: str, schema: dict[str, Any]) -> str:
    said = f"{' '.join(schema['description'].split())}\n\n" if "description" in schema else ""
    rows = [[_code(key), _shape(each)] for key, each in schema.get("properties", {}).items()]
    return f"### {name} value\n\n{said}{_table(['field', 'is'], rows) if rows else ''}"


def _shape(schema: dict[str, Any]) -> str:
    """Say in words what a schema holds, with a link to what has a name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()}-value)"
    if "enum" in schema:
        return " or ".join(_code(json.dumps(each)) for each in schema["enum"])
    if choices := schema.get("anyOf"):
        return " or ".join("nothing" if each.get("type") == "null" else _shape(each) for each in choices)
    match schema.get("type"):
        case "array":
            items = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
            return f"list of {_shape(items)}" if items else "list"
        case "object":
            values = schema.get("additionalProperties")
            return f"by name: {_shape(values)}" if isinstance(values, dict) and values else "object"
        case "string":
            return {"date": "day", "decimal": "amount", "date-time": "moment"}.get(
                schema.get("format", ""), "text"
            )
        case kind:
            words = {"integer": "whole number", "number": "number", "boolean": "true or false"}
            return words.get(kind or "", "anything")


def _sample(value: Any) -> str:
    return "" if value is None else _code(str(value))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


# --- metrics -------------------------------------------------------------------------------------

_METRICS = """\
# Metrics

`tillbridge serve` and every `tillbridge worker` show these at `/metrics`, as Prometheus and OpenMetrics
read them. A counter's name ends with `_total` there, a histogram's values with `_bucket`, `_sum` and
`_count`. Nothing in them names a person. What to watch: [operating](../operating.md#metrics).

"""


def metrics_table() -> str:
    """Print every metric with its labels, from the calls that make them."""
    tree = ast.parse(inspect.getsource(metrics))
    rows = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _METRIC_KINDS:
            given = [*node.args, *(k.value for k in node.keywords if k.arg in {"labelnames", "labels"})]
            name, meaning, *labels = [ast.literal_eval(each) for each in given[:3]]
            shown = ", ".join(_code(each) for each in (labels[0] if labels else ()))
            rows.append([_code(name), _METRIC_KINDS[node.func.id], shown, meaning])
    return _METRICS + _table(["metric", "kind", "labels", "meaning"], sorted(rows))


_METRIC_KINDS = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "GaugeMetricFamily": "gauge",
    "CounterMetricFamily": "counter",
}


def main() -> int:
    """Write every page; say which have changed."""
    REFERENCE.mkdir(exist_ok=True)
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {path.relative_to(REFERENCE.parent.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
