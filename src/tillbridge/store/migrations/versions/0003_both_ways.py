"""Customers both ways: intents, the till's people, conflicts, changes, plans, tombstones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "intent",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("crm_id", Text, nullable=False),
        sa.Column("object", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("till_id", Text),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("run", sa.Integer()),
    )
    op.create_index("intent_open", "intent", ["state", "crm_id"])
    op.create_table(
        "till_person",
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "till_person_key",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("till_id", Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("till_person_key_of", "till_person_key", ["till_id"])
    op.create_table(
        "arrival",
        sa.Column("crm_id", Text, primary_key=True),
        sa.Column("object", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("reason", Text),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("moved_at", sa.Float(), nullable=False),
        sa.Column("run", sa.Integer()),
    )
    op.create_index("arrival_state", "arrival", ["state"])
    op.create_table(
        "conflict",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("till_id", Text, nullable=False),
        sa.Column("crm_id", Text, nullable=False),
        sa.Column("field", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.Column("winner", Text),
        sa.Column("decided_by", Text),
        sa.Column("noticed_at", sa.Float(), nullable=False),
        sa.Column("decided_at", sa.Float()),
    )
    op.create_index("conflict_open", "conflict", ["state", "till_id"])
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("run", sa.Integer()),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("till_id", Text, nullable=False),
        sa.Column("crm_id", Text, nullable=False),
        sa.Column("object", Text, nullable=False),
        sa.Column("field", Text, nullable=False),
        sa.Column("side", Text, nullable=False),
        sa.Column("why", Text, nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.Column("undone_by", sa.Integer()),
    )
    op.create_index("change_of", "change", ["till_id"])
    op.create_index("change_run", "change", ["run"])
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("why", Text, nullable=False),
        sa.Column("checksum", Text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("decided_by", Text),
        sa.Column("decided_at", sa.Float()),
        sa.Column("run", sa.Integer()),
    )
    op.create_table(
        "tombstone",
        sa.Column("hash", sa.LargeBinary(), primary_key=True),
        sa.Column("what", Text, nullable=False),
        sa.Column("erasure", Text, nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dedupe_cluster",
        sa.Column("id", Text, primary_key=True),
        sa.Column("state", Text, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("moved_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dedupe_member",
        sa.Column("member", Text, primary_key=True),
        sa.Column("cluster", Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("dedupe_member_of", "dedupe_member", ["cluster"])
