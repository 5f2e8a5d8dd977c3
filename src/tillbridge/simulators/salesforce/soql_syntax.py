"""Read SOQL text into a tree. Knows the grammar, not the org (fact sheet §2.4).

Every refusal says where: the line with a caret, the way the API does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tillbridge.simulators.salesforce.values import Refused

STATEMENT_CHARS_MAX = 100_000
LITERAL_CHARS_MAX = 4_000
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:[zZ]|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d(?![\w:]))
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<op><=|>=|!=|<>|[=<>(),:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "'": "'", '"': '"', "\\": "\\"}
AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "MIN", "MAX", "AVG"})
DATE_FUNCTIONS = frozenset({"CALENDAR_YEAR", "CALENDAR_MONTH", "DAY_ONLY", "DAY_IN_MONTH", "HOUR_IN_DAY"})
DATE_WORDS = frozenset(
    {"TODAY", "YESTERDAY", "TOMORROW", "LAST_N_DAYS", "NEXT_N_DAYS", "THIS_YEAR", "LAST_YEAR"}
)
_COMPARE = {"=", "!=", "<>", "<", ">", "<=", ">="}
_CLAUSES = frozenset(
    {"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "WITH", "FOR", "USING", "ALL"}
)


@dataclass(slots=True)
class Path:
    """A field, perhaps through parents: Account.Owner.Name."""

    names: tuple[str, ...]
    at: int
    alias: str = ""


@dataclass(slots=True)
class Call:
    """COUNT(), SUM(Total__c), CALENDAR_YEAR(Business_Date__c), FIELDS(ALL)."""

    name: str
    path: Path | None
    at: int
    alias: str = ""


@dataclass(slots=True)
class Literal:
    """A value in the text; `kind` is string, number, date, datetime, boolean, null, list or date word."""

    kind: str
    value: Any


@dataclass(slots=True)
class Compare:
    """One condition. `right` is a literal, or a query for a semi-join."""

    left: Path | Call
    op: str
    right: Literal | Query


@dataclass(slots=True)
class Logic:
    """AND, OR or NOT over conditions."""

    op: str
    parts: list[Condition]


Condition = Compare | Logic


@dataclass(slots=True)
class Order:
    """One ORDER BY term; nulls come first unless the text says otherwise."""

    by: Path | Call
    descending: bool = False
    nulls_last: bool = False


@dataclass(slots=True)
class Query:
    """A SELECT."""

    text: str
    items: list[Path | Call | Query] = field(default_factory=list)
    source: str = ""
    source_at: int = 0
    alias: str = ""
    where: Condition | None = None
    group: list[Path | Call] = field(default_factory=list)
    having: Condition | None = None
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0


def problem(text: str, at: int, code: str, message: str) -> Refused:
    """Return a refusal that shows the place."""
    start = max(0, at - 40)
    snippet = text[start : at + 40].replace("\n", " ")
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return Refused(
        code, f"\n{snippet}\n{' ' * (at - start)}^\nERROR at Row:{line}:Column:{column}\n{message}"
    )


def parse(text: str) -> Query:
    """Parse a statement; refuses what is not SOQL."""
    if len(text) > STATEMENT_CHARS_MAX:
        raise Refused(
            "MALFORMED_QUERY", f"SOQL statements cannot be longer than {STATEMENT_CHARS_MAX} characters."
        )
    parser = _Parser(text)
    query = parser.query()
    parser.end()
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.end() == at:
                rest = text[at:].lstrip()
                if not rest:
                    break
                where = len(text) - len(rest)
                raise problem(text, where, "MALFORMED_QUERY", f"unexpected token: '{rest[0]}'")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind), match.start(kind)))
            at = match.end()
        self.place = 0

    # -- tokens --

    def peek(self, ahead: int = 0) -> tuple[str, str, int]:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else ("end", "<EOF>", len(self.text))

    def next(self) -> tuple[str, str, int]:
        token = self.peek()
        self.place += 1
        return token

    def word(self, *words: str) -> bool:
        """Take a keyword if it is next."""
        kind, text, _ = self.peek()
        if kind == "name" and text.upper() in words:
            self.place += 1
            return True
        return False

    def op(self, op: str) -> bool:
        """Take an operator if it is next."""
        if self.peek()[:2] == ("op", op):
            self.place += 1
            return True
        return False

    def need(self, op: str) -> None:
        if not self.op(op):
            raise self.unexpected(f"expecting '{op}'")

    def need_word(self, word: str) -> None:
        if not self.word(word):
            raise self.unexpected(f"expecting '{word.lower()}'")

    def unexpected(self, hint: str = "") -> Refused:
        _, text, at = self.peek()
        found = f"unexpected token: '{text}'"
        return problem(
            self.text, at, "MALFORMED_QUERY", f"{found} ({hint})" if hint and text == "<EOF>" else found
        )

    def end(self) -> None:
        if self.peek()[0] != "end":
            raise self.unexpected()

    def name(self) -> tuple[str, int]:
        kind, text, at = self.peek()
        if kind != "name":
            raise self.unexpected()
        self.place += 1
        return text, at

    # -- grammar --

    def query(self) -> Query:
        self.need_word("SELECT")
        found = Query(self.text)
        found.items.append(self.item())
        while self.op(","):
            found.items.append(self.item())
        self.need_word("FROM")
        found.source, found.source_at = self.name()
        self.word("AS")
        if self.peek()[0] == "name" and self.peek()[1].upper() not in _CLAUSES:
            found.alias = self.name()[0]
        if self.word("WHERE"):
            found.where = self.condition()
        if self.word("WITH"):
            self.need_word("SECURITY_ENFORCED")
        if self.word("GROUP"):
            self.need_word("BY")
            found.group = self.operands()
            if self.word("HAVING"):
                found.having = self.condition()
        if self.word("ORDER"):
            self.need_word("BY")
            found.order = [self.order()]
            while self.op(","):
                found.order.append(self.order())
        if self.word("LIMIT"):
            found.limit = self.integer()
        if self.word("OFFSET"):
            found.offset = self.integer()
        return found

    def item(self) -> Path | Call | Query:
        if self.op("("):
            found = self.query()
            self.need(")")
            return found
        operand = self.operand()
        if self.peek()[0] == "name" and self.peek()[1].upper() not in _CLAUSES:
            operand.alias = self.name()[0]
        return operand

    def operands(self) -> list[Path | Call]:
        found = [self.operand()]
        while self.op(","):
            found.append(self.operand())
        return found

    def operand(self) -> Path | Call:
        text, at = self.name()
        if not self.op("("):
            return Path(tuple(text.split(".")), at)
        upper = text.upper()
        if upper not in AGGREGATES | DATE_FUNCTIONS | {"FIELDS"}:
            raise problem(self.text, at, "MALFORMED_QUERY", f"unexpected token: '{text}'")
        if self.op(")"):
            if upper != "COUNT":
                raise self.unexpected()
            return Call("COUNT", None, at)
        inner, inner_at = self.name()
        self.need(")")
        return Call(upper, Path(tuple(inner.split(".")), inner_at), at)

    def order(self) -> Order:
        found = Order(self.operand())
        if self.word("DESC"):
            found.descending = True
        else:
            self.word("ASC")
        if self.word("NULLS"):
            found.nulls_last = self.word("LAST")
            if not found.nulls_last:
                self.need_word("FIRST")
        return found

    def integer(self) -> int:
        kind, text, _ = self.peek()
        if kind != "number" or not text.isdigit():
            raise self.unexpected()
        self.place += 1
        return int(text)

    def condition(self) -> Condition:
        first = self.factor()
        op = next((word for word in ("AND", "OR") if self.peek()[1].upper() == word), "")
        if not op:
            return first
        parts = [first]
        while self.word(op):
            parts.append(self.factor())
        if self.peek()[1].upper() in {"AND", "OR"}:
            # SOQL has no precedence between the two: parentheses say which.
            raise self.unexpected()
        return Logic(op, parts)

    def factor(self) -> Condition:
        if self.word("NOT"):
            return Logic("NOT", [self.factor()])
        if self.op("("):
            found = self.condition()
            self.need(")")
            return found
        return self.compare()

    def compare(self) -> Compare:
        left = self.operand()
        kind, text, _ = self.next()
        upper = text.upper()
        if kind == "op" and upper in _COMPARE:
            return Compare(left, "!=" if upper == "<>" else upper, self.literal())
        if kind == "name" and upper == "LIKE":
            return Compare(left, "LIKE", self.literal())
        if kind == "name" and upper in {"IN", "INCLUDES", "EXCLUDES"}:
            return Compare(left, upper, self.group_of())
        if kind == "name" and upper == "NOT" and self.word("IN"):
            return Compare(left, "NOT IN", self.group_of())
        self.place -= 1
        raise self.unexpected()

    def group_of(self) -> Literal | Query:
        self.need("(")
        if self.peek()[1].upper() == "SELECT":
            found = self.query()
            self.need(")")
            return found
        values = [self.literal()]
        while self.op(","):
            values.append(self.literal())
        self.need(")")
        return Literal("list", values)

    def literal(self) -> Literal:
        kind, text, at = self.peek()
        upper = text.upper()
        if kind == "name" and upper not in {"TRUE", "FALSE", "NULL"} | DATE_WORDS:
            raise self.unexpected()
        if kind in {"op", "end"}:
            raise self.unexpected()
        self.place += 1
        match kind:
            case "string":
                return Literal("string", self.unescape(text[1:-1], at))
            case "number":
                return Literal("number", float(text))
            case "name" if upper in DATE_WORDS:
                return Literal("date word", (upper, self.integer() if self.op(":") else 0))
            case "name":
                return Literal("null", None) if upper == "NULL" else Literal("boolean", upper == "TRUE")
        return Literal(kind, text)

    def unescape(self, text: str, at: int) -> str:
        if len(text) > LITERAL_CHARS_MAX:
            raise problem(
                self.text,
                at,
                "MALFORMED_QUERY",
                f"string literal is longer than {LITERAL_CHARS_MAX} characters",
            )
        if "\\" not in text:
            return text

        def plain(match: re.Match[str]) -> str:
            escape = match.group(1)
            if escape[0] == "u" and len(escape) > 1:
                return chr(int(escape[1:], 16))
            if escape in {"_", "%"}:
                return "\\" + escape  # LIKE still has to know that it was escaped.
            if escape not in _ESCAPES:
                raise problem(
                    self.text,
                    at,
                    "MALFORMED_QUERY",
                    f"Invalid string literal '{text}'. Illegal character sequence '\\{escape}'",
                )
            return _ESCAPES[escape]

        return _ESCAPE.sub(plain, text)
