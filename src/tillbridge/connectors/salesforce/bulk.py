"""Decide what a bulk job is told and what its files say: job bodies, states, CSV up and CSV down.

`JobComplete` says nothing about rows and `Failed` undoes none, so every row's
fate is read from the result files, whose rows come in any order. Files live in
anonymous temporary files: they hold customers' data and must not outlive us.
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import IO, Any, Literal, cast

from tillbridge.connectors.salesforce import wire
from tillbridge.connectors.salesforce.protocol import unreadable
from tillbridge.model.errors import BadRequest
from tillbridge.model.writing import BulkAck, BulkJob

# A job takes 150 MB after Base64, which is about 100 MB of CSV (fact sheet, bulk limits).
# Rows of a job are worked off in batches of so many, and batches are what the org's day is counted in.
BATCH_ROWS = 10_000

UPLOAD_BYTES_MAX = 100_000_000
# How often the size is looked at: small enough to stop soon, large enough to cost nothing.
_ROWS_BETWEEN_CHECKS = 2_000
# Salesforce's long texts have at most 131,072 characters, the library's default limit; one more would raise.
_CELL_CHARS_MAX = 1_000_000
_COPY_BYTES = 1 << 16

_STATES: dict[str, Literal["open", "working", "complete", "failed", "aborted"]] = {
    "Open": "open",
    "JobComplete": "complete",
    "Failed": "failed",
    "Aborted": "aborted",
}
# How the columns that a result file adds to ours begin.
_OWN_COLUMNS = "sf__"
# CODE:message:fields --   The message may hold colons, and the fields may be missing.
_ROW_ERROR = re.compile(r"^([A-Z][A-Z0-9_]*):(.*)$", re.DOTALL)
_ROW_ERROR_FIELDS = re.compile(r"^(.*):(?! )([\w.,; ]*)$", re.DOTALL)


def ingest_body(
    object_name: str, operation: Literal["upsert", "update", "insert"], key_field: str | None
) -> bytes:
    """Spell the request that opens a job."""
    if (operation == "upsert") != (key_field is not None):
        raise ValueError(f"a job for {object_name} names a key field if and only if it upserts")
    body = {
        "object": object_name,
        "operation": operation,
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",  # Must match the bytes, or the job fails as a whole.
    }
    return wire.encode(body | ({"externalIdFieldName": key_field} if key_field else {}))


def query_body(text: str) -> bytes:
    """Spell the request that starts a query job."""
    return wire.encode(
        {
            "operation": "query",
            "query": text,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
    )


def state_body(state: Literal["UploadComplete", "Aborted"]) -> bytes:
    """Spell the request that moves a job on."""
    return wire.encode({"state": state})


def job_id(answer: Any) -> str:
    """Read the id of the job just opened."""
    id_ = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(id_, str) or not id_:
        raise unreadable("opening a bulk job")
    return id_


def read_job(answer: Any) -> BulkJob:
    """Read where a job stands; a state that we do not know is one on the way."""
    return BulkJob(
        id=job_id(answer),
        state=_STATES.get(str(answer.get("state")), "working"),
        processed=int(answer.get("numberRecordsProcessed") or 0),
        failed=int(answer.get("numberRecordsFailed") or 0),
        message=answer.get("errorMessage") or None,
    )


def write_csv(
    file: IO[bytes],
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    *,
    bytes_max: int = UPLOAD_BYTES_MAX,
) -> int:
    """Write the rows of a job and return how many; BadRequest as soon as they are too many bytes."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for cells in wire.csv_rows(columns, rows):
        writer.writerow(cells)
        count += 1
        if count % _ROWS_BETWEEN_CHECKS == 0:
            _check_size(text, file, bytes_max)
    _check_size(text, file, bytes_max)
    text.detach()
    return count


def _check_size(text: TextIOWrapper, file: IO[bytes], bytes_max: int) -> None:
    text.flush()
    if file.tell() > bytes_max:
        text.detach()
        raise BadRequest(
            f"A bulk job may hold {bytes_max // 1_000_000} MB and this one has more: send fewer rows a job",
            code="UPLOAD_TOO_LARGE",
            status=413,
        )


