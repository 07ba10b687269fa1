"""Submissions that are judged again: the judgings before, and which one a submission's row is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("submissions", sa.Column("run", sa.Integer, nullable=False, server_default="1"))
    op.add_column("submissions", sa.Column("run_asked_at", sa.Double))
    op.add_column("submissions", sa.Column("run_key", sa.String(64)))
    op.create_table(
        "runs",
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("run", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("epoch", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("final_status", sa.String(32), nullable=False),
        sa.Column("summary", sa.JSON(none_as_null=True)),
        sa.Column("build_log", sa.Text),
        sa.Column("total_tests", sa.Integer),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("asked_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("last_seq", _BIG, nullable=False),
        sa.Column("log", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "run", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name="fk_runs_submission_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("runs")
    op.drop_column("submissions", "run_key")
    op.drop_column("submissions", "run_asked_at")
    op.drop_column("submissions", "run")
