"""What an ingest job does with its file: row after row, in chunks of 200, and what became of each.

Rows are written in file order, so of two rows with one key in different chunks the
later wins; inside a chunk both are refused. Results come back shuffled: the
platform promises no order, and a client that counts rows must fail here.
Fact sheet sections 3.1 to 3.3.
"""

from __future__ import annotations

import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tillbridge.simulators.salesforce import bulk_csv
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import Field, RowError, RowResult, SObject, User

CHUNK_ROWS = 200
NUMBER_TYPES = {"double", "currency", "percent"}

# (id, created, error): one row's fate; None while nothing happened to it.
Outcome = tuple[str, bool, str]


class IngestWork:
    """One closed ingest job's rows and their outcomes."""

    def __init__(
        self,
        org: Org,
        user: User,
        job_id: str,
        object_name: str,
        operation: str,
        external_id: str,
        *,
        assigns: bool,
    ) -> None:
        self._org, self._user = org, user
        self._object, self._operation, self._external_id = object_name, operation, external_id
        self._assigns = assigns
        self._random = random.Random(job_id)
        self._format = ("LF", "COMMA")
        # The upload is kept packed: results are asked for once or never, and echo the sent cells.
        self._packed = b""
        self._rows: list[bulk_csv.Row] = []
        self._columns: list[bulk_csv.Column] = []
        self._outcomes: list[Outcome | None] = []
        self._allowed = self._recorded = 0
        self._header: bulk_csv.Row = []
        # Where the key stands in a row, and whether its case is of no matter.
        self._key_place, self._key_folds = -1, False
        self.total = self.processed = self.failed = self.milliseconds = 0
        self.trouble = ""
        self.done = False

    def take(self, content: bytes, line_ending: str, delimiter: str) -> None:
        """Read the upload; a file that is no good is the job's trouble, not the request's."""
        self._format = (line_ending, delimiter)
        self._packed = zlib.compress(content, 1)
        rows = bulk_csv.rows_of(content, line_ending, delimiter)
        try:
            self._header = next(rows, [])
            self._columns = [self._column(header) for header in self._header]
            self._key_place, self._key_folds = self._key_column()
            self._rows.extend(rows)
        except bulk_csv.BatchRefused as wrong:
            self.trouble = str(wrong)
        self.total = self._recorded = self._allowed = len(self._rows)
        self._outcomes = [None] * self.total

    def allow(self, *, rows: int, recorded: int) -> None:
        """Bound the job by the day's allowance of rows, and its results by that of batches."""
        self._allowed = min(self.total, rows, recorded)
        self._recorded = min(self.total, recorded)

    def proceed(self, share: float, rows_max: int) -> None:
        """Process rows until `share` of all are done, at most `rows_max` of them now."""
        if self.trouble or self.done:
            return
        started = time.perf_counter()
        stop_at = self._org.switches.get("bulk_fail_after_rows")
        end = self._allowed if stop_at is None else min(self._allowed, int(stop_at))
        goal = min(end, self.processed + rows_max, -(-int(share * self.total) // CHUNK_ROWS) * CHUNK_ROWS)
        goal = end if share >= 1.0 and end - self.processed <= rows_max else goal
        while self.processed < goal:
            self._chunk(self.processed, min(goal, self.processed + CHUNK_ROWS))
        self.milliseconds += int((time.perf_counter() - started) * 1_000)
        if self.processed < end:
            return
        if end == self.total:
            self.done = True
        elif end == self._allowed:
            self.trouble = "ExceededQuota : The limit of batches or rows in 24 hours is reached"
        else:
            self.trouble = "TooManyLockFailure : Too many lock failures"

    def finish(self) -> None:
        """Forget the parsed rows: the packed upload and the outcomes stay."""
        self._rows = []

    def results(self, name: str, *, rewrite_numbers: bool) -> bytes:
        """Write one of the three result files; `name` in lower case."""
        line_ending, delimiter = self._format
        extra = {"successfulresults": ["sf__Id", "sf__Created"], "failedresults": ["sf__Id", "sf__Error"]}
        rows = self._result_rows(name, rewrite_numbers=rewrite_numbers)
        return bulk_csv.render(extra.get(name, []) + self._header, rows, delimiter, line_ending)

    def _result_rows(self, name: str, *, rewrite_numbers: bool) -> Iterator[list[str]]:
        wanted = [
            i for i, outcome in enumerate(self._outcomes[: self._recorded]) if name == _file_of(outcome)
        ]
        if not wanted:
            return
        self._random.shuffle(wanted)
        rows = list(bulk_csv.rows_of(zlib.decompress(self._packed), *self._format))[1:]
        sobject = self._sobject()
        numbers = [i for i, c in enumerate(self._columns) if rewrite_numbers and _is_number(sobject, c)]
        for index in wanted:
            row, outcome = rows[index], self._outcomes[index]
            if name != "unprocessedrecords":
                for i in numbers:
                    row[i] = bulk_csv.java_double(row[i])
            if outcome is None:
                yield row
            else:
                row_id, created, error = outcome
                yield [row_id, error or ("true" if created else "false"), *row]

    def _sobject(self) -> SObject:
        sobject = self._org.find(self._object)
        assert sobject is not None  # The job was created for it, and objects do not go away.
        return sobject

    def _column(self, header: str) -> bulk_csv.Column:
        parent_type, relation, name = bulk_csv.split_header(header)
        sobject = self._sobject()
        if not relation:
            found = self._visible(sobject, name)
            if found is None:
                raise bulk_csv.BatchRefused(f"InvalidBatch : Field name not found : {header}")
            return bulk_csv.Column(header, found.name)
        lookup = next(
            (f for f in sobject.fields.values() if f.relationship.lower() == relation.lower()), None
        )
        key = self._key_of(lookup, parent_type, name) if lookup else None
        # A polymorphic parent needs its type before the colon, and any other must not have one.
        if lookup is None or key is None or bool(parent_type) != (len(lookup.reference_to) > 1):
            raise bulk_csv.BatchRefused(f"InvalidBatch : Field name not found : {header}")
        return bulk_csv.Column(header, key.name, lookup.relationship, parent_type, lookup.name)

    def _key_of(self, lookup: Field, parent_type: str, name: str) -> Field | None:
        if self._visible(self._sobject(), lookup.name) is None:
            return None
        target = parent_type or (lookup.reference_to[0] if lookup.reference_to else "")
        parent = self._org.find(target)
        if parent is None or parent.name not in lookup.reference_to:
            return None
        key = self._visible(parent, name)
        return key if key and (key.external_id or key.id_lookup or key.name == "Id") else None

    def _visible(self, sobject: SObject, name: str) -> Field | None:
        found = sobject.find(name)
        return found if found and found.name in self._org.visible_fields(self._user, sobject) else None

    # --- rows ---

    def _chunk(self, start: int, end: int) -> None:
        twins = self._twins(start, end)
        lock_percent = float(self._org.switches.get("bulk_lock_percent", 0))
        for index in range(start, end):
            fields = bulk_csv.fields_of(self._columns, self._rows[index])
            if lock_percent and self._random.random() * 100 < lock_percent:
                result = _locked(str(fields.get("Id") or ""))
            elif twins and (twin := self._twin_key(index)) in twins:
                result = RowResult(errors=[self._twin_error(twin)])
            else:
                result = self._write(fields)
            self._outcomes[index] = _outcome(result)
            self.failed += not result.success
            self.processed += 1

    def _write(self, fields: dict[str, Any]) -> RowResult:
        operation, key = self._operation, self._external_id or None
        if operation == "upsert" and key == "Id":
            operation, key = ("update" if fields.get("Id") else "insert"), None
        return self._org.write(
            self._user,
            self._object,
            operation,
            fields,
            ext_field=key,
            source="bulk",
            auto_assign=self._assigns,
        )

    def _twins(self, start: int, end: int) -> set[str]:
        """Return the keys that occur more than once in the window of this chunk."""
        window = int(self._org.switches.get("bulk_duplicate_window", CHUNK_ROWS))
        if window != CHUNK_ROWS:
            start, end = (
                (start // window * window, start // window * window + window) if window else (0, self.total)
            )
        counts = Counter(self._twin_key(i) for i in range(start, min(end, self.total)))
        if len(counts) == min(end, self.total) - start:
            return set()
        return {key for key, count in counts.items() if key and count > 1}

    def _twin_key(self, index: int) -> str:
        if self._key_place < 0:
            return ""
        cell = self._rows[index][self._key_place]
        return cell.lower() if self._key_folds else cell

    def _key_column(self) -> tuple[int, bool]:
        name = self._external_id or ("" if self._operation == "insert" else "Id")
        place = next((i for i, c in enumerate(self._columns) if c.field == name and not c.relation), -1)
        found = self._sobject().find(name) if name else None
        return place, bool(found and name != "Id" and not found.case_sensitive)

    def _twin_error(self, key: str) -> RowError:
        if self._external_id and self._external_id != "Id":
            return RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", [self._external_id])
        return RowError("DUPLICATE_VALUE", f"duplicate id in list: {key}", ["Id"])


def _file_of(outcome: Outcome | None) -> str:
    if outcome is None:
        return "unprocessedrecords"
    return "failedresults" if outcome[2] else "successfulresults"


def _is_number(sobject: SObject, column: bulk_csv.Column) -> bool:
    found = None if column.relation else sobject.find(column.field)
    return found is not None and found.type in NUMBER_TYPES


def _locked(row_id: str) -> RowResult:
    text = "unable to obtain exclusive access to this record or 1 records"
    return RowResult(row_id, errors=[RowError("UNABLE_TO_LOCK_ROW", f"{text}: {row_id}" if row_id else text)])


def _outcome(result: RowResult) -> Outcome:
    if result.success:
        return (result.id, result.created, "")
    if result.matches:
        text = f"more than one record found for external id field: [{', '.join(result.matches)}]"
        return ("", False, f"DUPLICATE_EXTERNAL_ID:{text}:--")
    first = result.errors[0]
    return (result.id, False, f"{first.code}:{first.message}:{','.join(first.fields)} --")
