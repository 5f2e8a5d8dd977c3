"""The tables. `record` is the heart: every thing we ever saw, where it stands, and why."""

from __future__ import annotations

import sqlalchemy as sa

from tillbridge.store.types import Text

metadata = sa.MetaData()

# What we are bound to, and small facts worth keeping between runs (JSON text).
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("value", Text, nullable=False),
)

# Position of an incremental read, moved only when its whole page stands somewhere visible.
cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("stream", Text, primary_key=True),
    sa.Column("position", Text, nullable=False),
    sa.Column("moved_at", sa.Float, nullable=False),
)

# Link, shadow digest and state of one thing. kind: a model Kind, or line, payment, identity, price.
record = sa.Table(
    "record",
    metadata,
    sa.Column("kind", Text, primary_key=True),
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("crm_id", Text),
    sa.Column("object", Text),  # the CRM object that crm_id is of
    sa.Column("crm_parent", Text),  # a linked contact's account
    sa.Column("state", Text, nullable=False),
    sa.Column("reason", Text),
    sa.Column("digest", sa.LargeBinary),  # of the payload that the target last acknowledged
    sa.Column("parent", Text),  # the sale of a line or payment
    sa.Column("till_stamp", sa.Float),  # the till's own change stamp of what we settled, epoch seconds
    sa.Column("history", sa.Boolean),  # a sale that came with a historic load
    sa.Column("wave", sa.Integer),
    sa.Column("moved_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
    sa.Column("verified_at", sa.Float),  # when it was last read from the till itself, our clock
    sa.Column("role", Text),  # how it came to its CRM record: created, adopted, or second
    sqlite_with_rowid=False,
)
sa.Index("record_crm_id", record.c.crm_id)
_is_part = record.c.parent.isnot(None)
sa.Index("record_parent", record.c.parent, sqlite_where=_is_part, postgresql_where=_is_part)
sa.Index("record_verified", record.c.kind, record.c.verified_at)
_is_open = record.c.state != "settled"
sa.Index("record_unsettled", record.c.state, record.c.kind, sqlite_where=_is_open, postgresql_where=_is_open)
_is_loaded = record.c.wave.isnot(None)
sa.Index("record_wave", record.c.wave, sqlite_where=_is_loaded, postgresql_where=_is_loaded)

# A lookup that landed empty because its target was not there yet.
waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("kind", Text, primary_key=True),
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("field", Text, primary_key=True),
    sa.Column("parent_kind", Text, nullable=False),
    sa.Column("parent_id", Text, nullable=False),
    sa.Column("sale", Text),  # the sale to send again when the parent comes
)
sa.Index("waiting_for", waiting.c.parent_kind, waiting.c.parent_id)

# Refused by the target or by our own validation; one row a thing until it is resolved.
problem = sa.Table(
    "problem",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", Text, nullable=False),
    sa.Column("till_id", Text, nullable=False),
    sa.Column("sale", Text),
    sa.Column("object", Text, nullable=False),
    sa.Column("cause", Text, nullable=False),
    sa.Column("code", Text, nullable=False),
    sa.Column("message", Text, nullable=False),
    sa.Column("fields", Text, nullable=False),  # comma-separated
    sa.Column("payload", sa.LargeBinary),  # sealed JSON of what was sent
    sa.Column("state", Text, nullable=False),  # retrying, gave_up, ignored, resolved
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", sa.Float, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False),
    sa.Column("next_at", sa.Float),  # when it is tried again; None: never by itself
    sa.Column("edit", sa.LargeBinary),  # sealed JSON of the fields that a person has set for this row
    sa.Column("note", Text),
    sa.Column("assignee", Text),  # the user who sees to it, by name
)
sa.Index("problem_thing", problem.c.kind, problem.c.till_id)
sa.Index("problem_open", problem.c.state, problem.c.cause)

# What people have said of a problem and done about it: who and when. What they wrote may name people: sealed.
remark = sa.Table(
    "remark",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("problem", sa.Integer, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("by", Text, nullable=False),  # the user, by name
    sa.Column("what", Text, nullable=False),  # note, assigned, ignored, edited, retried
    sa.Column("text", sa.LargeBinary),  # sealed JSON
)
sa.Index("remark_of", remark.c.problem)

# Why a customer is linked, or what a person has to decide. Sealed: it names people.
verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("outcome", Text, nullable=False),  # linked, created, review
    sa.Column("rule", Text),
    sa.Column("detail", sa.LargeBinary, nullable=False),  # sealed JSON: evidence, candidates, rejected
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)

