"""What people say of problems, and who sees to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and the column."""
    op.add_column("problem", sa.Column("assignee", Text))
    op.create_table(
        "remark",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("problem", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("by", Text, nullable=False),
        sa.Column("what", Text, nullable=False),
        sa.Column("text", sa.LargeBinary()),
    )
    op.create_index("remark_of", "remark", ["problem"])
