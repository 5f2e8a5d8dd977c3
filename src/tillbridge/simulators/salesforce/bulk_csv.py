"""CSV as the Bulk API reads and writes it: strict going in, all quoted coming out.

What a cell means is decided here (empty leaves a field alone, `#N/A` clears it);
whether the value suits the field is the org's business. Fact sheet section 3.2,
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/datafiles_csv_valid_record_rows.htm
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

DELIMITERS = {"COMMA": ",", "TAB": "\t", "PIPE": "|", "SEMICOLON": ";", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
NULL_CELL = "#N/A"
HEADER_CHARS_MAX = 32_000
FIELD_CHARS_MAX = 131_072
RECORD_CHARS_MAX = 400_000
RECORD_FIELDS_MAX = 5_000

# csv refuses longer cells by itself, with a text of its own; ours is the vendor's.
csv.field_size_limit(max(csv.field_size_limit(), 4 * FIELD_CHARS_MAX))

Row = list[str]


class BatchRefused(ValueError):
    """The file as a whole is not acceptable; the text becomes the job's errorMessage."""


@dataclass(frozen=True, slots=True)
class Column:
    """One header cell: a field, or a parent found by a key of its own.

    `relation` is set for `Store__r.Store_Code__c`; `parent_type` for `Lead:Who.Email`; `lookup` is the field
    that the relation fills.
    """

    header: str
    field: str
    relation: str = ""
    parent_type: str = ""
    lookup: str = ""


def rows_of(content: bytes, line_ending: str, delimiter: str) -> Iterator[Row]:
    """Yield the header row and then every record. Raises BatchRefused, also half-way."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise BatchRefused(
            "ClientInputError : Failed to read the file: it is not encoded in UTF-8"
        ) from wrong
    _check_line_ending(text, line_ending)
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=DELIMITERS[delimiter], strict=True)
    columns = 0
    try:
        for number, row in enumerate(reader):
            if not row:  # A line that is empty altogether is no record.
                continue
            columns = columns or len(row)
            _check_size(row, columns, number)
            yield row
    except csv.Error as wrong:
        raise BatchRefused(f"ClientInputError : Failed to parse CSV: {wrong}") from wrong


def _check_line_ending(text: str, line_ending: str) -> None:
    # A header holds API names, so its first line end is the file's.
    end = text.find("\n")
    if end < 0:
        return
    found = "CRLF" if text[end - 1 : end] == "\r" else "LF"
    if found != line_ending:
        raise BatchRefused(
            "ClientInputError : LineEnding is invalid on user data. "
            f"Current LineEnding setting is {line_ending}"
        )


def _check_size(row: Row, columns: int, number: int) -> None:
    if len(row) != columns:
        raise BatchRefused(
            f"ClientInputError : Record {number} has {len(row)} fields where the header has {columns}"
        )
    chars = sum(map(len, row))
    if number == 0 and (chars + columns - 1 > HEADER_CHARS_MAX or columns > RECORD_FIELDS_MAX):
        raise BatchRefused("ClientInputError : The header row is too long")
    if chars > FIELD_CHARS_MAX and max(map(len, row)) > FIELD_CHARS_MAX:
        raise BatchRefused(
            f"ClientInputError : Record {number} has a field of more than {FIELD_CHARS_MAX} characters"
        )
    if chars > RECORD_CHARS_MAX:
        raise BatchRefused(f"ClientInputError : Record {number} has more than {RECORD_CHARS_MAX} characters")


def split_header(header: str) -> tuple[str, str, str]:
    """Return (parent type, relation, field) of a header cell: `Lead:Who.Email`, `Store__r.Key__c`, `Name`."""
    path, dot, field = header.rpartition(".")
    if not dot:
        return "", "", header
    parent_type, colon, relation = path.rpartition(":")
    return (parent_type if colon else ""), relation, field


def fields_of(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    """Turn one record into what the org writes; a field that is to stay as it is does not appear."""
    fields: dict[str, Any] = {}
    for column, cell in zip(columns, row, strict=True):
        if not cell:
            continue
        if not column.relation:
            fields[column.field] = None if cell == NULL_CELL else cell
        elif cell == NULL_CELL:
            fields[column.lookup] = None
        elif column.parent_type:
            fields[column.relation] = {"attributes": {"type": column.parent_type}, column.field: cell}
        else:
            fields[column.relation] = {column.field: cell}
    return fields


def render(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str, line_ending: str) -> bytes:
    """Write a CSV with every cell quoted."""
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=DELIMITERS[delimiter], lineterminator=LINE_ENDINGS[line_ending], quoting=csv.QUOTE_ALL
    )
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def java_double(cell: str) -> str:
    """Respell a number the way the results do: from ten million on in scientific notation."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    if not 1e7 <= abs(number) < float("inf"):
        return cell
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int)  # Infinite and not-a-number were turned away above.
    rest = "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{digits[0]}.{rest}E{len(digits) - 1 + exponent}"


def query_cell(value: Any) -> str:
    """Write a queried value: no null, booleans in words, moments with Z."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(repr(value)) if abs(value) >= 1e7 else repr(value)
    if isinstance(value, str) and value.endswith("+0000") and _MOMENT.match(value):
        return value[:-5] + "Z"
    return str(value)


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000\Z")


# --- the SELECT list of a query job -------------------------------------------------------------------


_FORBIDDEN = {
    "GROUP BY": re.compile(r"\bGROUP\s+BY\b", re.IGNORECASE),
    "OFFSET": re.compile(r"\bOFFSET\s+\d", re.IGNORECASE),
    "TYPEOF": re.compile(r"\bTYPEOF\b", re.IGNORECASE),
}
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'")


def selected(soql: str) -> list[str]:
    """Return the column names of a query, as written. Raises BatchRefused for what query jobs do not take."""
    bare = _LITERAL.sub("''", soql)
    for word, pattern in _FORBIDDEN.items():
        if pattern.search(bare):
            raise BatchRefused(f"Entity query with {word} is not supported by the Bulk API")
    found = re.match(r"\s*SELECT\s+(.*?)\s+FROM\s+\w+", bare, re.IGNORECASE | re.DOTALL)
    if found is None or not found[1].strip():
        raise BatchRefused("unexpected token: query jobs take SELECT fields FROM object")
    if "(" in found[1]:
        kind = (
            "Nested queries are"
            if re.search(r"\(\s*SELECT\b", found[1], re.IGNORECASE)
            else "Aggregate functions are"
        )
        raise BatchRefused(f"{kind} not supported by the Bulk API")
    return [name.strip() for name in found[1].split(",")]


def pick(record: dict[str, Any], name: str) -> Any:
    """Return what a queried record holds under a dotted name, whatever the case; None on a broken path."""
    value: Any = record
    for step in name.split("."):
        if not isinstance(value, dict):
            return None
        if step in value:
            value = value[step]
        else:
            low = step.lower()
            value = next((v for k, v in value.items() if k.lower() == low), None)
    return value
