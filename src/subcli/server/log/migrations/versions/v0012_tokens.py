"""Access tokens for machines, and links to submissions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "machine_tokens",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("user_id", _BIG, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_machine_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_machine_tokens_user_id"),
        sa.UniqueConstraint("hash", name="uq_machine_tokens_hash"),
        sa.UniqueConstraint("user_id", "name", name="uq_machine_tokens_user_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_machine_tokens_expires_at", "machine_tokens", ["expires_at"])
    op.create_table(
        "links",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("submission_id", _BIG, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_links"),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_links_submission_id"),
        sa.UniqueConstraint("hash", name="uq_links_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_links_submission_id", "links", ["submission_id"])
    op.create_index("ix_links_expires_at", "links", ["expires_at"])


def downgrade() -> None:
    op.drop_table("links")
    op.drop_table("machine_tokens")