def scratch_file() -> IO[bytes]:
    """Open a file without a name, gone with its last handle whatever happens to us."""
    return cast("IO[bytes]", TemporaryFile("w+b", buffering=_COPY_BYTES))


def read_csv(file: IO[bytes]) -> Iterator[list[str]]:
    """Read rows, header first, without the NUL bytes that Salesforce's files are known to hold."""
    # A setting of the whole process; raising it harms no other reader.
    csv.field_size_limit(max(_CELL_CHARS_MAX, csv.field_size_limit()))
    file.seek(0)
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from csv.reader(line.replace("\0", "") if "\0" in line else line for line in text)
    finally:
        text.detach()


def read_written(file: IO[bytes], key_column: str) -> Iterator[BulkAck]:
    """Read successfulResults."""
    header, rows = _table(file)
    key, id_, created = (_place(header, name) for name in (key_column, "sf__Id", "sf__Created"))
    for row in rows:
        yield BulkAck(row[key], id=row[id_] or None, created=row[created].lower() == "true")


def read_refused(file: IO[bytes], key_column: str) -> Iterator[BulkAck]:
    """Read failedResults."""
    header, rows = _table(file)
    key, id_, error = (_place(header, name) for name in (key_column, "sf__Id", "sf__Error"))
    for row in rows:
        code, message, fields = parse_row_error(row[error])
        sent = _as_sent(header, row)
        yield BulkAck(row[key], id=row[id_] or None, code=code, message=message, fields=fields, row=sent)


def read_unprocessed(file: IO[bytes], key_column: str) -> Iterator[BulkAck]:
    """Read unprocessedrecords."""
    header, rows = _table(file)
    key = _place(header, key_column)
    for row in rows:
        yield BulkAck(row[key], unprocessed=True, row=_as_sent(header, row))


def _as_sent(header: Sequence[str], row: Sequence[str]) -> dict[str, str | None]:
    """Take what was sent out of a result row, which repeats it beside columns of its own."""
    cells = zip(header, row, strict=True)
    return {
        name: None if cell == wire.CSV_NULL else cell
        for name, cell in cells
        if cell and not name.casefold().startswith(_OWN_COLUMNS)
    }


def read_records(file: IO[bytes]) -> Iterator[dict[str, str]]:
    """Read one page of a query job's answer."""
    header, rows = _table(file)
    for row in rows:
        yield dict(zip(header, row, strict=True))


def _table(file: IO[bytes]) -> tuple[list[str], Iterator[list[str]]]:
    """Return the header and the rows below it; a file without any line has neither."""
    rows = read_csv(file)
    header = next(rows, [])
    return header, _whole_rows(rows, len(header))


def _whole_rows(rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    for row in rows:
        if len(row) == width:
            yield row
        elif row:
            raise unreadable("a question for a bulk job's rows")


def parse_row_error(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Take `CODE:message:fields --` apart into code, message and fields."""
    match = _ROW_ERROR.match(text.strip())
    if match is None:
        return "UNKNOWN_EXCEPTION", " ".join(text.split()) or "no reason given", ()
    code, rest = match[1], match[2].rstrip()
    if not rest.endswith("--"):
        return code, " ".join(rest.split()), ()
    rest = rest.removesuffix("--").rstrip()
    parts = _ROW_ERROR_FIELDS.match(rest)
    if parts is None:
        return code, " ".join(rest.split()), ()
    return code, " ".join(parts[1].split()), tuple(re.findall(r"[\w.]+", parts[2]))


def _place(header: Sequence[str], name: str) -> int:
    """Find a column whatever its case; in a file without a header any place will do."""
    folded = name.casefold()
    for place, column in enumerate(header):
        if column.casefold() == folded:
            return place
    if not header:
        return 0
    raise BadRequest(f"A bulk result has no column {name}", code="NO_SUCH_COLUMN", status=200, fields=(name,))
