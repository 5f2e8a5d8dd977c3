"""The tables. `record` is the heart: every thing we ever saw, where it stands, and why."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# What we are bound to, and small facts worth keeping between runs (JSON text).
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# Position of an incremental read, moved only when its whole page stands somewhere visible.
cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("position", sa.Text, nullable=False),
    sa.Column("moved_at", sa.Float, nullable=False),
)

# Link, shadow digest and state of one thing. kind: a model Kind, or line, payment, identity, price.
record = sa.Table(
    "record",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("crm_id", sa.Text),
    sa.Column("object", sa.Text),  # the CRM object that crm_id is of
    sa.Column("crm_parent", sa.Text),  # a linked contact's account
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("digest", sa.LargeBinary),  # of the payload that the target last acknowledged
    sa.Column("parent", sa.Text),  # the sale of a line or payment
    sa.Column("till_stamp", sa.Float),  # the till's own change stamp of what we settled, epoch seconds
    sa.Column("history", sa.Boolean),  # a sale that came with a historic load
    sa.Column("wave", sa.Integer),
    sa.Column("moved_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
    sa.Column("verified_at", sa.Float),  # when it was last read from the till itself, our clock
    sa.Column("role", sa.Text),  # how it came to its CRM record: created, adopted, or second
    sqlite_with_rowid=False,
)
sa.Index("record_crm_id", record.c.crm_id)
sa.Index("record_parent", record.c.parent, sqlite_where=record.c.parent.isnot(None))
sa.Index("record_verified", record.c.kind, record.c.verified_at)
sa.Index("record_unsettled", record.c.state, record.c.kind, sqlite_where=record.c.state != "settled")
sa.Index("record_wave", record.c.wave, sqlite_where=record.c.wave.isnot(None))

# A lookup that landed empty because its target was not there yet.
waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("field", sa.Text, primary_key=True),
    sa.Column("parent_kind", sa.Text, nullable=False),
    sa.Column("parent_id", sa.Text, nullable=False),
    sa.Column("sale", sa.Text),  # the sale to send again when the parent comes
)
sa.Index("waiting_for", waiting.c.parent_kind, waiting.c.parent_id)

# Refused by the target or by our own validation; one row a thing until it is resolved.
problem = sa.Table(
    "problem",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("till_id", sa.Text, nullable=False),
    sa.Column("sale", sa.Text),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("fields", sa.Text, nullable=False),  # comma-separated
    sa.Column("payload", sa.LargeBinary),  # sealed JSON of what was sent
    sa.Column("state", sa.Text, nullable=False),  # retrying, gave_up, ignored, resolved
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", sa.Float, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False),
    sa.Column("next_at", sa.Float),  # when it is tried again; None: never by itself
    sa.Column("edit", sa.LargeBinary),  # sealed JSON of the fields that a person has set for this row
    sa.Column("note", sa.Text),
)
sa.Index("problem_thing", problem.c.kind, problem.c.till_id)
sa.Index("problem_open", problem.c.state, problem.c.cause)

# Why a customer is linked, or what a person has to decide. Sealed: it names people.
verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("outcome", sa.Text, nullable=False),  # linked, created, review
    sa.Column("rule", sa.Text),
    sa.Column("detail", sa.LargeBinary, nullable=False),  # sealed JSON: evidence, candidates, rejected
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)

# What a side showed of a customer when both last agreed. Sealed.
shadow = sa.Table(
    "shadow",
    metadata,
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("side", sa.Text, primary_key=True),  # till, crm
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sa.Column("moved_at", sa.Float, nullable=False),
)

# An old id that still resolves after a merge.
alias = sa.Table(
    "alias",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("old_id", sa.Text, primary_key=True),
    sa.Column("new_id", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
)

# The people the CRM holds, for matching without an API call a person. Sealed, found by blinded keys.
person = sa.Table(
    "person",
    metadata,
    sa.Column("crm_id", sa.Text, primary_key=True),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
person_key = sa.Table(
    "person_key",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("crm_id", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("person_key_of", person_key.c.crm_id)

# Sales stored by us until a bulk job carries them: a page a row, packed and sealed.
spool = sa.Table(
    "spool",
    metadata,
    sa.Column("wave", sa.Integer, primary_key=True),
    sa.Column("page", sa.Integer, primary_key=True),
    sa.Column("sales", sa.Integer, nullable=False),
    sa.Column("blob", sa.LargeBinary, nullable=False),
)
bulk_job = sa.Table(
    "bulk_job",
    metadata,
    sa.Column("wave", sa.Integer, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),  # sale, line, payment
    sa.Column("job_id", sa.Text),
    sa.Column("state", sa.Text, nullable=False),  # opened, closed, settled
    sa.Column("rows", sa.Integer, nullable=False),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("outcome", sa.Text),  # done, limit, remote_down, halted, broken
    sa.Column("counts", sa.Text),  # JSON
    sa.Column("till_calls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("crm_calls", sa.Integer, nullable=False, server_default="0"),
)

# Tokens, sealed and bound to their name.
token = sa.Table(
    "token",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("stored_at", sa.Float, nullable=False),
)

# What a person has decided about a cause, for every record that shares it, now and later.
remedy = sa.Table(
    "remedy",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),  # replace, default, leave_out
    sa.Column("seen", sa.Text),  # the value that is replaced; None: any
    sa.Column("given", sa.Text),  # what is written instead
    sa.Column("made_at", sa.Float, nullable=False),
)

# What the till showed of a sale or customer, packed and sealed, for as long as the configuration says.
raw = sa.Table(
    "raw",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("blob", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("raw_seen_at", raw.c.seen_at)

# Changes that the ordinary feed did not tell: who found them, and what was different.
missed = sa.Table(
    "missed",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("till_id", sa.Text, nullable=False),
    sa.Column("found_by", sa.Text, nullable=False),  # sweep, cross-check, certificate
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("found_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)

# The proof of each day, as it was made.
certificate = sa.Table(
    "certificate",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("first", sa.Text),
    sa.Column("last", sa.Text),
    sa.Column("differences", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON: cells, differences, receipts with reasons
)

# What people have been told of, so that nobody is told twice. topic: "cause …", "stream sales" and so on.
notice = sa.Table(
    "notice",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),  # each one is told by itself
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # told, digested, gave_up, silent, recovered
    sa.Column("told_at", sa.Float, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)

# When a stream was last polled with success, and how often it is meant to be.
pulse = sa.Table(
    "pulse",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("polled_at", sa.Float, nullable=False),
    sa.Column("interval_seconds", sa.Float, nullable=False),
)

# A create in the till that was announced before it left: the till has no key of ours to make it safe by.
intent = sa.Table(
    "intent",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("crm_id", sa.Text, nullable=False),  # whom the till is to know
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, done, dropped
    sa.Column("body", sa.LargeBinary, nullable=False),  # sealed JSON: slot -> value
    sa.Column("till_id", sa.Text),  # who it became
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)
sa.Index("intent_open", intent.c.state, intent.c.crm_id)

# The people the till holds, for matching somebody of the CRM without a call a person. As `person`.
till_person = sa.Table(
    "till_person",
    metadata,
    sa.Column("till_id", sa.Text, primary_key=True),
    sa.Column("fields", sa.LargeBinary, nullable=False),  # sealed JSON of sync.match.Person
    sqlite_with_rowid=False,
)
till_person_key = sa.Table(
    "till_person_key",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("till_id", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("till_person_key_of", till_person_key.c.till_id)

# Whom of the CRM a person has to look at before the till may know them: as `verdict`, by the CRM's id.
arrival = sa.Table(
    "arrival",
    metadata,
    sa.Column("crm_id", sa.Text, primary_key=True),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # review, held, problem, created, linked, left_out
    sa.Column("reason", sa.Text),
    sa.Column("detail", sa.LargeBinary, nullable=False),  # sealed JSON: candidates, who decided
    sa.Column("moved_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)
sa.Index("arrival_state", arrival.c.state)

# A field that both sides moved, while nobody has said which one counts. Sealed.
conflict = sa.Table(
    "conflict",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("till_id", sa.Text, nullable=False),
    sa.Column("crm_id", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, decided, outlived
    sa.Column("values", sa.LargeBinary, nullable=False),  # sealed JSON: till, crm
    sa.Column("winner", sa.Text),  # till, crm
    sa.Column("decided_by", sa.Text),
    sa.Column("noticed_at", sa.Float, nullable=False),
    sa.Column("decided_at", sa.Float),
)
sa.Index("conflict_open", conflict.c.state, conflict.c.till_id)

# What we changed in customers, field by field: who had it before, for `explain` and for `undo`. Sealed.
change = sa.Table(
    "change",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", sa.Integer),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("till_id", sa.Text, nullable=False),
    sa.Column("crm_id", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),  # of the CRM, as the field map names it
    sa.Column("side", sa.Text, nullable=False),  # the side that was written: till, crm
    sa.Column("why", sa.Text, nullable=False),  # edit, blank filled, conflict, decided, undo, survivor
    sa.Column("values", sa.LargeBinary, nullable=False),  # sealed JSON: before, after
    sa.Column("undone_by", sa.Integer),  # the run that took it back
)
sa.Index("change_of", change.c.till_id)
sa.Index("change_run", change.c.run)

# What would be written, for a person to approve. Sealed: it names people.
plan = sa.Table(
    "plan",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, approved, applied, outdated
    sa.Column("why", sa.Text, nullable=False),  # preview, or what the guard objected to
    sa.Column("checksum", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.Float),
    sa.Column("run", sa.Integer),
)

# Somebody who was erased: salted hashes of what they could be known by, so that no sync brings them back.
tombstone = sa.Table(
    "tombstone",
    metadata,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),  # till id, crm id, e-mail, phone
    sa.Column("erasure", sa.Text, nullable=False),  # which erasure it belongs to
    sa.Column("made_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

# Records that are probably one person, until a person has decided and it is done. Sealed: it names people.
dedupe_cluster = sa.Table(
    "dedupe_cluster",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # the same members have the same id in every scan
    sa.Column("state", sa.Text, nullable=False),  # open, decided, apart, by_hand, done
    sa.Column("body", sa.LargeBinary, nullable=False),  # sealed JSON of store.dedupe.Kept
    sa.Column("moved_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
dedupe_member = sa.Table(
    "dedupe_member",
    metadata,
    sa.Column("member", sa.Text, primary_key=True),  # "till 17", "crm 003..."
    sa.Column("cluster", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("dedupe_member_of", dedupe_member.c.cluster)
