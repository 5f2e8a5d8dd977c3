"""Sums that pages of a large store are quick by; and a mark on states from before there were receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SUMS = "receipts, refunds, units, total, net, refunded"

# As store/receipts.py adds up what is read from now on.
_SELLERS = f"""\
INSERT INTO tally (scope, store, period, name, {_SUMS})
SELECT 'seller month', store, substr(period, 1, 7), name,
  sum(receipts), sum(refunds), sum(units), sum(total), sum(net), sum(refunded)
FROM tally WHERE scope = 'seller' GROUP BY store, substr(period, 1, 7), name"""  # noqa: S608  Our own words.
_PRODUCTS = f"""\
INSERT INTO tally (scope, store, period, name, {_SUMS})
SELECT 'product day', receipt.store, receipt.day, receipt_line.product,
  count(*), sum(CASE WHEN receipt.type = 'Refund' THEN 1 ELSE 0 END),
  sum(receipt_line.units), sum(receipt_line.total), sum(receipt_line.net),
  sum(CASE WHEN receipt_line.units < 0 AND receipt_line.total < 0 THEN -receipt_line.total ELSE 0 END)
FROM receipt JOIN receipt_line ON receipt_line.sale = receipt.till_id
WHERE receipt.status = 'completed' AND receipt_line.product IS NOT NULL
GROUP BY receipt.store, receipt.day, receipt_line.product"""  # noqa: S608  Our own words.

# Sales and products that came before migration 0004 have records and nothing to be found by. The engine
# fills that in from what was kept, as soon as it has the key (engine/refill.py).
_DUE = """\
INSERT INTO meta (name, value)
SELECT 'refill', 'true' WHERE EXISTS (
  SELECT 1 FROM record LEFT JOIN receipt ON receipt.till_id = record.till_id
  WHERE record.kind = 'sale' AND receipt.till_id IS NULL
) OR EXISTS (
  SELECT 1 FROM record LEFT JOIN article ON article.till_id = record.till_id
  WHERE record.kind = 'product' AND article.till_id IS NULL
)"""


def upgrade() -> None:
    """Add up and mark; let SQLite find who moved last."""
    for statement in (_SELLERS, _PRODUCTS, _DUE):
        op.execute(sa.text(statement))
    op.create_index("verdict_run", "verdict", ["run", "outcome"])
    op.drop_index("record_people", "record")
    is_customer = sa.text("kind = 'customer'")
    op.create_index(
        "record_people",
        "record",
        ["kind", "moved_at"],
        sqlite_where=is_customer,
        postgresql_where=is_customer,
    )
