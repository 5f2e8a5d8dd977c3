"""What the console shows and nothing kept: receipts to search, goods, tallies, news of people, hours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tillbridge.store.types import Text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _receipts()
    _goods()
    op.create_table(
        "people_news",
        sa.Column("side", Text, primary_key=True),
        sa.Column("id", Text, primary_key=True),
        sa.Column("moved_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("people_news_moved", "people_news", ["moved_at"])
    op.create_index("verdict_outcome", "verdict", ["outcome", "made_at"])
    is_customer = sa.text("kind = 'customer'")
    op.create_index(
        "record_people", "record", ["moved_at"], sqlite_where=is_customer, postgresql_where=is_customer
    )
    op.create_table(
        "hour",
        sa.Column("hour", sa.BigInteger(), primary_key=True),
        sa.Column("what", Text, primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("worst", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )


def _receipts() -> None:
    op.create_table(
        "receipt",
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("ticket", Text, nullable=False),
        sa.Column("store", Text, nullable=False),
        sa.Column("day", Text, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("status", Text, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("channel", Text, nullable=False),
        sa.Column("register", Text),
        sa.Column("customer", Text),
        sa.Column("seller", Text),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    for name, columns in (
        ("at", ["at"]),
        ("store", ["store", "day", "at"]),
        ("day", ["day", "at"]),
        ("ticket", ["ticket"]),
        ("customer", ["customer", "at"]),
        ("total", ["total", "at"]),
    ):
        op.create_index(f"receipt_{name}", "receipt", columns)
    for name, column, usual in (("rare", "type", "Sale"), ("odd", "status", "completed")):
        unusual = sa.text(f"{column} != '{usual}'")
        columns = [column, "day", "at"]
        op.create_index(f"receipt_{name}", "receipt", columns, sqlite_where=unusual, postgresql_where=unusual)
    op.create_table(
        "receipt_line",
        sa.Column("sale", Text, primary_key=True),
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product", Text),
        sa.Column("seller", Text),
        sa.Column("original", Text),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    gives_back = sa.text("original IS NOT NULL")
    op.create_index(
        "receipt_line_original",
        "receipt_line",
        ["original"],
        sqlite_where=gives_back,
        postgresql_where=gives_back,
    )
    op.create_index("receipt_line_id", "receipt_line", ["till_id"])
    op.create_table(
        "bought",
        sa.Column("customer", Text, primary_key=True),
        sa.Column("store", Text, primary_key=True),
        sa.Column("noted_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("bought_noted", "bought", ["noted_at"])
    op.create_table(
        "tally",
        sa.Column("scope", Text, primary_key=True),
        sa.Column("store", Text, primary_key=True),
        sa.Column("period", Text, primary_key=True),
        sa.Column("name", Text, primary_key=True),
        sa.Column("receipts", sa.BigInteger(), nullable=False),
        sa.Column("refunds", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )


def _goods() -> None:
    op.create_table(
        "article",
        sa.Column("till_id", Text, primary_key=True),
        sa.Column("sku", Text, nullable=False),
        sa.Column("title", Text, nullable=False),
        sa.Column("category", Text),
        sa.Column("maker", Text),
        sa.Column("price", sa.BigInteger()),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("sought", Text, nullable=False),
        sa.Column("read_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("article_title", "article", ["title", "till_id"])
    op.create_table(
        "shelf",
        sa.Column("product", Text, primary_key=True),
        sa.Column("store", Text, primary_key=True),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reorder_point", sa.BigInteger()),
        sa.Column("read_at", sa.Float(), nullable=False),
        sqlite_with_rowid=False,
    )
