"""Carry staged sales to the CRM by bulk jobs: headers, then lines, then payments, a wave at a time.

Every step is written down before the next begins, so a kill at any moment
resumes at the job in the air. Children are sorted by parent, because a bulk
load locks parents. Results come in any order and are joined by key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, islice

import msgspec

from tillbridge.engine import beside
from tillbridge.engine.connection import Connection
from tillbridge.engine.patches import patch_lookups
from tillbridge.engine.preflight import forget_objects
from tillbridge.engine.resolve import Resolver
from tillbridge.engine.rows import Row, Standing
from tillbridge.engine.sales import PARTS, Part, plan_sales
from tillbridge.engine.writer import missing_of, problem_of, standing_for, stop_for
from tillbridge.model.acks import Refused
from tillbridge.model.batches import batched
from tillbridge.model.errors import BadRequest, ConfigurationInvalid, Transient
from tillbridge.model.writing import BulkAck, BulkJob, Value
from tillbridge.store.spool import JobRow
from tillbridge.store.state import Link, Missing, Settled
from tillbridge.sync.fieldmap import FieldMap
from tillbridge.sync.problems import class_of

# A wave costs about twenty calls however large it is. 20,000 sales (some 30,000 lines, 10 MB of CSV) keep
# that near one call per thousand sales, while what we remember of them until their acks come fits into 15 MB.
WAVE_SALES_MAX = 20_000

# First waits short, since small jobs take seconds; then each poll costs a call of the shared day.
_POLL_SECONDS = (2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

# Whoever is in a hurry waits no longer than this for a load that waits itself.
_PIECE_SECONDS = 0.1

# A job that has not ended after this long is stuck on their side; it goes on, we come back later.
_JOB_SECONDS_MAX = 4 * 3600.0

# Rows that were never looked at, or lost a lock, go into another job so many times.
_JOBS_MAX = 3

# A job takes 100 MB of CSV (fact sheet Salesforce 3.3); a row of ours has some 250 bytes, seldom a thousand.
JOB_ROWS_MAX = 100_000

# So many rows are settled in one transaction: enough to make its cost small, few enough to hold.
_SETTLED_AT_ONCE = 2_000
_NUMBERS = frozenset({"double", "currency", "percent", "int"})

# A session that ends while a job runs fails the rows behind it; the next job has a session of its own.
_SESSION_ENDED = "INVALID_SESSION_ID"

# How such a job is noted whose upload was not answered.
_UNSURE = "unsure"
_NO_SUCH_FIELD = re.compile(r"InvalidBatch|field name not found|no such column", re.IGNORECASE)


class _Sent(msgspec.Struct, gc=False):
    """What we need to know of a row when its ack comes. A wave holds all of them: they are kept small."""

    till_id: str
    digest: bytes | None
    sale: str | None
    missing: Sequence[Missing]
    till_stamp: float | None = None
    history: bool | None = None


class Wave:
    """One wave of staged sales on its way."""

    def __init__(self, connection: Connection, number: int, *, history: bool) -> None:
        self._connection = connection
        self._state = connection.state
        self._number = number
        self._history = history
        # A line that was refused may be all that a stopped run has left of its sale's trouble.
        self._refused = self._state.refused_in(number)
        self.counts: Counter[str] = Counter()

    def load(self) -> Counter[str]:
        """Bring the whole wave across and settle it; return counts of rows by what became of them."""
        bar = self._connection.progress.bar("Loading sales, lines, payments", len(PARTS))
        for part in PARTS:
            self._load_part(part)
            self._connection.give_way()
            bar.advance()
        bar.close()
        patch_lookups(self._connection)
        self._close()
        return self.counts

    # --- one part ----------------------------------------------------------------------------

    def _load_part(self, part: Part) -> None:
        done = self._connection.spool.job(self._number, part)
        if done is not None and done.state == "settled":
            return
        failures = 0
        while failures < _JOBS_MAX:
            sent, again = self._one_job(part, last=failures == _JOBS_MAX - 1)
            # The job is answered: whatever comes next is another one.
            with self._state.begin() as c:
                self._connection.spool.note_job(c, JobRow(self._number, part, None, "opened", 0))
            failures += bool(again)
            if not again and sent < JOB_ROWS_MAX:
                break
        with self._state.begin() as c:
            self._connection.spool.note_job(c, JobRow(self._number, part, None, "settled", 0))

    def _one_job(self, part: Part, *, last: bool) -> tuple[int, int]:
        """Send what is not confirmed, wait, settle; return how many rows went, and how many must go again."""
        row = self._connection.spool.job(self._number, part)
        job = self._surviving(row)
        sent: dict[str, _Sent] = {}
        if job is None:
            job = self._send(part, sent)
            if job is None:
                return 0, 0
        else:
            # The process that sent these rows is gone, and with it the digests: the rows are confirmed
            # without one, which only means that they are compared afresh when the till shows them again.
            for _ in self._rows(part, sent):
                pass
            for kept in sent.values():
                kept.digest = None
        count = len(sent)
        return count, self._settle(part, self._wait(job, part), sent, last=last)

    def _surviving(self, row: JobRow | None) -> BulkJob | None:
        """Return a job of an earlier process that runs or ended; give one up that was never closed."""
        if row is None or row.job_id is None or row.state == "settled":
            return None
        job = self._connection.crm.bulk_status(row.job_id)
        if job is None or job.state in {"aborted", "failed"}:
            return None
        if job.state == "open":
            self._connection.crm.bulk_abort(job.id)
            return None
        return job

    def _send(self, part: Part, sent: dict[str, _Sent]) -> BulkJob | None:
        table = self._connection.maps[part]
        crm, spool = self._connection.crm, self._connection.spool
        rows = self._rows(part, sent)
        if (first := next(rows, None)) is None:
            return None
        job_id = crm.bulk_open(table.object, "upsert", table.key_field)
        with self._state.begin() as c:
            spool.note_job(c, JobRow(self._number, part, job_id, "opened", 0))
        some = islice(chain([first], rows), JOB_ROWS_MAX)
        try:
            count = crm.bulk_upload(job_id, _columns(table, self._connection), some)
        except Transient as error:
            if not error.outcome_unknown:
                raise
            return self._close_unsure(part, job_id, len(sent))
        crm.bulk_close(job_id)
        with self._state.begin() as c:
            spool.note_job(c, JobRow(self._number, part, job_id, "closed", count))
        return BulkJob(id=job_id, state="working")

    def _close_unsure(self, part: Part, job_id: str, count: int) -> BulkJob:
        """Close a job whose upload was not answered, and let its results say which rows it has.

        Nothing shows whether an open job holds anything, and a second upload into one is refused, or counts
        its rows twice (fact sheet Salesforce 3.1). Giving it up and starting again would never end where
        just this answer is lost every time.
        """
        with self._state.begin() as c:
            self._connection.spool.note_job(c, JobRow(self._number, part, job_id, _UNSURE, count))
        try:
            self._connection.crm.bulk_close(job_id)
        except BadRequest:
            # It has nothing that could be closed. Whatever else is wrong, the next job meets and names.
            self._connection.crm.bulk_abort(job_id)
            return BulkJob(id=job_id, state="aborted")
        return BulkJob(id=job_id, state="working")

    def _wait(self, job: BulkJob, part: str) -> BulkJob:
        clock = self._connection.clock
        bar = self._connection.progress.bar(f"Salesforce takes in the {part} rows")
        begun = clock.monotonic()
        waits = iter(_POLL_SECONDS)
        while job.state in {"open", "working"}:
            if clock.monotonic() - begun > _JOB_SECONDS_MAX:
                raise Transient(
                    f"Salesforce has not finished bulk job {job.id}; run backfill again to go on."
                )
            self._rest(next(waits, _POLL_SECONDS[-1]))
            found = self._connection.crm.bulk_status(job.id)
            if found is None:
                raise Transient(f"Salesforce no longer knows bulk job {job.id}; run backfill again to go on.")
            bar.advance(max(0, found.processed - job.processed))
            job = found
        bar.close()
        return job

    def _rest(self, seconds: float) -> None:
        """Wait for the CRM in short pieces, so that others can work meanwhile."""
        clock = self._connection.clock
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > 0:
            self._connection.let_pass()
            clock.sleep(min(left, _PIECE_SECONDS))
        self._connection.let_pass()

    # --- rows of a part ----------------------------------------------------------------------

    def _rows(self, part: Part, sent: dict[str, _Sent]) -> Iterator[dict[str, Value]]:
        """Yield the payloads of a part that the CRM has not confirmed, in the order of their sales."""
        for sales in self._connection.spool.pages(self._number):
            self._connection.let_pass()
            seen_at = self._connection.clock.now()
            plan = plan_sales(self._connection, sales, history=self._history, seen_at=seen_at, parts=(part,))
            if part == "sale" and plan.settled:
                with self._state.begin() as c:
                    self._state.settle(c, plan.settled)
            yield from self._unconfirmed(plan.rows, sent)
        self._connection.let_pass()

    def _unconfirmed(self, rows: list[Row], sent: dict[str, _Sent]) -> Iterator[dict[str, Value]]:
        resolver = Resolver(self._state, self._connection.maps, self._connection.account.id)
        resolver.look_up(rows, own=False)
        known = self._state.known(rows[0].kind, [row.till_id for row in rows]) if rows else {}
        for row in rows:
            before = known.get(row.till_id)
            if before is not None and before.crm_id is not None:
                resolver.learn(row.thing, Link(before.crm_id, row.object))
            standing = resolver.resolve(row)
            if standing.lost or (row.sale or row.till_id) in self._refused:
                self.counts["held"] += 1
            elif before is not None and before.digest == standing.digest and before.state != "problem":
                self.counts["unchanged"] += 1
            else:
                assert row.key_field is not None
                sent[str(row.payload[row.key_field])] = _remember(standing)
                yield standing.payload

    # --- acks --------------------------------------------------------------------------------

    def _settle(self, part: Part, job: BulkJob, sent: dict[str, _Sent], *, last: bool) -> int:
        table = self._connection.maps[part]
        assert table.key_field is not None
        again = 0
        stopped: Refused | None = None
        noted = self._connection.spool.job(self._number, part)
        nothing_came = noted is not None and noted.state == _UNSURE and not job.processed
        results = () if nothing_came else self._connection.crm.bulk_results(job, table.key_field)
        for acks in batched(results, _SETTLED_AT_ONCE):
            written: list[tuple[BulkAck, _Sent]] = []
            refused: list[tuple[BulkAck, _Sent]] = []
            for ack in acks:
                row = sent.pop(ack.key, None)
                if row is None:
                    continue  # Not ours to settle: it was confirmed before the restart.
                if ack.code is None and not ack.unprocessed:
                    written.append((ack, row))
                elif class_of(_refusal(ack)) == "halted":
                    # Nothing is wrong with this row: it stays staged, and what was written is kept.
                    again += 1
                    if last or ack.code != _SESSION_ENDED:
                        stopped = _refusal(ack)
                elif not last and (ack.unprocessed or class_of(_refusal(ack)) in {"transient", "waiting"}):
                    again += 1
                else:
                    refused.append((ack, row))
            self._write_down(part, table, written, refused)
            self._connection.let_pass()
        if stopped is not None:
            # The job is answered. Taken up again, it would stop every later run with the same answer.
            with self._state.begin() as c:
                self._connection.spool.note_job(c, JobRow(self._number, part, None, "opened", 0))
            raise stop_for(stopped)
        if job.state == "failed" and not nothing_came and _NO_SUCH_FIELD.search(job.message or ""):
            # The org has changed since it was last described. Nothing is lost: the wave stays staged.
            forget_objects(self._state)
            raise ConfigurationInvalid([(f"map.{part}", f"Salesforce refused the whole job: {job.message}")])
        if sent and last:
            said = job.message or "it did not say why"
            raise Transient(
                f"Salesforce left {len(sent)} rows of bulk job {job.id} alone, three times over ({said}). "
                "They stay staged; run backfill again to go on."
            )
        return again + len(sent)

    def _write_down(
        self,
        part: str,
        table: FieldMap,
        written: list[tuple[BulkAck, _Sent]],
        refused: list[tuple[BulkAck, _Sent]],
    ) -> None:
        standings = [
            Settled(
                kind=part,
                till_id=row.till_id,
                state="staged" if part == "sale" else "settled",
                reason="its lines and payments are on their way" if part == "sale" else None,
                crm_id=ack.id,
                object=table.object,
                digest=row.digest,
                parent=row.sale,
                till_stamp=row.till_stamp,
                history=row.history,
                wave=self._number if part == "sale" else None,
            )
            for ack, row in written
        ]
        problems = [(ack, row, _refusal(ack)) for ack, row in refused]
        with self._state.begin() as c:
            self._state.settle(c, standings)
            self._state.wait(c, [], [m for _, row in written for m in row.missing])
            self._connection.journal.resolve(c, [(part, row.till_id) for _, row in written])
            self._connection.journal.refuse(
                c, [problem_of(self._sent(part, table, ack, row), refusal) for ack, row, refusal in problems]
            )
            self._state.settle(
                c,
                [
                    Settled(
                        kind=part,
                        till_id=row.till_id,
                        state="problem",
                        reason=r.message,
                        object=table.object,
                        parent=row.sale,
                        till_stamp=row.till_stamp,
                        wave=self._number,
                    )
                    for _, row, r in problems
                ],
            )
        for _, row, refusal in problems:
            self._refused.setdefault(row.sale or row.till_id, f"{table.object}: {refusal.message}")
        self.counts["created"] += sum(1 for ack, _ in written if ack.created is not False)
        self.counts["updated"] += sum(1 for ack, _ in written if ack.created is False)
        self.counts["refused"] += len(problems)

    def _sent(self, part: str, table: FieldMap, ack: BulkAck, row: _Sent) -> Standing:
        """Return a refused row as it was sent: the answer repeats it, so that a wave need not hold it."""
        fields = self._connection.objects[table.object].fields
        payload = {
            name: None if cell is None else _value_of(fields[name].type if name in fields else "", cell)
            for name, cell in (ack.row or {}).items()
        }
        bare = Row(kind=part, till_id=row.till_id, object=table.object, payload={}, sale=row.sale)
        return Standing(row=bare, payload=payload, digest=b"", missing=[])

    def _close(self) -> None:
        """Every row of the wave is answered: settle its sales and forget what was staged."""
        landed = self._state.staged(self._number)
        for start in range(0, len(landed), _SETTLED_AT_ONCE):
            self._close_sales(landed[start : start + _SETTLED_AT_ONCE])
            self._connection.let_pass()
        with self._state.begin() as c:
            self._connection.spool.clear(c, self._number)
            beside.close(self._connection, c)

    def _close_sales(self, sales: list[str]) -> None:
        missing = self._state.missing_for(sales)
        standings = []
        for sale in sales:
            state, reason = standing_for(missing.get(sale, []))
            if sale in self._refused:
                state, reason = "problem", self._refused[sale]
            standings.append(Settled(kind="sale", till_id=sale, state=state, reason=reason))
        with self._state.begin() as c:
            self._state.settle(c, standings)


def _remember(standing: Standing) -> _Sent:
    row = standing.row
    missing = missing_of([standing]) if standing.missing else ()
    return _Sent(row.till_id, standing.digest, row.sale, missing, row.till_stamp, row.history)


def _refusal(ack: BulkAck) -> Refused:
    if ack.unprocessed:
        return Refused(
            "UNPROCESSED", "Salesforce did not look at this row; it is sent again with the next run."
        )
    return Refused(ack.code or "UNKNOWN_EXCEPTION", ack.message or "", ack.fields)


def _value_of(field_type: str, cell: str) -> Value:
    """Read a cell of a result as we had sent it; numbers come back rewritten, such as 9.12E2."""
    with suppress(InvalidOperation, ValueError):  # Refused for being no number or no moment, maybe.
        if field_type == "boolean":
            return cell == "true"
        if field_type == "datetime":
            return datetime.fromisoformat(cell)
        if field_type in _NUMBERS:
            return Decimal(format(Decimal(cell), "f"))
    return cell


def _columns(table: FieldMap, connection: Connection) -> list[str]:
    held = connection.objects[table.object].fields
    decided = connection.journal.decided().fields_of(table.name, table.object)
    names = [name for name in dict.fromkeys((*table.targets, *sorted(decided))) if name in held]
    return [table.key_field, *names] if table.key_field and table.key_field not in names else names
