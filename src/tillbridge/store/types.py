"""Column types that mean the same on both databases."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# Ordered and compared by its bytes, as SQLite does it: PostgreSQL would ask the database's language.
Text = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
