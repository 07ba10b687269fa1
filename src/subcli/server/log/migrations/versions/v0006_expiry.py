"""Indexes by which expired and used refresh tokens are found and deleted."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_index("ix_refresh_tokens_used_at", "refresh_tokens", ["used_at"])


def downgrade() -> None:
    op.drop_index("ix_refresh_tokens_used_at", "refresh_tokens")
    op.drop_index("ix_refresh_tokens_expires_at", "refresh_tokens")
