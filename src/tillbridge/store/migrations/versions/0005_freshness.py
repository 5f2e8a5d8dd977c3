"""How long each record took from the till to the CRM, by stage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "freshness",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("till_id", Text, nullable=False),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("decided_at", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=False),
        sa.Column("confirmed_at", sa.Float(), nullable=False),
    )
    op.create_index("freshness_confirmed", "freshness", ["confirmed_at"])
