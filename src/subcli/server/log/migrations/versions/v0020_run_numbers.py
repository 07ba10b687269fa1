"""In which order submissions began to be judged again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "run_numbers",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("submission_id", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_run_numbers"),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name="fk_run_numbers_submission_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_numbers_submission_id", "run_numbers", ["submission_id"])


def downgrade() -> None:
    op.drop_table("run_numbers")
