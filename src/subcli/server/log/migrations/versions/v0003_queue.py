"""What the order of the queue needs: turns, and how often a submission's judging was lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("submissions", sa.Column("turn", _BIG, nullable=False, server_default="0"))
    op.add_column("submissions", sa.Column("losses", sa.Integer, nullable=False, server_default="0"))
    op.add_column("submissions", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.add_column("submissions", sa.Column("retry_at", sa.Double))
    op.add_column("submissions", sa.Column("told", sa.Boolean, nullable=False, server_default=sa.false()))
    # The column said how many attempts were begun; now it says which attempt is under way or comes next. The ones
    # that were handed back come first.
    op.execute(
        "UPDATE submissions SET attempt = attempt + 1, turn = -1"
        " WHERE attempt > 0 AND final_status IS NULL AND lease_until IS NULL"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE submissions SET attempt = attempt - 1"
        " WHERE attempt > 1 AND final_status IS NULL AND lease_until IS NULL"
    )
    op.drop_column("submissions", "told")
    op.drop_column("submissions", "retry_at")
    op.drop_column("submissions", "failures")
    op.drop_column("submissions", "losses")
    op.drop_column("submissions", "turn")
