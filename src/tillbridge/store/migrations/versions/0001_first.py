"""The first schema: records, cursors, people, staged sales, runs, problems, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "alias",
        sa.Column("kind", Text, primary_key=True),
        sa.Column("old_id", Text, primary_key=True),
        sa.Column("new_id", Text, nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "bulk_job",
        sa.Column("wave", sa.Integer(), primary_key=True),
        sa.Column("part", Text, primary_key=True),
        sa.Column("job_id", Text),
        sa.Column("state", Text, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
    )
    op.create_table(
        "cursor",
        sa.Column("stream", Text, primary_key=True),
        sa.Column("position", Text, nullable=False),
        sa.Column("moved_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", Text, primary_key=True),
        sa.Column("value", Text, nullable=False),
    )
    op.create_table(
        "person",
        sa.Column("crm_id", Text, primary_key=True),
        sa.Column("object", Text, nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "person_key",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("crm_id", Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("person_key_of", "person_key", ["crm_id"])
    op.create_table(
        "problem",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("till_id", Text, nullable=False),
        sa.Column("sale", Text),
        sa.Column("object", Text, nullable=False),
        sa.Column("cause", Text, nullable=False),
        sa.Column("code", Text, nullable=False),
        sa.Column("message", Text, nullable=False),
        sa.Column("fields", Text, nullable=False),
        sa.Column("payload", sa.LargeBinary()),
        sa.Column("state", Text, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
    )
    op.create_index("problem_open", "problem", ["state", "cause"])
    op.create_index("problem_thing", "problem", ["kind", "till_id"])
    op.create_table(
        "record",
        sa.Column("kind", Text, primary_key=True),
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("crm_id", Text),
        sa.Column("object", Text),
        sa.Column("crm_parent", Text),
        sa.Column("state", Text, nullable=False),
        sa.Column("reason", Text),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column("parent", Text),
        sa.Column("till_stamp", sa.Float()),
        sa.Column("history", sa.Boolean()),
        sa.Column("wave", sa.Integer()),
        sa.Column("moved_at", sa.Float(), nullable=False),
        sa.Column("run", sa.Integer()),
        sqlite_with_rowid=False,
    )
    op.create_index("record_crm_id", "record", ["crm_id"])
    for name, columns, where in (
        ("record_parent", ["parent"], "parent IS NOT NULL"),
        ("record_unsettled", ["state", "kind"], "state != 'settled'"),
        ("record_wave", ["wave"], "wave IS NOT NULL"),
    ):
        some = sa.text(where)
        op.create_index(name, "record", columns, sqlite_where=some, postgresql_where=some)
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("job", Text, nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float()),
        sa.Column("outcome", Text),
        sa.Column("counts", Text),
        sa.Column("till_calls", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("crm_calls", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_table(
        "shadow",
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("side", Text, primary_key=True),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.Column("moved_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "spool",
        sa.Column("wave", sa.Integer(), primary_key=True),
        sa.Column("page", sa.Integer(), primary_key=True),
        sa.Column("sales", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "token",
        sa.Column("name", Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "verdict",
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("rule", Text),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("run", sa.Integer()),
    )
    op.create_table(
        "waiting",
        sa.Column("kind", Text, primary_key=True),
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("field", Text, primary_key=True),
        sa.Column("parent_kind", Text, nullable=False),
        sa.Column("parent_id", Text, nullable=False),
        sa.Column("sale", Text),
    )
    op.create_index("waiting_for", "waiting", ["parent_kind", "parent_id"])
