"""What a query job does: run its SOQL once, keep the answer, hand it out in pages.

A locator is opaque, may be used again, and reads `null` at the end. Fact sheet section 3.4.
"""

from __future__ import annotations

import base64
import time
from typing import Any

from tillbridge.simulators.salesforce import bulk_csv, values
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User

RESULT_PAGES_MAX = 5


class QueryWork:
    """One query job. The query is checked at creation and run when the job is done."""

    def __init__(self, org: Org, user: User, soql: str, columns: list[str], *, all_rows: bool) -> None:
        self.soql = soql
        self._org, self._user, self._columns, self._all_rows = org, user, columns, all_rows
        self._rows: list[list[str]] = []
        self.object = org.check_query(user, soql)
        self._refuse_compounds()
        self.total = len(org.rows(self.object))
        self.processed = self.milliseconds = 0
        self.trouble = ""
        self.done = False

    def _refuse_compounds(self) -> None:
        sobject = self._org.find(self.object)
        for column in self._columns:
            field = sobject.find(column) if sobject else None
            if field and field.type in {"address", "location"}:
                raise bulk_csv.BatchRefused("Selecting compound data not supported in Bulk Query")

    def proceed(self, share: float, rows_max: int) -> None:  # noqa: ARG002  Ingest work has the same face.
        """Run the query once its time has come; it sees the rows of that moment."""
        if share < 1.0 or self.done:
            return
        started = time.perf_counter()
        try:
            records = self._org.query(self._user, self.soql, all_rows=self._all_rows)
        except values.Refused as wrong:
            # It was fine at creation: the schema or the rights changed since.
            self.trouble = f"{wrong.error.code} : {wrong.error.message}"
            return
        self._rows = [[bulk_csv.query_cell(bulk_csv.pick(r, c)) for c in self._columns] for r in records]
        self.processed, self.done = len(self._rows), True
        self.milliseconds = int((time.perf_counter() - started) * 1_000)

    def finish(self) -> None:
        """Keep the rows: they are the result."""

    def start_of(self, job_id: str, locator: str) -> int | None:
        """Return the row that a locator points at; None for one that is not of this job."""
        if not locator:
            return 0
        try:
            text = base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode("ascii")
        except ValueError:
            return None
        job, _, start = text.partition(".")
        return int(start) if job == job_id[8:15] and start.isdecimal() else None

    def page(
        self, job_id: str, start: int, size: int, delimiter: str, line_ending: str
    ) -> tuple[bytes, int, str]:
        """Return (CSV with header, number of records, next locator)."""
        rows = self._rows[start : start + size]
        return (
            bulk_csv.render(self._columns, rows, delimiter, line_ending),
            len(rows),
            self._next(job_id, start + size),
        )

    def pages(self, job_id: str, path: str, start: int, size: int) -> dict[str, Any]:
        """Return up to five page links, to be fetched side by side (v58 and later)."""
        starts = range(start, max(start + 1, len(self._rows)), size)
        links = [
            {"resultLink": f"{path}/results?locator={self._locator(job_id, s)}&maxRecords={size}"}
            for s in starts
        ]
        done = len(links) <= RESULT_PAGES_MAX
        following = self._next(job_id, start + RESULT_PAGES_MAX * size)
        return {
            "resultPages": links[:RESULT_PAGES_MAX],
            "nextRecordsUrl": None if done else f"{path}/resultPages?locator={following}&maxRecords={size}",
            "done": done,
        }

    def _next(self, job_id: str, start: int) -> str:
        return self._locator(job_id, start) if start < len(self._rows) else "null"

    def _locator(self, job_id: str, start: int) -> str:
        return base64.urlsafe_b64encode(f"{job_id[8:15]}.{start}".encode()).decode().rstrip("=")