sa.Index("verdict_outcome", verdict.c.outcome, verdict.c.made_at)
sa.Index("verdict_run", verdict.c.run, verdict.c.outcome)

# What a side showed of a customer when both last agreed. Sealed.
shadow = sa.Table(
    "shadow",
    metadata,
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("side", Text, primary_key=True),  # till, crm
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sa.Column("moved_at", sa.Float, nullable=False),
)

# An old id that still resolves after a merge.
alias = sa.Table(
    "alias",
    metadata,
    sa.Column("kind", Text, primary_key=True),
    sa.Column("old_id", Text, primary_key=True),
    sa.Column("new_id", Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
)

# The people the CRM holds, for matching without an API call a person. Sealed, found by blinded keys.
person = sa.Table(
    "person",
    metadata,
    sa.Column("crm_id", Text, primary_key=True),
    sa.Column("object", Text, nullable=False),
    sa.Column("fields", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
person_key = sa.Table(
    "person_key",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("crm_id", Text, primary_key=True),
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
    sa.Column("part", Text, primary_key=True),  # sale, line, payment
    sa.Column("job_id", Text),
    sa.Column("state", Text, nullable=False),  # opened, closed, settled
    sa.Column("rows", sa.Integer, nullable=False),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", Text, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("outcome", Text),  # done, limit, remote_down, halted, broken
    sa.Column("counts", Text),  # JSON
    sa.Column("till_calls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("crm_calls", sa.Integer, nullable=False, server_default="0"),
)

# Tokens, sealed and bound to their name.
token = sa.Table(
    "token",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("stored_at", sa.Float, nullable=False),
)

# What a person has decided about a cause, for every record that shares it, now and later.
remedy = sa.Table(
    "remedy",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cause", Text, nullable=False),
    sa.Column("object", Text, nullable=False),
    sa.Column("field", Text, nullable=False),
    sa.Column("action", Text, nullable=False),  # replace, default, leave_out
    sa.Column("seen", Text),  # the value that is replaced; None: any
    sa.Column("given", Text),  # what is written instead
    sa.Column("made_at", sa.Float, nullable=False),
)

# What the till showed of a sale or customer, packed and sealed, for as long as the configuration says.
raw = sa.Table(
    "raw",
    metadata,
    sa.Column("kind", Text, primary_key=True),
    sa.Column("till_id", Text, primary_key=True),
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
    sa.Column("kind", Text, nullable=False),
    sa.Column("till_id", Text, nullable=False),
    sa.Column("found_by", Text, nullable=False),  # sweep, cross-check, certificate
    sa.Column("what", Text, nullable=False),
    sa.Column("found_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)

# The proof of each day, as it was made.
certificate = sa.Table(
    "certificate",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("first", Text),
    sa.Column("last", Text),
    sa.Column("differences", sa.Integer, nullable=False),
    sa.Column("body", Text, nullable=False),  # JSON: cells, differences, receipts with reasons
)

# What people have been told of, so that nobody is told twice. topic: "cause …", "stream sales" and so on.
notice = sa.Table(
    "notice",
    metadata,
    sa.Column("channel", Text, primary_key=True),  # each one is told by itself
    sa.Column("topic", Text, primary_key=True),
    sa.Column("state", Text, nullable=False),  # told, digested, gave_up, silent, recovered
    sa.Column("told_at", sa.Float, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)

# When a stream was last polled with success, and how often it is meant to be.
pulse = sa.Table(
    "pulse",
    metadata,
    sa.Column("stream", Text, primary_key=True),
    sa.Column("polled_at", sa.Float, nullable=False),
    sa.Column("interval_seconds", sa.Float, nullable=False),
)

# A create in the till that was announced before it left: the till has no key of ours to make it safe by.
intent = sa.Table(
    "intent",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("crm_id", Text, nullable=False),  # whom the till is to know
    sa.Column("object", Text, nullable=False),
    sa.Column("state", Text, nullable=False),  # open, done, dropped
    sa.Column("body", sa.LargeBinary, nullable=False),  # sealed JSON: slot -> value
    sa.Column("till_id", Text),  # who it became
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("run", sa.Integer),
)
sa.Index("intent_open", intent.c.state, intent.c.crm_id)

# The people the till holds, for matching somebody of the CRM without a call a person. As `person`.
till_person = sa.Table(
    "till_person",
    metadata,
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("fields", sa.LargeBinary, nullable=False),  # sealed JSON of sync.match.Person
    sqlite_with_rowid=False,
)
till_person_key = sa.Table(
    "till_person_key",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("till_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("till_person_key_of", till_person_key.c.till_id)

# Whom of the CRM a person has to look at before the till may know them: as `verdict`, by the CRM's id.
arrival = sa.Table(
    "arrival",
    metadata,
    sa.Column("crm_id", Text, primary_key=True),
    sa.Column("object", Text, nullable=False),
    sa.Column("state", Text, nullable=False),  # review, held, problem, created, linked, left_out
    sa.Column("reason", Text),
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
    sa.Column("till_id", Text, nullable=False),
    sa.Column("crm_id", Text, nullable=False),
    sa.Column("field", Text, nullable=False),
    sa.Column("state", Text, nullable=False),  # open, decided, outlived
    sa.Column("values", sa.LargeBinary, nullable=False),  # sealed JSON: till, crm
    sa.Column("winner", Text),  # till, crm
    sa.Column("decided_by", Text),
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
    sa.Column("till_id", Text, nullable=False),
    sa.Column("crm_id", Text, nullable=False),
    sa.Column("object", Text, nullable=False),
    sa.Column("field", Text, nullable=False),  # of the CRM, as the field map names it
    sa.Column("side", Text, nullable=False),  # the side that was written: till, crm
    sa.Column("why", Text, nullable=False),  # edit, blank filled, conflict, decided, undo, survivor
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
    sa.Column("state", Text, nullable=False),  # open, approved, applied, outdated
    sa.Column("why", Text, nullable=False),  # preview, or what the guard objected to
    sa.Column("checksum", Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("decided_by", Text),
    sa.Column("decided_at", sa.Float),
    sa.Column("run", sa.Integer),
)

# Somebody who was erased: salted hashes of what they could be known by, so that no sync brings them back.
tombstone = sa.Table(
    "tombstone",
    metadata,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("what", Text, nullable=False),  # till id, crm id, e-mail, phone
    sa.Column("erasure", Text, nullable=False),  # which erasure it belongs to
    sa.Column("made_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

# Records that are probably one person, until a person has decided and it is done. Sealed: it names people.
dedupe_cluster = sa.Table(
    "dedupe_cluster",
    metadata,
    sa.Column("id", Text, primary_key=True),  # the same members have the same id in every scan
    sa.Column("state", Text, nullable=False),  # open, decided, apart, by_hand, done
    sa.Column("body", sa.LargeBinary, nullable=False),  # sealed JSON of store.dedupe.Kept
    sa.Column("moved_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
dedupe_member = sa.Table(
    "dedupe_member",
    metadata,
    sa.Column("member", Text, primary_key=True),  # "till 17", "crm 003..."
    sa.Column("cluster", Text, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("dedupe_member_of", dedupe_member.c.cluster)

# A searchable line of every sale that was read, also of those that do not enter the CRM. Money in hundredths,
# quantities in thousandths; names nobody.
receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("ticket", Text, nullable=False),
    sa.Column("store", Text, nullable=False),  # the till's id of it
    sa.Column("day", Text, nullable=False),  # the store's business day
    sa.Column("at", sa.Float, nullable=False),  # when it was completed, epoch seconds
    sa.Column("status", Text, nullable=False),  # completed, voided, open, cancelled
    sa.Column("type", Text, nullable=False),  # as model.sale says: Sale, Refund, Exchange ...
    sa.Column("channel", Text, nullable=False),
    sa.Column("register", Text),
    sa.Column("customer", Text),  # the till's id; None: a walk-in
    sa.Column("seller", Text),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("tax", sa.BigInteger, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("read_at", sa.Float, nullable=False),  # our clock
    sqlite_with_rowid=False,
)
sa.Index("receipt_at", receipt.c.at)
sa.Index("receipt_store", receipt.c.store, receipt.c.day, receipt.c.at)
sa.Index("receipt_day", receipt.c.day, receipt.c.at)
sa.Index("receipt_ticket", receipt.c.ticket)
sa.Index("receipt_customer", receipt.c.customer, receipt.c.at)
sa.Index("receipt_total", receipt.c.total, receipt.c.at)
_is_rare = receipt.c.type != "Sale"
_is_odd = receipt.c.status != "completed"
_rare = (receipt.c.type, receipt.c.day, receipt.c.at)
_odd = (receipt.c.status, receipt.c.day, receipt.c.at)
sa.Index("receipt_rare", *_rare, sqlite_where=_is_rare, postgresql_where=_is_rare)
sa.Index("receipt_odd", *_odd, sqlite_where=_is_odd, postgresql_where=_is_odd)

# The lines of those sales: which goods, who sold them, what they give back.
receipt_line = sa.Table(
    "receipt_line",
    metadata,
    sa.Column("sale", Text, primary_key=True),
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("product", Text),
    sa.Column("seller", Text),
    sa.Column("original", Text),  # the line of another sale that comes back with it
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_gives_back = receipt_line.c.original.isnot(None)
sa.Index(
    "receipt_line_original", receipt_line.c.original, sqlite_where=_gives_back, postgresql_where=_gives_back
)
sa.Index("receipt_line_id", receipt_line.c.till_id)

# Who has ever bought where: what somebody may see who sees some stores only.
bought = sa.Table(
    "bought",
    metadata,
    sa.Column("customer", Text, primary_key=True),
    sa.Column("store", Text, primary_key=True),
    sa.Column("noted_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("bought_noted", bought.c.noted_at)

# Receipts added up: of a store's day, of a seller's and a product's day and month in a store.
tally = sa.Table(
    "tally",
    metadata,
    # store, seller, product day: of days; seller month, product: of months
    sa.Column("scope", Text, primary_key=True),
    sa.Column("store", Text, primary_key=True),  # "": all stores together
    sa.Column("period", Text, primary_key=True),  # 2026-11-20, or 2026-11
    sa.Column("name", Text, primary_key=True),  # who or what; "" where the scope is the store
    sa.Column("receipts", sa.BigInteger, nullable=False),
    sa.Column("refunds", sa.BigInteger, nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("refunded", sa.BigInteger, nullable=False),  # of the total, what went back; positive
    sqlite_with_rowid=False,
)

# What a product is called, to be found and shown by.
article = sa.Table(
    "article",
    metadata,
    sa.Column("till_id", Text, primary_key=True),
    sa.Column("sku", Text, nullable=False),
    sa.Column("title", Text, nullable=False),
    sa.Column("category", Text),
    sa.Column("maker", Text),
    sa.Column("price", sa.BigInteger),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("sought", Text, nullable=False),  # title and numbers, folded
    sa.Column("read_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("article_title", article.c.title, article.c.till_id)
shelf = sa.Table(
    "shelf",
    metadata,
    sa.Column("product", Text, primary_key=True),
    sa.Column("store", Text, primary_key=True),
    sa.Column("on_hand", sa.BigInteger, nullable=False),
    sa.Column("reorder_point", sa.BigInteger),
    sa.Column("read_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

# Whose sealed entry in an index of people has changed, or gone, and when: what a reader has to open again.
people_news = sa.Table(
    "people_news",
    metadata,
    sa.Column("side", Text, primary_key=True),  # till, crm
    sa.Column("id", Text, primary_key=True),
    sa.Column("moved_at", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("people_news_moved", people_news.c.moved_at)
_is_customer = record.c.kind == "customer"
# With the kind, or SQLite would rather take all customers by the table's own key.
_moved = (record.c.kind, record.c.moved_at)
sa.Index("record_people", *_moved, sqlite_where=_is_customer, postgresql_where=_is_customer)

# What was spent and how late streams were, an hour a row: for the last days, not for ever.
hour = sa.Table(
    "hour",
    metadata,
    sa.Column("hour", sa.BigInteger, primary_key=True),  # epoch seconds at its beginning
    sa.Column("what", Text, primary_key=True),  # "till calls", "crm calls", "poll sales"
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("worst", sa.Float, nullable=False),  # of a poll: the longest gap before it, seconds
    sqlite_with_rowid=False,
)

# How long a record took from the till to the CRM, by our clock: for alerts and charts of the last days.
freshness = sa.Table(
    "freshness",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", Text, nullable=False),
    sa.Column("till_id", Text, nullable=False),
    sa.Column("began_at", sa.Float, nullable=False),  # rung up, or changed, in the till
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("decided_at", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Float, nullable=False),
    sa.Column("confirmed_at", sa.Float, nullable=False),
)
sa.Index("freshness_confirmed", freshness.c.confirmed_at)
