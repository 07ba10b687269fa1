"""Who judges for others, and when the schema was last changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.create_table(
        "schema_changes",
        sa.Column("revision", sa.String(32), nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_changes"),
    )


def downgrade() -> None:
    op.drop_table("schema_changes")
    op.drop_table("workers")
