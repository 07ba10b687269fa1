"""The random name of each submission's log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submissions", sa.Column("epoch", sa.String(32)))
    # Each row gets a name of its own. Migrating the same backup twice gives different ones, and so it should.
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    name = "lower(hex(randomblob(8)))" if is_sqlite else "substr(md5(random()::text || id::text), 1, 16)"
    op.execute(f"UPDATE submissions SET epoch = {name}")


def downgrade() -> None:
    op.drop_column("submissions", "epoch")
