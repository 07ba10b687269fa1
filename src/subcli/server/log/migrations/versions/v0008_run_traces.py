"""The traces of failed tests on several nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_traces",
        sa.Column(
            "submission_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("submissions.id", name="fk_run_traces_submission_id"),
            nullable=False,
        ),
        sa.Column("test", sa.String(32), nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "test", name="pk_run_traces"),
    )


def downgrade() -> None:
    op.drop_table("run_traces")
