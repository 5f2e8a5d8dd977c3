"""Proof and problems: verification ages, remedies, raw payloads, certificates, notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and create the tables."""
    op.add_column("record", sa.Column("verified_at", sa.Float()))
    op.add_column("record", sa.Column("role", Text))
    op.create_index("record_verified", "record", ["kind", "verified_at"])
    op.add_column("problem", sa.Column("next_at", sa.Float()))
    op.add_column("problem", sa.Column("edit", sa.LargeBinary()))
    op.add_column("problem", sa.Column("note", Text))
    # What was open is due three hours after its last attempt, as it was before.
    op.execute("UPDATE problem SET state = 'retrying', next_at = last_at + 10800 WHERE state = 'open'")
    op.create_table(
        "remedy",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("cause", Text, nullable=False),
        sa.Column("object", Text, nullable=False),
        sa.Column("field", Text, nullable=False),
        sa.Column("action", Text, nullable=False),
        sa.Column("seen", Text),
        sa.Column("given", Text),
        sa.Column("made_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "raw",
        sa.Column("kind", Text, primary_key=True),
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("raw_seen_at", "raw", ["seen_at"])
    op.create_table(
        "missed",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("till_id", Text, nullable=False),
        sa.Column("found_by", Text, nullable=False),
        sa.Column("what", Text, nullable=False),
        sa.Column("found_at", sa.Float(), nullable=False),
        sa.Column("run", sa.Integer()),
    )
    op.create_table(
        "certificate",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("first", Text),
        sa.Column("last", Text),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("body", Text, nullable=False),
    )
    op.create_table(
        "notice",
        sa.Column("channel", Text, primary_key=True),
        sa.Column("topic", Text, primary_key=True),
        sa.Column("state", Text, nullable=False),
        sa.Column("told_at", sa.Float(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    op.create_table(
        "pulse",
        sa.Column("stream", Text, primary_key=True),
        sa.Column("polled_at", sa.Float(), nullable=False),
        sa.Column("interval_seconds", sa.Float(), nullable=False),
    )
