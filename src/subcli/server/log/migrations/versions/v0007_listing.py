"""An index by which an owner's submissions for one problem are found, latest first."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_submissions_owner_id_problem_id", "submissions", ["owner_id", "problem", "id"])


def downgrade() -> None:
    op.drop_index("ix_submissions_owner_id_problem_id", "submissions")
