"""What operators are told, who judged what, and the position that each watcher was told last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("submissions", sa.Column("waiting_since", sa.Double))
    op.add_column("submissions", sa.Column("position_told", sa.Integer))
    op.add_column("submissions", sa.Column("position_told_at", sa.Double))
    op.create_table(
        "attempts",
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("fence", _BIG, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("submission_id", "fence", name="pk_attempts"),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_attempts_submission_id"),
    )
    probes = op.create_table(
        "write_probes",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("written_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_write_probes"),
    )
    op.bulk_insert(probes, [{"id": 1}])


def downgrade() -> None:
    op.drop_table("write_probes")
    op.drop_table("attempts")
    op.drop_column("submissions", "position_told_at")
    op.drop_column("submissions", "position_told")
    op.drop_column("submissions", "waiting_since")
