"""What builds and tests print, apart from the log: it is deleted some time after the verdict."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("submissions", sa.Column("output_seq", _BIG, nullable=False, server_default="0"))
    op.add_column("submissions", sa.Column("output_bytes", _BIG, nullable=False, server_default="0"))
    op.create_table(
        "outputs",
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("output_seq", _BIG, autoincrement=False, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "output_seq", name="pk_outputs"),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_outputs_submission_id"),
    )


def downgrade() -> None:
    op.drop_table("outputs")
    op.drop_column("submissions", "output_bytes")
    op.drop_column("submissions", "output_seq")
